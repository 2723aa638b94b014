// What keeps one permit from being read with twice, and one account from taking all of the steward. In memory: lost at a restart,
// which is why permits for reads issued before this steward started are refused.
import { deny, type Denial } from '@bailiwick/contracts/problem'
import type { Clock } from '@bailiwick/kernel/clock'
import type { Permit } from '@bailiwick/contracts/permit'
import { NONCE_MEMORY_MS } from './journal.ts'

/** Spends a read permit's nonce; null: it was not spent before. Changes have the journal for that. */
export function createNonces(clock: Clock): (permit: Permit) => Denial | null {
  const startedAt = clock.now()
  // Two generations: whatever is older than both cannot arrive any more.
  let [current, previous] = [new Set<string>(), new Set<string>()]
  let turnAt = startedAt + NONCE_MEMORY_MS
  return (permit) => {
    if (permit.issued_at < startedAt)
      return deny('BACKEND_UNAVAILABLE', { retry_after_s: 1, why: 'permit issued before this steward started' })
    const now = clock.now()
    if (now >= turnAt) {
      ;[current, previous] = [new Set(), now >= turnAt + NONCE_MEMORY_MS ? new Set() : current]
      turnAt = now + NONCE_MEMORY_MS
    }
    if (current.has(permit.nonce) || previous.has(permit.nonce))
      return deny('PERMIT_REFUSED', { why: 'the nonce was spent' })
    current.add(permit.nonce)
    return null
  }
}

const MAX_IN_FLIGHT = 8

/** Takes one of the account's places; null: all are taken. Call what comes back when done. */
export function createPlaces(max = MAX_IN_FLIGHT): (account: string) => (() => void) | null {
  const taken = new Map<string, number>()
  return (account) => {
    const count = taken.get(account) ?? 0
    if (count >= max) return null
    taken.set(account, count + 1)
    return () => {
      const left = taken.get(account)! - 1
      if (left === 0) taken.delete(account)
      else taken.set(account, left)
    }
  }
}
