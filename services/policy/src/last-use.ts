// When each token was last used, batched: written within a second of a first use, then at most once a minute per token.
// So the stored time is at most LAST_USE_LAG_MS behind the truth, which is what `tokens revoke --seen-since` allows for.
import type { Logger } from '@bailiwick/kernel/logger'
import type { Database } from './database.ts'

const WRITE_EVERY_MS = 60_000
/** The running minute, and the second until a first use is written. A crash inside that second loses that one use. */
export const LAST_USE_LAG_MS = WRITE_EVERY_MS + 1000

export type LastUse = {
  note(account: string, tokenId: string, now: number): void
  /** What this replica saw and has not written yet. */
  pending(tokenId: string): number | null
  /** Writes what is due; with `all`, everything. */
  flush(now: number, all?: boolean): Promise<void>
}

type Use = { account: string; usedAt: number; writtenAt: number }

export function createLastUse(deps: { database: Database; logger: Logger }): LastUse {
  const uses = new Map<string, Use>()
  return {
    note(account, tokenId, now) {
      const use = uses.get(tokenId)
      if (use) use.usedAt = now
      else uses.set(tokenId, { account, usedAt: now, writtenAt: Number.NEGATIVE_INFINITY })
    },
    pending: (tokenId) => uses.get(tokenId)?.usedAt ?? null,
    async flush(now, all = false) {
      const due = new Map<string, { tokenId: string; use: Use; usedAt: number }[]>()
      for (const [tokenId, use] of uses) {
        if (use.usedAt > use.writtenAt && (all || now - use.writtenAt >= WRITE_EVERY_MS))
          due.set(use.account, [...(due.get(use.account) ?? []), { tokenId, use, usedAt: use.usedAt }])
        else if (now - use.usedAt > 2 * WRITE_EVERY_MS) uses.delete(tokenId)
      }
      for (const [account, items] of due) {
        try {
          await deps.database.inAccount(account, (query) =>
            query(
              `UPDATE policy.tokens t SET last_used_at = greatest(t.last_used_at, u.at)
               FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, at) WHERE t.id = u.id`,
              [items.map(({ tokenId }) => tokenId), items.map(({ usedAt }) => new Date(usedAt))],
            ),
          )
          for (const { use, usedAt } of items) use.writtenAt = usedAt
        } catch (error) {
          // Kept, and due again at the next flush.
          deps.logger.warn('last_use_not_written', { reason: String(error) })
        }
      }
    },
  }
}
