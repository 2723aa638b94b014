// The row of an app, made at its first call, so that it can be listed and stopped; afterwards this costs nothing.
import type { Current } from '../checks/facts.ts'
import type { Database } from '../database.ts'

export type Apps = {
  /** Durable before the call goes on: what was used since a break-in must be known. Nothing for a personal token. */
  open(current: Current, now: number): Promise<void>
}

const MAX_KEPT = 20_000

export function createApps(database: Database): Apps {
  const opened = new Set<string>()
  return {
    async open({ account, token }, now) {
      if (token.client === null) return
      const name = `${account.id} ${token.principal}`
      if (opened.has(name)) return
      await database.inAccount(account.id, (query) =>
        query(
          `INSERT INTO policy.apps (account_id, sub, client, scopes, first_used_at, last_used_at)
           VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING`,
          [account.id, token.user, token.client, token.granted, new Date(now)],
        ),
      )
      if (opened.size >= MAX_KEPT) opened.clear()
      opened.add(name)
    },
  }
}
