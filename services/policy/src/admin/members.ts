// Which person of the identity provider belongs to which account, by the operator.
import type { adminDoor } from '@bailiwick/contracts/doors/policy'
import type { Handlers } from '@bailiwick/kernel/door'
import { AccountId } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import type { Query } from '../database.ts'
import type { Deps } from '../deps.ts'
import { accountIds } from './accounts.ts'
import { changeStatus, perform, requireAccount } from './act.ts'

type Answers = Handlers<typeof adminDoor>

export function memberHandlers(
  deps: Deps,
): Pick<Answers, 'members_list' | 'members_add' | 'members_remove' | 'members_reset'> {
  return {
    async members_list({ account }) {
      const rows = await deps.database.acrossAccounts(async (query, enter) => {
        const members = []
        for (const id of account === null ? await accountIds(query) : [account]) {
          await enter(id)
          members.push(
            ...(await query<{ account_id: string; sub: string; role: 'owner' | 'member'; created_at: Date }>(
              'SELECT account_id, sub, role, created_at FROM policy.members ORDER BY created_at, sub',
            )),
          )
        }
        return members
      })
      return {
        members: rows.map(({ account_id, sub, role, created_at }) => ({
          account: AccountId.parse(account_id),
          sub,
          role,
          created_at: created_at.getTime(),
        })),
      }
    },

    async members_add({ account, sub, role, reason }) {
      await requireAccount(deps, account)
      const resource = { kind: 'member', id: sub }
      const act = { name: 'members_add', kind: 'admin', account, reason, input: { sub, role }, resource } as const
      const { receipt } = await perform(deps, act, async () => ({
        value: await changeStatus(deps, account, async (query) => {
          const added = await query(
            `INSERT INTO policy.members (account_id, sub, role, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING RETURNING sub`,
            [account, sub, role, new Date(deps.clock.now())],
          )
          if (added.length === 0) throw new Fault('CONFLICT', 'the person belongs to an account already')
        }),
      }))
      return { ok: true, receipt }
    },

    async members_remove({ sub, reason }) {
      const account = await accountOfMember(deps, sub)
      const resource = { kind: 'member', id: sub }
      const act = { name: 'members_remove', kind: 'admin', account, reason, input: { sub }, resource } as const
      const { receipt } = await perform(deps, act, async () => {
        const revoked = await changeStatus(deps, account, (query) => removeMember(query, sub, reason, deps.clock.now()))
        return { value: null, personal: { input: { sub, ...revoked } } }
      })
      return { ok: true, receipt }
    },

    async members_reset({ sub, reason }) {
      const account = await accountOfMember(deps, sub)
      const resource = { kind: 'member', id: sub }
      const act = { name: 'members_reset', kind: 'admin', account, reason, input: { sub }, resource } as const
      // Nothing changes here: the operator's command goes on at the identity provider, whose own events follow in the log.
      const { receipt } = await perform(deps, act, async () => ({ value: null }))
      return { ok: true, receipt }
    },
  }
}

export async function accountOfMember(deps: Deps, sub: string): Promise<AccountId> {
  const [row] = await deps.database.query<{ account: string | null }>('SELECT policy.find_member($1) AS account', [sub])
  if (row!.account === null) throw new Fault('NOT_FOUND', 'this person belongs to no account')
  return AccountId.parse(row!.account)
}

/** Without the row the apps have no account. They and the person's tokens are revoked too: a return starts anew. */
async function removeMember(query: Query, sub: string, reason: string, now: number) {
  const removed = await query('DELETE FROM policy.members WHERE sub = $1 RETURNING sub', [sub])
  if (removed.length === 0) throw new Fault('CONFLICT', 'the person is gone already')
  const tokens = await query<{ id: string }>(
    `UPDATE policy.tokens SET state = 'revoked', state_reason = $2 WHERE user_sub = $1 AND state <> 'revoked' RETURNING id`,
    [sub, reason],
  )
  const apps = await query<{ principal: string }>(
    'UPDATE policy.apps SET revoked_at = $2, state_reason = $3 WHERE sub = $1 RETURNING principal',
    [sub, new Date(now), reason],
  )
  return { tokens: tokens.map(({ id }) => id), apps: apps.map(({ principal }) => principal) }
}
