// Whose call is this? Policy verifies the raw credential itself: nobody who merely passes it on can say who the caller is.
import { createHmac } from 'node:crypto'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import { err, ok } from '@bailiwick/kernel/result'
import { deny } from '@bailiwick/contracts/problem'
import type { Current, Verdict } from './checks/facts.ts'
import { formOf } from './checks/token-format.ts'
import type { Status } from './status.ts'

declare const identified: unique symbol
/** A credential that exists. Its state, and the account's, are not looked at yet, and may be as old as the last epoch. */
export type Identified = {
  readonly current: Current
  readonly hmac: Buffer
  /** SHA-256 of the raw token: what the log commits to. */
  readonly tokenId: string
  readonly [identified]: true
}

export type CredentialDeps = { readonly status: Status; readonly tokenKey: Buffer }

/** The one door for every kind of credential. Access tokens of an identity provider are verified here once one is configured. */
export async function verifyCredential(deps: CredentialDeps, raw: string | null): Promise<Verdict<Identified>> {
  if (raw === null) return err(deny('UNAUTHENTICATED', { why: 'no credential' }))
  switch (formOf(raw)) {
    case 'personal':
      return verifyPersonalToken(deps, raw)
    case 'jwt':
      return err(deny('UNAUTHENTICATED', { why: 'an access token, and no issuer is configured' }))
    default:
      return err(deny('UNAUTHENTICATED', { why: 'malformed' }))
  }
}

/** What is stored of a personal token. 224 random bits need no slow hash; the key keeps a stolen table from being searched. */
export const hmacOf = (tokenKey: Buffer, raw: string): Buffer => createHmac('sha256', tokenKey).update(raw).digest()

async function verifyPersonalToken(deps: CredentialDeps, raw: string): Promise<Verdict<Identified>> {
  const hmac = hmacOf(deps.tokenKey, raw)
  const current = await deps.status.find({ hmac })
  if (!current) return err(deny('UNAUTHENTICATED', { why: 'unknown' }))
  return ok({ current, hmac, tokenId: sha256Hex(raw) } as unknown as Identified)
}
