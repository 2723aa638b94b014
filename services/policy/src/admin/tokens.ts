// Personal tokens, by the operator: made (shown once), listed, paused, resumed, revoked.
import type { adminDoor } from '@bailiwick/contracts/doors/policy'
import { SCOPES } from '@bailiwick/contracts/scopes'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import type { Handlers } from '@bailiwick/kernel/door'
import { AccountId, uuidv7 } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import type { TokenFacts } from '../checks/facts.ts'
import { makePersonalToken } from '../checks/token-format.ts'
import { readAddressList } from '../checks/token.ts'
import { hmacOf } from '../credential.ts'
import type { Query } from '../database.ts'
import type { Deps } from '../deps.ts'
import { LAST_USE_LAG_MS } from '../last-use.ts'
import { revokeAppsSeenSince } from './apps.ts'
import { accountIds } from './accounts.ts'
import { changeStatus, perform, requireAccount } from './act.ts'

type Answers = Handlers<typeof adminDoor>
type State = TokenFacts['state']
type TokenRow = {
  id: string
  account_id: string
  name: string
  scopes: string[]
  addresses: string[]
  state: State
  created_at: Date
  expires_at: Date
  last_used_at: Date | null
}

/** Which states each act starts from. What is revoked stays revoked. */
const MOVES: Readonly<Record<'pause' | 'resume' | 'revoke', { from: readonly State[]; to: State }>> = {
  pause: { from: ['active'], to: 'paused' },
  resume: { from: ['paused', 'blocked'], to: 'active' },
  revoke: { from: ['active', 'paused', 'blocked'], to: 'revoked' },
}

export function tokenHandlers(
  deps: Deps,
): Pick<
  Answers,
  'tokens_create' | 'tokens_list' | 'tokens_pause' | 'tokens_resume' | 'tokens_revoke' | 'tokens_revoke_seen_since'
> {
  const move = async (name: keyof typeof MOVES, { id, reason }: { id: string; reason: string }) => {
    const account = await accountOf(deps, id)
    const resource = { kind: 'token', id }
    const act = { name: `tokens_${name}`, kind: 'token_changed', account, reason, input: { id }, resource } as const
    const { receipt } = await perform(deps, act, async () => ({
      value: await changeStatus(deps, account, async (query) => {
        const { from, to } = MOVES[name]
        const moved = await query(
          'UPDATE policy.tokens SET state = $2, state_reason = $3 WHERE id = $1 AND state = ANY ($4) RETURNING id',
          [id, to, reason, from],
        )
        if (moved.length === 0) throw new Fault('CONFLICT', `the token is not ${from.join(' or ')}`)
      }),
    }))
    return { ok: true as const, receipt }
  }

  return {
    async tokens_create({ account, name, scopes, expires_in_days, addresses }) {
      const unknown = scopes.find((scope) => !SCOPES.includes(scope))
      if (unknown !== undefined) throw new Fault('INPUT_INVALID', `there is no scope ${unknown}`)
      if (!readAddressList(addresses)) throw new Fault('INPUT_INVALID', 'addresses: an address, or address/prefix')
      await requireAccount(deps, account)
      const now = deps.clock.now()
      const id = uuidv7(now)
      const token = makePersonalToken()
      const expiresAt = now + expires_in_days * 86_400_000
      const input = { name, scopes, expires_in_days, addresses }
      const resource = { kind: 'token', id }
      const act = { name: 'tokens_create', kind: 'token_issued', account, reason: null, input, resource } as const
      await perform(deps, act, async () => ({
        value: await deps.database.inAccount(account, (query) =>
          query(
            `INSERT INTO policy.tokens (id, account_id, hmac, name, scopes, addresses, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
            [
              id,
              account,
              hmacOf(deps.tokenKey, token),
              name,
              [...new Set(scopes)].sort(),
              addresses,
              new Date(now),
              new Date(expiresAt),
            ],
          ),
        ),
        personal: { token: sha256Hex(token) },
      }))
      // Not before the entry is durable: a token that is out is a token on the record.
      return { id, token, expires_at: expiresAt }
    },

    async tokens_list({ account }) {
      await deps.lastUse.flush(deps.clock.now(), true)
      const rows = await listTokens(deps, account)
      return {
        tokens: rows.map((row) => ({
          id: row.id,
          account: AccountId.parse(row.account_id),
          name: row.name,
          scopes: row.scopes,
          state: row.state !== 'revoked' && row.expires_at.getTime() <= deps.clock.now() ? 'expired' : row.state,
          created_at: row.created_at.getTime(),
          expires_at: row.expires_at.getTime(),
          last_used_at: row.last_used_at?.getTime() ?? null,
          addresses: row.addresses,
        })),
      }
    },

    tokens_pause: (input) => move('pause', input),
    tokens_resume: (input) => move('resume', input),
    tokens_revoke: (input) => move('revoke', input),

    async tokens_revoke_seen_since({ seen_since, account, reason }) {
      if (account !== null) await requireAccount(deps, account)
      const input = { seen_since, account }
      const act = { name: 'tokens_revoke_seen_since', kind: 'token_changed', account, reason, input } as const
      const { value, receipt } = await perform(deps, act, async () => {
        await deps.lastUse.flush(deps.clock.now(), true)
        // What is stored may be behind the last use: rather one token too many than the thief's one too few.
        const since = new Date(seen_since - LAST_USE_LAG_MS)
        const revoked: string[] = []
        const apps: string[] = []
        await changeStatus(deps, account, async (query, enter) => {
          for (const id of account === null ? await accountIds(query) : [account]) {
            await enter(id)
            revoked.push(...(await revokeSeenSince(query, since, reason)))
            apps.push(...(await revokeAppsSeenSince(query, since, reason, deps.clock.now())))
          }
        })
        return { value: { revoked, apps }, personal: { input: { ...input, revoked, apps } } }
      })
      return { ...value, receipt }
    },
  }
}

async function revokeSeenSince(query: Query, since: Date, reason: string): Promise<string[]> {
  const rows = await query<{ id: string }>(
    `UPDATE policy.tokens SET state = 'revoked', state_reason = $2
     WHERE last_used_at >= $1 AND state <> 'revoked' RETURNING id`,
    [since, reason],
  )
  return rows.map(({ id }) => id)
}

const listTokens = (deps: Deps, account: string | null): Promise<TokenRow[]> =>
  deps.database.acrossAccounts(async (query, enter) => {
    const rows: TokenRow[] = []
    for (const id of account === null ? await accountIds(query) : [account]) {
      await enter(id)
      rows.push(...(await query<TokenRow>('SELECT * FROM policy.tokens ORDER BY created_at')))
    }
    return rows
  })

async function accountOf(deps: Deps, tokenId: string): Promise<string> {
  const [row] = await deps.database.query<{ account_id: string }>(
    'SELECT account_id FROM policy.find_token(NULL, $1)',
    [tokenId],
  )
  if (!row) throw new Fault('NOT_FOUND', 'there is no token with this id')
  return row.account_id
}
