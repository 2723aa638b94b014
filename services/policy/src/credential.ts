// Whose call is this? Policy verifies the raw credential itself: nobody who merely passes it on can say who the caller is.
import { createHmac } from 'node:crypto'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import { err, ok } from '@bailiwick/kernel/result'
import { deny, type Denial } from '@bailiwick/contracts/problem'
import type { Current, Verdict } from './checks/facts.ts'
import { formOf } from './checks/token-format.ts'
import type { AccessTokens } from './identity/access-tokens.ts'
import type { Status, StatusKey } from './status.ts'

declare const identified: unique symbol
/** A credential that exists. Its state, and the account's, are not looked at yet, and may be as old as the last epoch. */
export type Identified = {
  readonly current: Current
  /** Finds its status again, when that has been brought up to date. */
  readonly key: StatusKey
  /** SHA-256 of the raw token: what the log commits to. */
  readonly tokenId: string
  readonly [identified]: true
}

/** `accessTokens`: null where no identity provider is configured. */
export type CredentialDeps = {
  readonly status: Status
  readonly tokenKey: Buffer
  readonly accessTokens: AccessTokens | null
}

/** The one door for every kind of credential. */
export async function verifyCredential(deps: CredentialDeps, raw: string | null): Promise<Verdict<Identified>> {
  if (raw === null) return err(deny('UNAUTHENTICATED', { why: 'no credential' }))
  switch (formOf(raw)) {
    case 'personal':
      return verifyPersonalToken(deps, raw)
    case 'jwt':
      return verifyAccessToken(deps, raw)
    default:
      return err(deny('UNAUTHENTICATED', { why: 'malformed' }))
  }
}

/** What is stored of a personal token. 224 random bits need no slow hash; the key keeps a stolen table from being searched. */
export const hmacOf = (tokenKey: Buffer, raw: string): Buffer => createHmac('sha256', tokenKey).update(raw).digest()

async function verifyPersonalToken(deps: CredentialDeps, raw: string): Promise<Verdict<Identified>> {
  const key = { hmac: hmacOf(deps.tokenKey, raw) }
  const current = await deps.status.find(key)
  if (!current) return err(missing(key))
  return ok({ current, key, tokenId: sha256Hex(raw) } as unknown as Identified)
}

async function verifyAccessToken(deps: CredentialDeps, raw: string): Promise<Verdict<Identified>> {
  if (!deps.accessTokens) return err(deny('UNAUTHENTICATED', { why: 'an access token, and no issuer is configured' }))
  const tokenId = sha256Hex(raw)
  const verified = await deps.accessTokens.verify(raw, tokenId)
  if (!verified.ok) return verified
  const key = { grant: verified.value }
  const current = await deps.status.find(key)
  if (!current) return err(missing(key))
  return ok({ current, key, tokenId } as unknown as Identified)
}

/** A good access token of somebody without an account may be told so: whoever signed in is no stranger to the provider. */
export const missing = (key: StatusKey): Denial =>
  'grant' in key
    ? deny('NO_ACCOUNT', { why: `no member: ${key.grant.sub}` })
    : deny('UNAUTHENTICATED', { why: 'unknown' })
