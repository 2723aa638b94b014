// The kill switch and freezes, by the operator. Setting one that stands, or lifting one that does not, is no act.
import type { adminDoor } from '@bailiwick/contracts/doors/policy'
import type { Handlers } from '@bailiwick/kernel/door'
import { AccountId, ResourceId, uuidv7 } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import type { Deps } from '../deps.ts'
import { accountIds } from './accounts.ts'
import { changeStatus, perform, requireAccount } from './act.ts'

type Answers = Handlers<typeof adminDoor>

export function switchHandlers(deps: Deps): Pick<Answers, 'kill' | 'kill_status' | 'freeze' | 'freezes_list'> {
  return {
    async kill({ on, reason }) {
      const act = { name: 'kill', kind: 'kill_switch', account: null, reason, input: { on } } as const
      const { receipt } = await perform(deps, act, async () => ({
        value: await changeStatus(deps, null, (query) =>
          query('UPDATE policy.settings SET killed = $1, killed_since = $2, killed_reason = $3', [
            on,
            on ? new Date(deps.clock.now()) : null,
            on ? reason : null,
          ]),
        ),
      }))
      return { ok: true, receipt }
    },

    async kill_status() {
      const [row] = await deps.database.query<{
        killed: boolean
        killed_since: Date | null
        killed_reason: string | null
      }>('SELECT killed, killed_since, killed_reason FROM policy.settings')
      return { on: row!.killed, since: row!.killed_since?.getTime() ?? null, reason: row!.killed_reason }
    },

    async freeze({ account, resource, on, reason }) {
      await requireAccount(deps, account)
      const act = { name: 'freeze', kind: 'freeze', account, reason, input: { resource, on } } as const
      const touched = resource === null ? {} : { resource: { kind: 'resource', id: resource } }
      const { receipt } = await perform(deps, { ...act, ...touched }, async () => ({
        value: await changeStatus(deps, account, async (query) => {
          const now = new Date(deps.clock.now())
          const changed = on
            ? await query(
                `INSERT INTO policy.freezes (id, account_id, resource_id, since, reason) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (account_id, resource_id) WHERE lifted_at IS NULL DO NOTHING RETURNING id`,
                [uuidv7(now.getTime()), account, resource, now, reason],
              )
            : await query(
                `UPDATE policy.freezes SET lifted_at = $2, lift_reason = $3
                 WHERE resource_id IS NOT DISTINCT FROM $1 AND lifted_at IS NULL RETURNING id`,
                [resource, now, reason],
              )
          if (changed.length === 0) throw new Fault('CONFLICT', on ? 'it is frozen already' : 'it is not frozen')
        }),
      }))
      return { ok: true, receipt }
    },

    freezes_list: async () => ({
      freezes: await deps.database.acrossAccounts(async (query, enter) => {
        const freezes = []
        for (const id of await accountIds(query)) {
          await enter(id)
          const rows = await query<{ resource_id: string | null; since: Date; reason: string }>(
            'SELECT resource_id, since, reason FROM policy.freezes WHERE lifted_at IS NULL ORDER BY since',
          )
          for (const row of rows)
            freezes.push({
              account: AccountId.parse(id),
              resource: row.resource_id === null ? null : ResourceId.parse(row.resource_id),
              since: row.since.getTime(),
              reason: row.reason,
            })
        }
        return freezes
      }),
    }),
  }
}
