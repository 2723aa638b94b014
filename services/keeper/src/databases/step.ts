// How a verb that changes a database is written: what it targets, how it acts, and how its effect is found again after a crash.
// The stamp is written in the transaction of the change itself, so that it is there exactly when the change is.
import type { Json } from '@bailiwick/kernel/canonical'
import type { Clock } from '@bailiwick/kernel/clock'
import type { Client } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import type { RunAs } from '@bailiwick/kernel/postgres-cluster'
import type { vaultDoor } from '@bailiwick/contracts/doors/vault'
import type { Cluster, Clusters } from '../clusters.ts'
import type { Probed, StepKey } from '../operations.ts'
import { Refusal } from '../refusal.ts'
import type { Connections, Sql } from './connections.ts'
import { rollBack } from './errors.ts'
import { namesOf, SUPERUSER, type DatabaseNames } from './names.ts'

export type Hands = {
  readonly clusters: Clusters
  readonly vault: Client<typeof vaultDoor>
  /** For dumps and recoveries in the making; nothing in it outlives the verb that made it. */
  readonly scratchDir: string
  /** The user that runs the clusters; null: our own. */
  readonly runAs: RunAs | null
  readonly clock: Clock
  readonly logger: Logger
}

export type ChangeVerb<I, O extends Json> = {
  target(input: I): string
  /** From the key alone: it also answers for steps of before a restart. */
  probe(key: StepKey): Promise<Probed<O>>
  act(input: I, key: StepKey): Promise<O>
}

export type Place = { cluster: Cluster; connections: Connections; names: DatabaseNames; databaseId: string }

export const databaseOf = (key: StepKey): string => key.target.split('/')[0]!

/** Where a database lives. The account's own cluster only: an id of another account leads nowhere. */
export async function findPlace(hands: Hands, accountId: string, databaseId: string): Promise<Place | null> {
  const cluster = hands.clusters.find(accountId)
  return cluster && { cluster, connections: await cluster.connections(), names: namesOf(databaseId), databaseId }
}

export async function requirePlace(hands: Hands, accountId: string, databaseId: string): Promise<Place> {
  const place = await findPlace(hands, accountId, databaseId)
  if (!place) throw new Refusal('NOT_FOUND', 'there is no such database')
  return place
}

export type DatabaseMark = {
  verb: string
  operation_id: string
  at: number
  created_at: number
  /** Of a database that was made from another's past: the moment that it shows. */
  recovered_to?: number
}

export type DatabaseState = {
  state: 'active' | 'quarantined' | 'absent'
  /** The keeper's own record, on the database itself; only the superuser can write it. */
  mark: DatabaseMark | null
}

export async function readState(place: Place): Promise<DatabaseState> {
  return place.connections.use('postgres', SUPERUSER, async (sql) => {
    const { rows } = await sql.query<{ datname: string; mark: string | null }>(
      `SELECT datname, shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname = ANY ($1)`,
      [[place.names.database, place.names.quarantined]],
    )
    const row = rows[0]
    if (!row) return { state: 'absent', mark: null }
    return {
      state: row.datname === place.names.database ? 'active' : 'quarantined',
      mark: row.mark ? (JSON.parse(row.mark) as DatabaseMark) : null,
    }
  })
}

/** One transaction of `role` in the database, stamped with the step; commits all of `work` or nothing. */
export async function stamped<O extends Json>(
  place: Place,
  role: string,
  key: StepKey,
  work: (sql: Sql) => Promise<O>,
): Promise<O> {
  return place.connections.use(place.names.database, role, async (sql) => {
    try {
      // The name lets `probeStamp` find, and end, a session whose commit we did not hear about.
      await sql.query(`BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s'`)
      await sql.query(`SELECT set_config('application_name', $1, true)`, [sessionName(key)])
      // Before any code of the database's own can run: from here on the transaction is this operation's and no other's.
      await sql.query('INSERT INTO bailiwick.bindings (operation_id) VALUES ($1)', [key.operation_id])
      const result = await work(sql)
      // One stamp fits a transaction: where code of the database's own wrote one, ours fails and takes that with it.
      await sql.query(
        'INSERT INTO bailiwick.operations (operation_id, verb, target, result) VALUES ($1, $2, $3, $4::pg_catalog.jsonb)',
        [key.operation_id, key.verb, key.target, JSON.stringify(result)],
      )
      await sql.query('COMMIT')
      return result
    } catch (error) {
      throw await rollBack(sql, error)
    }
  })
}

const sessionName = (key: StepKey): string => `step ${key.operation_id}`

/** Exact: the stamp is there when, and only when, the step's transaction was committed. */
export async function probeStamp<O extends Json>(hands: Hands, key: StepKey): Promise<Probed<O>> {
  const place = await findPlace(hands, key.account_id, databaseOf(key))
  if (!place) return { state: 'not_done' }
  const { state } = await readState(place)
  if (state === 'absent') return { state: 'not_done' }
  // Closed to us as well, so that nothing in it can change; what is in it is seen after a restore.
  if (state === 'quarantined') return { state: 'unknown' }
  return place.connections.use(place.names.database, SUPERUSER, async (sql) => {
    // A session of this step may still be about to commit; after this none is left that could.
    await sql.query(
      `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()
          AND usename IN ($2, $3)`,
      [sessionName(key), place.names.writer, SUPERUSER],
    )
    const { rows } = await sql.query<{ result: O }>(
      'SELECT result FROM bailiwick.operations WHERE operation_id = $1 AND verb = $2 AND target = $3',
      [key.operation_id, key.verb, key.target],
    )
    return rows[0] ? { state: 'done', result: rows[0].result } : { state: 'not_done' }
  })
}
