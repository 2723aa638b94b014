// What the checks look at: plain facts as the database has them, and the calls that carry them. No I/O.
import type { BlockList } from 'node:net'
import { AccountId, type Principal } from '@bailiwick/kernel/ids'
import type { Rate } from '@bailiwick/contracts/doors/policy'
import type { Denial } from '@bailiwick/contracts/problem'
import type { Result } from '@bailiwick/kernel/result'
import type { Tier } from '../rules.ts'

/** What an access token of the identity provider adds: it is held against what was taken back since it was issued. */
export type GrantFacts = {
  /** ms since the epoch, as exact as the token says: seconds. */
  readonly issuedAt: number
  readonly session: string
  /** Tokens issued at or before it are refused; null: nothing was taken back. */
  readonly notBefore: number | null
  /** Whether what the identity provider took back is known up to a few seconds ago. */
  readonly isFresh: boolean
}

/** The credential of a call: a personal token, or an access token of an app that a person connected. */
export type TokenFacts = {
  /** Of a personal token; an app's is its principal. */
  readonly id: string
  readonly principal: Principal
  /** Given by the operator; an app's is its client id. */
  readonly name: string
  /** As granted, without what they imply. */
  readonly granted: readonly string[]
  /** With what `:write` implies. */
  readonly scopes: readonly string[]
  readonly state: 'active' | 'paused' | 'blocked' | 'revoked'
  /** ms since the epoch. */
  readonly expiresAt: number
  /** Null: from anywhere. */
  readonly addresses: BlockList | null
  readonly user: string | null
  /** The OAuth client of an app. */
  readonly client: string | null
  /** Null for a personal token. */
  readonly grant: GrantFacts | null
}

export type AccountFacts = {
  readonly id: AccountId
  readonly name: string
  readonly tier: Tier
  readonly frozen: boolean
  readonly frozenResources: ReadonlySet<string>
}

/** As the resolver functions return it (sql/0004-resolvers.sql, sql/0005-identity.sql). */
export type AccountRow = {
  readonly account_id: string
  readonly account_name: string
  readonly tier: Tier
  readonly frozen: boolean
  readonly frozen_resources: readonly string[]
}

export const toAccountFacts = (row: AccountRow): AccountFacts => ({
  id: AccountId.parse(row.account_id),
  name: row.account_name,
  tier: row.tier,
  frozen: row.frozen,
  frozenResources: new Set(row.frozen_resources),
})

/** Credential, account and kill switch as of one epoch. */
export type Current = { readonly token: TokenFacts; readonly account: AccountFacts; readonly killed: boolean }

/** The call's place in its principal's window. */
export type WindowFacts = { readonly rate: Rate; readonly admitted: boolean; readonly retryAfterSeconds: number }

export type Verdict<T> = Result<T, Denial>
