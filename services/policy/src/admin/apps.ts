// Apps that people connected, by the operator: listed, paused, resumed, revoked; a client for everybody at once.
import type { adminDoor } from '@bailiwick/contracts/doors/policy'
import type { Handlers } from '@bailiwick/kernel/door'
import { AccountId, Principal, readAppPrincipal } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import type { TokenFacts } from '../checks/facts.ts'
import type { Query } from '../database.ts'
import type { Deps } from '../deps.ts'
import { accountIds } from './accounts.ts'
import { changeStatus, perform } from './act.ts'
import { accountOfMember } from './members.ts'

type Answers = Handlers<typeof adminDoor>
type AppRow = {
  account_id: string
  sub: string
  client: string
  principal: string
  state: TokenFacts['state']
  scopes: string[]
  first_used_at: Date
  last_used_at: Date
}

const IS_REVOKED = 'policy.is_grant_revoked(principal, client, revoked_at)'

/** Which states each act starts from. None leads back from a revocation: that is for the person's consent alone. */
const MOVES = {
  pause: { from: ['active'], to: 'paused' },
  resume: { from: ['paused', 'blocked'], to: 'active' },
  revoke: { from: ['active', 'paused', 'blocked'], to: 'revoked' },
} as const

export function appHandlers(
  deps: Deps,
): Pick<Answers, 'apps_list' | 'apps_pause' | 'apps_resume' | 'apps_revoke' | 'apps_revoke_client'> {
  const change = async (name: keyof typeof MOVES, { principal, reason }: { principal: Principal; reason: string }) => {
    const account = await accountOfApp(deps, principal)
    const resource = { kind: 'app', id: principal }
    const act = {
      name: `apps_${name}`,
      kind: 'token_changed',
      account,
      reason,
      input: { principal },
      resource,
    } as const
    const { receipt } = await perform(deps, act, async () => ({
      value: await changeStatus(deps, account, async (query) => {
        const { from, to } = MOVES[name]
        const isRevoking = to === 'revoked'
        const changed = await query(
          `UPDATE policy.apps SET state = coalesce($2, state), revoked_at = coalesce($3, revoked_at), state_reason = $4
           WHERE principal = $1 AND state = ANY ($5) AND NOT ${IS_REVOKED} RETURNING sub`,
          [principal, isRevoking ? null : to, isRevoking ? new Date(deps.clock.now()) : null, reason, from],
        )
        if (changed.length === 0) throw new Fault('CONFLICT', `the app is not ${from.join(' or ')}`)
      }),
    }))
    return { ok: true as const, receipt }
  }

  return {
    async apps_list({ account }) {
      await deps.lastUse.flush(deps.clock.now(), true)
      const rows = await deps.database.acrossAccounts(async (query, enter) => {
        const apps: AppRow[] = []
        for (const id of account === null ? await accountIds(query) : [account]) {
          await enter(id)
          apps.push(...(await listApps(query)))
        }
        return apps
      })
      return {
        apps: rows.map((row) => ({
          principal: Principal.parse(row.principal),
          account: AccountId.parse(row.account_id),
          sub: row.sub,
          client: row.client,
          state: row.state,
          scopes: row.scopes,
          first_used_at: row.first_used_at.getTime(),
          last_used_at: row.last_used_at.getTime(),
        })),
      }
    },

    apps_pause: (input) => change('pause', input),
    apps_resume: (input) => change('resume', input),
    apps_revoke: (input) => change('revoke', input),

    async apps_revoke_client({ client, reason }) {
      const resource = { kind: 'client', id: client }
      const input = { client }
      const act = { name: 'apps_revoke_client', kind: 'token_changed', account: null, reason, input, resource } as const
      const { value, receipt } = await perform(deps, act, async () => {
        const revoked = await changeStatus(deps, null, async (query, enter) => {
          const stopped = await stoppedBy(query, enter, client)
          await revokeClient(query, client, reason, deps.clock.now())
          return stopped
        })
        return { value: revoked, personal: { input: { client, revoked } } }
      })
      return { revoked: value, receipt }
    },
  }
}

async function accountOfApp(deps: Deps, principal: Principal): Promise<AccountId> {
  const app = readAppPrincipal(principal)
  if (!app) throw new Fault('INPUT_INVALID', 'an app is oauth:<person>:<client>')
  const account = await accountOfMember(deps, app.sub)
  const rows = await deps.database.inAccount(account, (query) =>
    query('SELECT 1 FROM policy.apps WHERE principal = $1', [principal]),
  )
  if (rows.length === 0) throw new Fault('NOT_FOUND', 'this app was never used: apps revoke-client stops unused ones')
  return account
}

const listApps = (query: Query): Promise<AppRow[]> =>
  query<AppRow>(
    `SELECT account_id, sub, client, principal, CASE WHEN ${IS_REVOKED} THEN 'revoked' ELSE state END AS state,
       scopes, first_used_at, last_used_at
     FROM policy.apps ORDER BY first_used_at, principal`,
  )

/** The apps of all accounts that a client's revocation stops. */
async function stoppedBy(query: Query, enter: (account: string) => Promise<void>, client: string): Promise<string[]> {
  const stopped: string[] = []
  for (const id of await accountIds(query)) {
    await enter(id)
    const apps = await query<{ principal: string }>(
      `SELECT principal FROM policy.apps WHERE client = $1 AND NOT ${IS_REVOKED}`,
      [client],
    )
    stopped.push(...apps.map(({ principal }) => principal))
  }
  return stopped
}

/** The row that counts is the client's: it also stops who connected and has not called yet. */
async function revokeClient(query: Query, client: string, reason: string, now: number): Promise<void> {
  await query(
    `INSERT INTO policy.revoked_clients (client, at, reason) VALUES ($1, $2, $3)
     ON CONFLICT (client) DO UPDATE SET at = excluded.at, reason = excluded.reason`,
    [client, new Date(now), reason],
  )
}

/** Apps of the account whose row `query` sees. */
export async function revokeAppsSeenSince(query: Query, since: Date, reason: string, now: number): Promise<string[]> {
  const rows = await query<{ principal: string }>(
    `UPDATE policy.apps SET revoked_at = $2, state_reason = $3
     WHERE last_used_at >= $1 AND NOT ${IS_REVOKED} RETURNING principal`,
    [since, new Date(now), reason],
  )
  return rows.map(({ principal }) => principal)
}
