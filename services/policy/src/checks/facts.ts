// What the checks look at: plain facts as the database has them, and the calls that carry them. No I/O.
import type { BlockList } from 'node:net'
import type { Principal, AccountId } from '@bailiwick/kernel/ids'
import type { Rate } from '@bailiwick/contracts/doors/policy'
import type { Denial } from '@bailiwick/contracts/problem'
import type { Result } from '@bailiwick/kernel/result'
import type { Tier } from '../rules.ts'

export type TokenFacts = {
  readonly id: string
  readonly principal: Principal
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
}

export type AccountFacts = {
  readonly id: AccountId
  readonly name: string
  readonly tier: Tier
  readonly frozen: boolean
  readonly frozenResources: ReadonlySet<string>
}

/** Token, account and kill switch as of one epoch. */
export type Current = { readonly token: TokenFacts; readonly account: AccountFacts; readonly killed: boolean }

/** The call's place in its principal's window. */
export type WindowFacts = { readonly rate: Rate; readonly admitted: boolean; readonly retryAfterSeconds: number }

export type Verdict<T> = Result<T, Denial>
