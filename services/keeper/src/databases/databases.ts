// Databases as wholes: create, hand out a password, describe, limit, quarantine, restore. Nothing here can drop one.
import { randomBytes } from 'node:crypto'
import type { TableInfo } from '@bailiwick/contracts/doors/keeper'
import { oldestBase } from '../base-backups.ts'
import type { Probed, StepKey } from '../operations.ts'
import { Refusal } from '../refusal.ts'
import type { Sql } from './connections.ts'
import { asRefusal, rollBack } from './errors.ts'
import { literal, quote, SUPERUSER } from './names.ts'
import { DEFAULT_LIMITS, makeDatabase, prepareDatabase, prepareRoles, watchTables } from './prepare.ts'
import {
  databaseOf,
  findPlace,
  probeStamp,
  readState,
  requirePlace,
  stamped,
  type ChangeVerb,
  type DatabaseMark,
  type Hands,
  type Place,
} from './step.ts'

export type Connection = { host: string; port: number; database: string; username: string }
export type Limits = { connections: number; statement_timeout_ms: number }
type ById = { account_id: string; database_id: string }

export const connectionOf = ({ cluster, names }: Place): Connection => ({
  host: cluster.host,
  port: cluster.port,
  database: names.database,
  username: names.login,
})

export const setMark = (sql: Sql, database: string, mark: DatabaseMark): Promise<unknown> =>
  sql.query(`COMMENT ON DATABASE ${quote(database)} IS ${literal(JSON.stringify(mark))}`)

/** Makes roles and database and prepares it. Repeatable up to its end; `load` fills it before its tables are watched. */
export async function makePrepared(place: Place, load: () => Promise<void> = async () => undefined): Promise<void> {
  const { connections, names } = place
  await connections.use('postgres', SUPERUSER, async (sql) => {
    await prepareRoles(place, sql)
    await makeDatabase(sql, names)
  })
  await connections.use(names.database, SUPERUSER, (sql) => prepareDatabase(sql, names))
  await load()
  await connections.use(names.database, SUPERUSER, watchTables)
}

/** Last of a creation: the mark is what makes the database count as made. */
export const markMade = (
  hands: Hands,
  place: Place,
  key: StepKey,
  more: Pick<DatabaseMark, 'recovered_to'> = {},
): Promise<unknown> => {
  const at = hands.clock.now()
  return place.connections.use('postgres', SUPERUSER, (sql) =>
    setMark(sql, place.names.database, { verb: key.verb, operation_id: key.operation_id, at, created_at: at, ...more }),
  )
}

/** Whether the last change of the database as a whole was this step's. */
export async function probeMark(
  hands: Hands,
  key: StepKey,
): Promise<{ place: Place; mark: DatabaseMark | null; done: boolean } | null> {
  const place = await findPlace(hands, key.account_id, databaseOf(key))
  if (!place) return null
  const { mark } = await readState(place)
  return { place, mark, done: mark?.operation_id === key.operation_id && mark.verb === key.verb }
}

export function createDatabase(hands: Hands): ChangeVerb<ById, { connection: Connection }> {
  return {
    target: ({ database_id }) => database_id,
    probe: async (key) => {
      const probed = await probeMark(hands, key)
      return probed?.done
        ? { state: 'done', result: { connection: connectionOf(probed.place) } }
        : { state: 'not_done' }
    },
    act: async ({ account_id, database_id }, key) => {
      await hands.clusters.ensure(account_id)
      const place = await requirePlace(hands, account_id, database_id)
      const { state, mark } = await readState(place)
      if (state === 'quarantined' || mark) throw new Refusal('CONFLICT', 'a database of that id exists')
      await makePrepared(place)
      await markMade(hands, place, key)
      return { connection: connectionOf(place) }
    },
  }
}

/**
 * A fresh password each time; the server keeps its SCRAM verifier, the keeper keeps nothing. Whoever had the old one is out:
 * its sessions end, and what it set for later sessions is gone. (A role may always change its own password; the keeper cannot
 * forbid that, but the next one issued ends it.)
 *
 * Dying in between leaves a login that nobody can use, and no password that works; the next call opens it.
 */
export async function issuePassword(
  hands: Hands,
  { account_id, database_id }: ById,
): Promise<{ connection: Connection; password: string }> {
  const place = await requireActive(hands, account_id, database_id)
  const password = randomBytes(24).toString('base64url')
  const { login, database } = place.names
  await place.connections
    .use('postgres', SUPERUSER, async (sql) => {
      await sql.query(`ALTER ROLE ${login} NOLOGIN`)
      await endSessions(sql, login)
      const { statement_timeout_ms } = await readLimits(sql, login)
      await inTransaction(sql, async () => {
        await sql.query(`ALTER ROLE ${login} RESET ALL; ALTER ROLE ${login} IN DATABASE ${database} RESET ALL`)
        await sql.query(`ALTER ROLE ${login} SET statement_timeout = ${statement_timeout_ms}`)
        await sql.query(`ALTER ROLE ${login} LOGIN PASSWORD ${literal(password)}`)
      })
      // One that was let in just before NOLOGIN may only now be listed; nobody has the new password yet.
      await endSessions(sql, login)
    })
    .catch(raise)
  return { connection: connectionOf(place), password }
}

async function endSessions(sql: Sql, login: string): Promise<void> {
  const { rows } = await sql.query<{ ended: boolean | null }>(
    'SELECT bool_and(pg_terminate_backend(pid, 10000)) AS ended FROM pg_stat_activity WHERE usename = $1',
    [login],
  )
  if (rows[0]!.ended === false)
    throw new Refusal('RESOURCE_BUSY', 'old sessions of the database have not ended; try again')
}

/** The limits that the keeper set. The timeout is kept beside the role's settings too, because those the role may change. */
async function readLimits(sql: Sql, login: string): Promise<Limits> {
  const { rows } = await sql.query<{ connections: number; note: string | null }>(
    `SELECT rolconnlimit AS connections, shobj_description(oid, 'pg_authid') AS note FROM pg_roles WHERE rolname = $1`,
    [login],
  )
  const { connections, note } = rows[0]!
  const { statement_timeout_ms } = note ? (JSON.parse(note) as Limits) : DEFAULT_LIMITS
  return { connections, statement_timeout_ms }
}

export async function requireActive(hands: Hands, accountId: string, databaseId: string): Promise<Place> {
  const place = await requirePlace(hands, accountId, databaseId)
  if ((await readState(place)).state !== 'active') throw new Refusal('NOT_FOUND', 'there is no such database')
  return place
}

export function setDatabaseLimits(hands: Hands): ChangeVerb<ById & { limits: Limits }, Record<string, never>> {
  return {
    target: ({ database_id }) => database_id,
    probe: (key) => probeStamp(hands, key),
    act: async ({ account_id, database_id, limits }, key) => {
      const place = await requirePlace(hands, account_id, database_id)
      return stamped(place, SUPERUSER, key, async (sql) => {
        const role = place.names.login
        await sql.query(`ALTER ROLE ${role} CONNECTION LIMIT ${limits.connections}`)
        await sql.query(`ALTER ROLE ${role} SET statement_timeout = ${limits.statement_timeout_ms}`)
        await sql.query(`COMMENT ON ROLE ${role} IS ${literal(JSON.stringify(limits))}`)
        return {}
      })
    },
  }
}

/** Nobody can connect any more, and nobody is connected. */
export async function closeToAll(sql: Sql, { database }: Place['names']): Promise<void> {
  await sql.query(`ALTER DATABASE ${database} WITH ALLOW_CONNECTIONS false`)
  await sql.query('SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1', [database])
}

/** Name and mark in one transaction: a name without its mark would say nothing of who put it there. */
export const renameAway = (sql: Sql, names: Place['names'], mark: DatabaseMark): Promise<void> =>
  inTransaction(sql, async () => {
    await sql.query(`ALTER DATABASE ${names.database} RENAME TO ${names.quarantined}`)
    await setMark(sql, names.quarantined, mark)
  })

/** Closes the database to everybody, ends its sessions and gives it its quarantine name. */
export function quarantineDatabase(hands: Hands): ChangeVerb<ById, Record<string, never>> {
  return moveDatabase(hands, async ({ connections, names }, mark) => {
    await connections.use('postgres', SUPERUSER, async (sql) => {
      // Dying after this line leaves it closed under its old name: the probe says "not done" and the retry goes on from here.
      await closeToAll(sql, names)
      try {
        await renameAway(sql, names, mark)
      } catch (error) {
        await sql.query(`ALTER DATABASE ${names.database} WITH ALLOW_CONNECTIONS true`)
        throw error
      }
    })
  })
}

export function restoreDatabase(hands: Hands): ChangeVerb<ById, Record<string, never>> {
  return moveDatabase(hands, async ({ connections, names }, mark) => {
    await connections.use('postgres', SUPERUSER, (sql) =>
      inTransaction(sql, async () => {
        await sql.query(`ALTER DATABASE ${names.quarantined} RENAME TO ${names.database}`)
        await sql.query(`ALTER DATABASE ${names.database} WITH ALLOW_CONNECTIONS true`)
        await setMark(sql, names.database, mark)
      }),
    )
  })
}

function moveDatabase(
  hands: Hands,
  move: (place: Place, mark: DatabaseMark) => Promise<void>,
): ChangeVerb<ById, Record<string, never>> {
  return {
    target: ({ database_id }) => database_id,
    probe: async (key): Promise<Probed<Record<string, never>>> =>
      (await probeMark(hands, key))?.done ? { state: 'done', result: {} } : { state: 'not_done' },
    act: async ({ account_id, database_id }, key) => {
      const place = await requirePlace(hands, account_id, database_id)
      const { state, mark } = await readState(place)
      const expected = key.verb === 'quarantine_database' ? 'active' : 'quarantined'
      if (state !== expected) throw new Refusal('NOT_FOUND', `there is no such database that is ${expected}`)
      const at = hands.clock.now()
      try {
        await move(place, { verb: key.verb, operation_id: key.operation_id, at, created_at: mark?.created_at ?? at })
      } catch (error) {
        throw asRefusal(error)
      }
      return {}
    },
  }
}

async function inTransaction(sql: Sql, work: () => Promise<void>): Promise<void> {
  await sql.query('BEGIN')
  try {
    await work()
    await sql.query('COMMIT')
  } catch (error) {
    await sql.query('ROLLBACK')
    throw error
  }
}

export type Description = {
  state: 'active' | 'quarantined' | 'absent'
  size_bytes: number
  limits: Limits | null
  tables: TableInfo[]
  connection: Connection | null
  restorable_from: number | null
}

export async function describeDatabase(hands: Hands, { account_id, database_id }: ById): Promise<Description> {
  const absent: Description = {
    state: 'absent',
    size_bytes: 0,
    limits: null,
    tables: [],
    connection: null,
    restorable_from: null,
  }
  const place = await findPlace(hands, account_id, database_id)
  if (!place) return absent
  const { state, mark } = await readState(place)
  if (state === 'absent') return absent
  const { names, connections } = place
  const { size, limits } = await connections.use('postgres', SUPERUSER, async (sql) => {
    const { rows } = await sql.query<{ size: string; connections: number; settings: string[] | null }>(
      `SELECT pg_database_size(d.oid) AS size, r.rolconnlimit AS connections, to_jsonb(r.rolconfig) AS settings
        FROM pg_database d, pg_roles r WHERE d.datname = $1 AND r.rolname = $2`,
      [state === 'active' ? names.database : names.quarantined, names.login],
    )
    const timeout = rows[0]!.settings?.find((setting) => setting.startsWith('statement_timeout='))
    return {
      size: Number(rows[0]!.size),
      limits: { connections: rows[0]!.connections, statement_timeout_ms: toMs(timeout?.split('=')[1]) },
    }
  })
  const base = await oldestBase(hands.vault, place.cluster).catch(() => null)
  return {
    state,
    size_bytes: size,
    limits,
    tables:
      state === 'active'
        ? await connections.use(names.database, names.writer, (sql) => readTables(sql)).catch(raise)
        : [],
    connection: state === 'active' ? connectionOf(place) : null,
    restorable_from: base === null ? null : Math.max(base, mark?.created_at ?? 0),
  }
}

const raise = (error: unknown): never => {
  throw asRefusal(error)
}

/** The role may have set its own: anything that is not our plain number of milliseconds counts as the widest. */
const toMs = (text: string | undefined): number =>
  text && /^\d+$/.test(text) ? Math.min(Math.max(Number(text), 100), 600_000) : 600_000

/** Exact counts cost a scan; beyond this the planner's estimate answers. */
const COUNTED_ROWS = 50_000

/** Read only, because counting runs the tables' row policies, and those may call code that a handed-out password wrote. */
async function readTables(sql: Sql): Promise<TableInfo[]> {
  try {
    await sql.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = '20s'; SET LOCAL lock_timeout = '5s'`)
    const tables = await countTables(sql)
    await sql.query('COMMIT')
    return tables
  } catch (error) {
    throw await rollBack(sql, error)
  }
}

async function countTables(sql: Sql): Promise<TableInfo[]> {
  const { rows } = await sql.query<TableInfo & { estimate: number }>(
    `SELECT c.relname AS name, greatest(c.reltuples, 0)::float8 AS estimate,
        (SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
            'nullable', NOT a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum), '[]')
          FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
        (SELECT coalesce(jsonb_agg(a.attname ORDER BY array_position(i.indkey::int2[], a.attnum)), '[]')
          FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
          WHERE i.indrelid = c.oid AND i.indisprimary) AS primary_key
      FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      ORDER BY c.relname LIMIT 1000`,
  )
  const tables: TableInfo[] = []
  for (const { estimate, ...table } of rows) {
    const counted = await sql.query<{ rows: string }>(
      `SELECT count(*) AS rows FROM (SELECT FROM public.${quote(table.name)} LIMIT ${COUNTED_ROWS + 1}) counted`,
    )
    const exact = Number(counted.rows[0]!.rows)
    tables.push({ ...table, rows: exact > COUNTED_ROWS ? Math.max(exact, Math.round(estimate)) : exact })
  }
  return tables
}
