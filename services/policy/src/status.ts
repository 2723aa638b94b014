// Status in memory: tokens, apps, accounts, kill switch, freezes, as of one epoch. Whoever changes status moves the epoch in the same
// transaction, so "the epoch is still the one I loaded under" means "nothing that I hold has changed".
import { timingSafeEqual } from 'node:crypto'
import { Principal } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'
import { effectiveScopes } from '@bailiwick/contracts/scopes'
import { toAccountFacts, type AccountRow, type Current } from './checks/facts.ts'
import { readAddressList } from './checks/token.ts'
import type { Database, Query } from './database.ts'
import { currentOf, loadApp, type AppStanding } from './identity/find-app.ts'
import type { AccessToken } from './identity/verify-access-token.ts'
import type { Limits } from './limits.ts'

/** How long a look at PostgreSQL's epoch counts, and how often it is taken: what bounds a revocation whose notice got lost. */
const LOOK_EVERY_MS = 250
const LOOK_COUNTS_MS = 1000
const MAX_KEPT = 20_000

/** How old what we know of the identity provider's revocations may be: older, and its tokens are refused. */
const IDENTITY_COUNTS_MS = 5000

type Snapshot = {
  readonly epoch: number
  readonly killed: boolean
  readonly tokens: Map<string, Promise<Current | null>>
  readonly apps: Map<string, Promise<AppStanding | null>>
}
type TokenKey = { readonly hmac: Buffer } | { readonly id: string }
export type StatusKey = TokenKey | { readonly grant: AccessToken }

export type Status = {
  /** The credential with its account, or null when there is none. Up to date only after `catchUp`. */
  find(key: StatusKey): Promise<Current | null>
  /** From here on `find` answers at least as of `seen`, the epoch that Valkey named; null: ask PostgreSQL itself. */
  catchUp(seen: number | null): Promise<void>
  /** After a commit that moved the epoch to `epoch`: tells Valkey, and so every replica. */
  publish(epoch: number): Promise<void>
  /** Calls `listener` whenever what was held may have changed. The returned function ends it. */
  onChange(listener: () => void): () => void
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
  /** How long ago, at the look, the last successful poll of the identity provider had begun. */
  let identityAgeMs = Number.POSITIVE_INFINITY
  const listeners = new Set<() => void>()

  const readSwitches = async (): Promise<{ epoch: number; killed: boolean }> => {
    const started = performance.now()
    // The age by the database's own clock: the replicas' may differ.
    const [row] = await database.query<{ epoch: string; killed: boolean; age: string | null }>(
      `SELECT e.value AS epoch, s.killed, extract(epoch FROM clock_timestamp() - i.polled_at) * 1000 AS age
       FROM policy.epoch e, policy.settings s, policy.identity_polls i`,
    )
    lookedAt = started
    // In the future: the clock was set back, and how old it is nobody knows.
    identityAgeMs = row!.age === null || Number(row!.age) < 0 ? Number.POSITIVE_INFINITY : Number(row!.age)
    return { epoch: Number(row!.epoch), killed: row!.killed }
  }

  /** A new snapshot only when the epoch differs: also backwards, for a database that was restored. */
  const look = async (): Promise<Snapshot> => {
    const before = snapshot
    const { epoch, killed } = await readSwitches()
    // Another look may have finished in between, with a newer epoch than ours.
    if (snapshot !== before && snapshot && snapshot.epoch >= epoch) return snapshot
    if (!snapshot || snapshot.epoch !== epoch) {
      snapshot = { epoch, killed, tokens: new Map(), apps: new Map() }
      for (const listener of listeners) listener()
    }
    return snapshot
  }

  let looking: Promise<Snapshot> | null = null
  const lookTogether = (): Promise<Snapshot> => {
    looking ??= look().finally(() => {
      looking = null
    })
    return looking
  }
  const reaches = (seen: number | null): boolean =>
    snapshot !== null && seen !== null && seen <= snapshot.epoch && performance.now() - lookedAt < LOOK_COUNTS_MS

  const isIdentityFresh = (): boolean => identityAgeMs + (performance.now() - lookedAt) < IDENTITY_COUNTS_MS

  /**
   * Kept under the snapshot that was current when the row was asked for: if the epoch has moved since, nobody reads it. Calls that
   * come together ask once. What is not there is not kept: it may be there at the next call.
   */
  const keep = <V>(map: Map<string, Promise<V | null>>, name: string, load: () => Promise<V | null>) => {
    const known = map.get(name)
    if (known) return known
    if (map.size >= MAX_KEPT) map.delete(map.keys().next().value!)
    const loading = load()
    map.set(name, loading)
    const forget = (): void => {
      if (map.get(name) === loading) map.delete(name)
    }
    loading.then((value) => value ?? forget(), forget)
    return loading
  }

  const findToken = (held: Snapshot, key: TokenKey): Promise<Current | null> =>
    keep(held.tokens, 'id' in key ? key.id : key.hmac.toString('hex'), () => loadToken(database, key, held.killed))

  const findApp = async (held: Snapshot, grant: AccessToken): Promise<Current | null> => {
    const name = `${grant.sub} ${grant.session} ${grant.client}`
    const app = await keep(held.apps, name, () => loadApp(database, grant))
    return app && currentOf(grant, app, { killed: held.killed, isFresh: isIdentityFresh() })
  }

  // Without the copy the other replicas see a change at their next look at PostgreSQL, within a quarter second.
  const notPublished = (error: unknown): void => logger.warn('epoch_not_published', { reason: String(error) })

  const timer = setInterval(() => {
    look().catch((error: unknown) => logger.warn('epoch_look_failed', { reason: String(error) }))
  }, LOOK_EVERY_MS)
  timer.unref()

  return {
    async find(key) {
      const held = snapshot ?? (await lookTogether())
      return 'grant' in key ? findApp(held, key.grant) : findToken(held, key)
    },
    async catchUp(seen) {
      if (reaches(seen)) return
      // Many that find it old at the same moment share one look, if that one saw what they must see.
      if (seen !== null) {
        await lookTogether()
        if (reaches(seen)) return
      }
      const { epoch } = await look()
      // The truth is never behind the copy, because the copy is made after the commit: one ahead is of another history.
      if (seen !== null && seen > epoch) await limits.repairEpoch(seen, epoch).catch(notPublished)
      else if (seen === null) await limits.publishEpoch(epoch).catch(notPublished)
    },
    async publish(epoch) {
      await limits.publishEpoch(epoch).catch(notPublished)
      await look()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close: () => clearInterval(timer),
  }
}

type TokenRow = AccountRow & {
  token_id: string
  hmac: Buffer
  token_name: string
  scopes: string[]
  addresses: string[]
  user_sub: string | null
  state: Current['token']['state']
  expires_at: Date
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
      client: null,
      grant: null,
    },
    account: toAccountFacts(row),
  }
}
