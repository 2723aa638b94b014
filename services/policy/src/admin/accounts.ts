// Accounts and their tiers, by the operator.
import type { adminDoor } from '@bailiwick/contracts/doors/policy'
import type { Handlers } from '@bailiwick/kernel/door'
import { AccountId, uuidv7 } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import type { Query } from '../database.ts'
import type { Deps } from '../deps.ts'
import type { Tier } from '../rules.ts'
import { changeStatus, perform, requireAccount } from './act.ts'

type Answers = Handlers<typeof adminDoor>

export const accountIds = async (query: Query): Promise<string[]> =>
  (await query<{ id: string }>('SELECT policy.account_ids() AS id')).map(({ id }) => id)

export function accountHandlers(
  deps: Deps,
): Pick<Answers, 'accounts_list' | 'accounts_create' | 'accounts_tier' | 'operations'> {
  return {
    accounts_list: async () => ({
      accounts: await deps.database.acrossAccounts(async (query, enter) => {
        const accounts = []
        for (const id of await accountIds(query)) {
          await enter(id)
          accounts.push(await readAccount(query, id))
        }
        return accounts
      }),
    }),

    async accounts_create({ name, time_zone }) {
      if (!isTimeZone(time_zone)) throw new Fault('INPUT_INVALID', 'time_zone is not an IANA time zone')
      const now = deps.clock.now()
      const id = uuidv7(now)
      const resource = { kind: 'account', id }
      const act = { name: 'accounts_create', kind: 'account_created', account: id, reason: null, resource } as const
      const { value } = await perform(deps, { ...act, input: { name, time_zone } }, async () => ({
        value: await deps.database.inAccount(id, async (query) => {
          await query(
            `INSERT INTO policy.accounts (id, name, tier, tier_since, time_zone, created_at) VALUES ($1, $2, 'none', $4, $3, $4)`,
            [id, name, time_zone, new Date(now)],
          )
          return readAccount(query, id)
        }),
      }))
      return value
    },

    async accounts_tier({ account, tier, reason }) {
      await requireAccount(deps, account)
      const act = { name: 'accounts_tier', kind: 'tier', account, reason, input: { tier } } as const
      const { receipt } = await perform(deps, act, async () => ({
        value: await changeStatus(deps, account, (query) => changeTier(query, account, tier, reason, deps.clock.now())),
      }))
      return { ok: true, receipt }
    },

    async operations({ account, limit }) {
      const operations = await deps.database.acrossAccounts(async (query, enter) => {
        const found = []
        for (const id of account === null ? await accountIds(query) : [account]) {
          await enter(id)
          found.push(
            ...(await query<{ id: string; tool: string; created_at: Date; undo_until: Date; account_id: string }>(
              'SELECT * FROM policy.operations ORDER BY created_at DESC LIMIT $1',
              [limit],
            )),
          )
        }
        return found.sort((a, b) => b.created_at.getTime() - a.created_at.getTime()).slice(0, limit)
      })
      return {
        operations: operations.map((row) => ({
          id: row.id,
          account: row.account_id,
          tool: row.tool,
          created_at: row.created_at.getTime(),
          undo_until: row.undo_until.getTime(),
        })),
      }
    },
  }
}

async function readAccount(query: Query, id: string) {
  const [row] = await query<{ name: string; tier: Tier; tier_since: Date; created_at: Date; frozen: boolean }>(
    `SELECT name, tier, tier_since, created_at,
       EXISTS (SELECT FROM policy.freezes WHERE lifted_at IS NULL AND resource_id IS NULL) AS frozen
     FROM policy.accounts WHERE id = $1`,
    [id],
  )
  const { name, tier, tier_since, created_at, frozen } = row!
  return {
    id: AccountId.parse(id),
    name,
    tier,
    tier_since: tier_since.getTime(),
    created_at: created_at.getTime(),
    frozen,
  }
}

/** The reason carries the owner's consent and the look at the log; less than 7 days in the tier shows in the history. */
async function changeTier(query: Query, account: string, tier: Tier, reason: string, now: number): Promise<void> {
  const [before] = await query<{ tier: Tier; tier_since: Date }>(
    'SELECT tier, tier_since FROM policy.accounts WHERE id = $1 FOR UPDATE',
    [account],
  )
  if (before!.tier === tier) throw new Fault('CONFLICT', `the account is at tier ${tier} already`)
  const days = (now - before!.tier_since.getTime()) / 86_400_000
  await query(
    `INSERT INTO policy.tier_history (id, account_id, at, from_tier, to_tier, reason, days_in_tier)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [uuidv7(now), account, new Date(now), before!.tier, tier, reason, days.toFixed(3)],
  )
  await query('UPDATE policy.accounts SET tier = $2, tier_since = $3 WHERE id = $1', [account, tier, new Date(now)])
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
