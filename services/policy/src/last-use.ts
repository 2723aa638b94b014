// When each token and app was last used, batched: written within a second of a first use, then at most once a minute each.
// So the stored time is at most LAST_USE_LAG_MS behind the truth, which is what `tokens revoke --seen-since` allows for.
import type { Logger } from '@bailiwick/kernel/logger'
import type { TokenFacts } from './checks/facts.ts'
import type { Database, Query } from './database.ts'

const WRITE_EVERY_MS = 60_000
/** The running minute, and the second until a first use is written. A crash inside that second loses that one use. */
export const LAST_USE_LAG_MS = WRITE_EVERY_MS + 1000

type Used = Pick<TokenFacts, 'id' | 'principal' | 'client' | 'granted'>

export type LastUse = {
  note(account: string, token: Used, now: number): void
  /** What this replica saw and has not written yet. */
  pending(principal: string): number | null
  /** Writes what is due; with `all`, everything. */
  flush(now: number, all?: boolean): Promise<void>
}

type Use = { account: string; token: Used; usedAt: number; writtenAt: number }

export function createLastUse(deps: { database: Database; logger: Logger }): LastUse {
  const uses = new Map<string, Use>()
  return {
    note(account, token, now) {
      const use = uses.get(token.principal)
      if (use) Object.assign(use, { account, token, usedAt: now })
      else uses.set(token.principal, { account, token, usedAt: now, writtenAt: Number.NEGATIVE_INFINITY })
    },
    pending: (principal) => uses.get(principal)?.usedAt ?? null,
    async flush(now, all = false) {
      const due = new Map<string, (Use & { use: Use })[]>()
      for (const [principal, use] of uses) {
        if (use.usedAt > use.writtenAt && (all || now - use.writtenAt >= WRITE_EVERY_MS))
          due.set(use.account, [...(due.get(use.account) ?? []), { ...use, use }])
        else if (now - use.usedAt > 2 * WRITE_EVERY_MS) uses.delete(principal)
      }
      for (const [account, items] of due) {
        try {
          await deps.database.inAccount(account, (query) => write(query, items))
          for (const { use, usedAt } of items) use.writtenAt = usedAt
        } catch (error) {
          // Kept, and due again at the next flush.
          deps.logger.warn('last_use_not_written', { reason: String(error) })
        }
      }
    },
  }
}

async function write(query: Query, uses: readonly Use[]): Promise<void> {
  const tokens = uses.filter(({ token }) => token.client === null)
  const apps = uses.filter(({ token }) => token.client !== null)
  const times = (some: readonly Use[]): Date[] => some.map(({ usedAt }) => new Date(usedAt))
  if (tokens.length > 0)
    await query(
      `UPDATE policy.tokens t SET last_used_at = greatest(t.last_used_at, u.at)
       FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, at) WHERE t.id = u.id`,
      [tokens.map(({ token }) => token.id), times(tokens)],
    )
  if (apps.length > 0)
    await query(
      `UPDATE policy.apps a SET last_used_at = greatest(a.last_used_at, u.at), scopes = string_to_array(u.scopes, ' ')
       FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS u (principal, at, scopes) WHERE a.principal = u.principal`,
      [
        apps.map(({ token }) => token.principal),
        times(apps),
        // Arrays of arrays must be rectangular; a scope has no space in it.
        apps.map(({ token }) => token.granted.join(' ')),
      ],
    )
}
