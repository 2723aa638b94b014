// Status in memory: tokens, accounts, kill switch, freezes, as of one epoch. Whoever changes status moves the epoch in the same
// transaction, so "the epoch is still the one I loaded under" means "nothing that I hold has changed".
import { timingSafeEqual } from 'node:crypto'
import { AccountId, Principal } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'
import { effectiveScopes } from '@bailiwick/contracts/scopes'
import type { Current } from './checks/facts.ts'
import { readAddressList } from './checks/token.ts'
import type { Database, Query } from './database.ts'
import type { Limits } from './limits.ts'
import type { Tier } from './rules.ts'

/** How long a look at PostgreSQL's epoch counts, and how often it is taken: what bounds a revocation whose notice got lost. */
const LOOK_EVERY_MS = 500
const LOOK_COUNTS_MS = 1000
const MAX_KEPT = 20_000

type Snapshot = {
  readonly epoch: number
  readonly killed: boolean
  readonly byKey: Map<string, Current>
}
type TokenKey = { hmac: Buffer } | { id: string }

export type Status = {
  /** The token with its account, or null when there is none. Up to date only after `catchUp`. */
  find(key: TokenKey): Promise<Current | null>
  /** From here on `find` answers at least as of `seen`, the epoch that Valkey named; null: ask PostgreSQL itself. */
  catchUp(seen: number | null): Promise<void>
  /** After a commit that moved the epoch to `epoch`: tells Valkey, and so every replica. */
  publish(epoch: number): Promise<void>
  close(): void
}

/** Moves the epoch inside the caller's transaction; what comes back is for `publish`, after the commit. */
export async function moveEpoch(query: Query): Promise<number> {
  const [row] = await query<{ value: string }>('UPDATE policy.epoch SET value = value + 1 RETURNING value')
  return Number(row!.value)
}

export function createStatus(deps: { database: Database; limits: Limits; logger: Logger }): Status {
  const { database, limits, logger } = deps
  let snapshot: Snapshot | null = null
  let lookedAt = Number.NEGATIVE_INFINITY

  const readSwitches = async (): Promise<{ epoch: number; killed: boolean }> => {
    const started = performance.now()
    const [row] = await database.query<{ epoch: string; killed: boolean }>(
      'SELECT e.value AS epoch, s.killed FROM policy.epoch e, policy.settings s',
    )
    lookedAt = started
    return { epoch: Number(row!.epoch), killed: row!.killed }
  }

  /** A new snapshot only when the epoch differs: also backwards, for a database that was restored. */
  const look = async (): Promise<Snapshot> => {
    const before = snapshot
    const { epoch, killed } = await readSwitches()
    // Another look may have finished in between, with a newer epoch than ours.
    if (snapshot !== before && snapshot && snapshot.epoch >= epoch) return snapshot
    if (!snapshot || snapshot.epoch !== epoch) snapshot = { epoch, killed, byKey: new Map() }
    return snapshot
  }

  // Without the copy the other replicas see a change at their next look at PostgreSQL, within half a second.
  const notPublished = (error: unknown): void => logger.warn('epoch_not_published', { reason: String(error) })

  const timer = setInterval(() => {
    look().catch((error: unknown) => logger.warn('epoch_look_failed', { reason: String(error) }))
  }, LOOK_EVERY_MS)
  timer.unref()

  return {
    async find(key) {
      const held = snapshot ?? (await look())
      const name = 'id' in key ? key.id : key.hmac.toString('hex')
      const known = held.byKey.get(name)
      if (known) return known
      const loaded = await loadToken(database, key, held.killed)
      if (!loaded) return null
      // Kept under the snapshot that was current when the row was asked for: if the epoch has moved since, nobody reads it.
      if (held.byKey.size >= MAX_KEPT) held.byKey.delete(held.byKey.keys().next().value!)
      held.byKey.set(name, loaded)
      return loaded
    },
    async catchUp(seen) {
      const isFresh = performance.now() - lookedAt < LOOK_COUNTS_MS
      if (snapshot && isFresh && seen !== null && seen <= snapshot.epoch) return
      const { epoch } = await look()
      // The truth is never behind the copy, because the copy is made after the commit: one ahead is of another history.
      if (seen !== null && seen > epoch) await limits.repairEpoch(seen, epoch).catch(notPublished)
      else if (seen === null) await limits.publishEpoch(epoch).catch(notPublished)
    },
    async publish(epoch) {
      await limits.publishEpoch(epoch).catch(notPublished)
      await look()
    },
    close: () => clearInterval(timer),
  }
}

type TokenRow = {
  token_id: string
  account_id: string
  hmac: Buffer
  token_name: string
  scopes: string[]
  addresses: string[]
  user_sub: string | null
  state: Current['token']['state']
  expires_at: Date
  account_name: string
  tier: Tier
  frozen: boolean
  frozen_resources: string[]
}

async function loadToken(database: Database, key: TokenKey, killed: boolean): Promise<Current | null> {
  const [row] = await database.query<TokenRow>('SELECT * FROM policy.find_token($1, $2)', [
    'hmac' in key ? key.hmac : null,
    'id' in key ? key.id : null,
  ])
  if (!row || ('hmac' in key && !timingSafeEqual(row.hmac, key.hmac))) return null
  const addresses = readAddressList(row.addresses)
  return {
    killed,
    token: {
      id: row.token_id,
      principal: Principal.parse(`pat:${row.token_id}`),
      name: row.token_name,
      granted: row.scopes,
      scopes: effectiveScopes(row.scopes),
      state: row.state,
      expiresAt: row.expires_at.getTime(),
      // A list that cannot be read lets nobody in, rather than everybody.
      addresses: addresses ? addresses.list : readAddressList(['0.0.0.0/32'])!.list,
      user: row.user_sub,
    },
    account: {
      id: AccountId.parse(row.account_id),
      name: row.account_name,
      tier: row.tier,
      frozen: row.frozen,
      frozenResources: new Set(row.frozen_resources),
    },
  }
}
