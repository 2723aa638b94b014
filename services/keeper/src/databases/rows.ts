// Rows: read, insert, update, remove. Run as the database's writer role, never as a superuser, because triggers, defaults and
// checks that a handed-out password made run with the rights of whoever changes the row.
import type { KeyValues, RowValues } from '@bailiwick/contracts/tables'
import type { Json } from '@bailiwick/kernel/canonical'
import { Refusal, type JsonRow } from '../refusal.ts'
import type { Sql } from './connections.ts'
import { asRefusal, rollBack } from './errors.ts'
import { literal, quote, SUPERUSER } from './names.ts'
import { probeStamp, requirePlace, stamped, type ChangeVerb, type Hands, type Place } from './step.ts'

type ByTable = { account_id: string; database_id: string; table: string }
type Row = JsonRow

export type TableShape = {
  oid: string
  table: string
  columns: ReadonlySet<string>
  key: readonly string[]
  /** False: its rows are gone after a crash and are in no backup. The event trigger lets none be made; see `requireKept`. */
  logged: boolean
}

const relation = (table: string): string => `public.${quote(table)}`
/** One JSON object as a typed row: each value goes through its column type's own input, none becomes SQL text. */
export const typedRow = (table: string, parameter: number): string =>
  `jsonb_populate_record(NULL::${relation(table)}, $${parameter}::text::jsonb)`

export async function readShape(sql: Sql, table: string): Promise<TableShape> {
  const { rows } = await sql.query<{ oid: string; logged: boolean; columns: string[]; key: string[] }>(
    `SELECT c.oid, c.relpersistence = 'p' AS logged, (SELECT coalesce(jsonb_agg(attname), '[]') FROM pg_attribute
          WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
        (SELECT coalesce(jsonb_agg(a.attname ORDER BY array_position(i.indkey::int2[], a.attnum)), '[]')
          FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
          WHERE i.indrelid = c.oid AND i.indisprimary) AS key
      FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = $1 AND c.relkind IN ('r', 'p')`,
    [table],
  )
  if (!rows[0]) throw new Refusal('NOT_FOUND', 'there is no such table')
  const { oid, logged, columns, key } = rows[0]
  return { oid, table, columns: new Set(columns), key, logged }
}

function requireKey(shape: TableShape): void {
  if (shape.key.length === 0)
    throw new Refusal('TABLE_HAS_NO_KEY', 'the table has no primary key, so its rows cannot be told apart')
}

/** A table whose changes can be answered for. */
function requireKept(shape: TableShape): void {
  if (!shape.logged) throw new Refusal('CONFLICT', 'the table is unlogged, so that a crash would empty it')
  requireKey(shape)
}

function requireColumns(shape: TableShape, values: object): void {
  for (const name of Object.keys(values))
    if (!shape.columns.has(name)) throw new Refusal('INPUT_INVALID', `the table has no column ${name}`)
}

function requireFullKey(shape: TableShape, key: KeyValues): void {
  requireColumns(shape, key)
  if (Object.keys(key).length !== shape.key.length || shape.key.some((name) => !Object.hasOwn(key, name)))
    throw new Refusal('INPUT_INVALID', `a key must give exactly: ${shape.key.join(', ')}`)
}

const list = (columns: readonly string[], prefix = ''): string =>
  columns.map((name) => `${prefix}${quote(name)}`).join(', ')
/** Of a changed row, its key as the history spells it; schema-named, because a trigger may have changed the search path. */
const recordedKey = ({ key }: TableShape): string =>
  `pg_catalog.jsonb_build_object(${key.map((name) => `${literal(name)}, t.${quote(name)}`).join(', ')})::pg_catalog.text`

/** What was changed is what the history has. Otherwise an undo would bring back something else, so nothing is committed. */
async function requireRecorded(sql: Sql, shape: TableShape, side: 'before' | 'after', keys: string[]): Promise<void> {
  await sql.query('SET LOCAL search_path = pg_catalog')
  const { rows } = await sql.query<{ missing: string }>('SELECT bailiwick.unrecorded($1, $2, $3) AS missing', [
    shape.oid,
    side,
    `[${keys.join(', ')}]`,
  ])
  if (Number(rows[0]!.missing) > 0) throw changedByTrigger()
}

const changedByTrigger = (): Refusal => new Refusal('CONFLICT', 'a trigger of this table changes what is written')

/** Each column compared with a scalar subquery: evaluated once, so that the primary key's index is used. */
export const matchesKey = (shape: TableShape, parameter: number): string =>
  shape.key
    .map((name) => `t.${quote(name)} = (SELECT k.${quote(name)} FROM ${typedRow(shape.table, parameter)} k)`)
    .join(' AND ')

export async function readRows(
  hands: Hands,
  input: ByTable & { keys: KeyValues[] | null; after: KeyValues | null; limit: number },
): Promise<{ rows: Row[]; primary_key: string[] }> {
  const place = await requirePlace(hands, input.account_id, input.database_id)
  return place.connections.use(place.names.database, place.names.writer, async (sql) => {
    try {
      await sql.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = '20s'; SET LOCAL lock_timeout = '5s'`)
      const shape = await readShape(sql, input.table)
      const from = `SELECT ${shape.columns.size > 0 ? 't.*' : ''} FROM ${relation(input.table)} t`
      const order = shape.key.length > 0 ? ` ORDER BY ${list(shape.key, 't.')}` : ''
      let rows: Row[]
      if (input.keys) {
        requireKey(shape)
        rows = []
        for (const key of input.keys) {
          requireFullKey(shape, key)
          const found = await sql.query<Row>(`${from} WHERE ${matchesKey(shape, 1)}`, [JSON.stringify(key)])
          rows.push(...found.rows)
        }
      } else if (input.after) {
        requireKey(shape)
        requireFullKey(shape, input.after)
        const after = `(SELECT ${list(shape.key, 'k.')} FROM ${typedRow(input.table, 1)} k)`
        const found = await sql.query<Row>(
          `${from} WHERE (${list(shape.key, 't.')}) > ${after}${order} LIMIT ${input.limit}`,
          [JSON.stringify(input.after)],
        )
        rows = found.rows
      } else {
        rows = (await sql.query<Row>(`${from}${order} LIMIT ${input.limit}`)).rows
      }
      await sql.query('COMMIT')
      return { rows, primary_key: [...shape.key] }
    } catch (error) {
      throw await rollBack(sql, error)
    }
  })
}

/**
 * A stamped transaction of row changes, with every table's history on. A handed-out password owns the tables that it made and
 * can switch their history off: checked again inside, when our own row locks keep anybody from switching.
 */
export async function changeRows<O extends Json>(
  place: Place,
  key: Parameters<typeof stamped>[2],
  work: (sql: Sql) => Promise<O>,
): Promise<O> {
  const { names, connections } = place
  await connections.use(names.database, SUPERUSER, (sql) => sql.query('SELECT bailiwick.watch_all()')).catch(raise)
  return stamped(place, names.writer, key, async (sql) => {
    const result = await work(sql)
    await sql.query('SET CONSTRAINTS ALL IMMEDIATE')
    const { rowCount } = await sql.query('SELECT FROM bailiwick.unwatched() LIMIT 1')
    if (rowCount) throw new Refusal('RESOURCE_BUSY', 'the tables are being altered; try again')
    const { rows } = await sql.query<{ altered: boolean }>('SELECT bailiwick.altered() AS altered')
    if (rows[0]!.altered) throw new Refusal('CONFLICT', 'a trigger of the tables alters or empties a table')
    return result
  })
}

const raise = (error: unknown): never => {
  throw asRefusal(error)
}

export function insertRows(hands: Hands): ChangeVerb<ByTable & { rows: RowValues[] }, { keys: KeyValues[] }> {
  return {
    target: ({ database_id, table }) => `${database_id}/${table}`,
    probe: (key) => probeStamp(hands, key),
    act: async ({ account_id, database_id, table, rows }, key) => {
      const place = await requirePlace(hands, account_id, database_id)
      return changeRows(place, key, async (sql) => {
        const shape = await readShape(sql, table)
        requireKept(shape)
        const keys: KeyValues[] = []
        const recorded: string[] = []
        for (const row of rows) {
          requireColumns(shape, row)
          const columns = Object.keys(row)
          const values =
            columns.length > 0
              ? `(${list(columns)}) SELECT ${list(columns, 'v.')} FROM ${typedRow(table, 1)} v`
              : 'DEFAULT VALUES'
          const made = await sql.query<KeyValues[string][]>({
            text: `INSERT INTO ${relation(table)} AS t ${values} RETURNING ${recordedKey(shape)}, ${list(shape.key, 't.')}`,
            values: columns.length > 0 ? [JSON.stringify(row)] : [],
            rowMode: 'array',
          })
          if (!made.rows[0]) throw changedByTrigger()
          const [key, ...parts] = made.rows[0]
          recorded.push(String(key))
          keys.push(Object.fromEntries(shape.key.map((name, index) => [name, parts[index]!])))
        }
        await requireRecorded(sql, shape, 'after', recorded)
        return { keys }
      })
    },
  }
}

export function updateRows(
  hands: Hands,
): ChangeVerb<ByTable & { updates: { key: KeyValues; values: RowValues }[] }, { updated: number }> {
  return {
    target: ({ database_id, table }) => `${database_id}/${table}`,
    probe: (key) => probeStamp(hands, key),
    act: async ({ account_id, database_id, table, updates }, key) => {
      const place = await requirePlace(hands, account_id, database_id)
      return changeRows(place, key, async (sql) => {
        const shape = await readShape(sql, table)
        requireKept(shape)
        const recorded: string[] = []
        for (const update of updates) {
          requireFullKey(shape, update.key)
          requireColumns(shape, update.values)
          const columns = Object.keys(update.values)
          if (columns.length === 0) throw new Refusal('INPUT_INVALID', 'an update gives no values')
          const { rows } = await sql.query<{ recorded: string }>(
            `UPDATE ${relation(table)} t SET ${columns.map((name) => `${quote(name)} = v.${quote(name)}`).join(', ')}
              FROM ${typedRow(table, 1)} v WHERE ${matchesKey(shape, 2)} RETURNING ${recordedKey(shape)} AS recorded`,
            [JSON.stringify(update.values), JSON.stringify(update.key)],
          )
          if (rows.length !== 1) throw new Refusal('NOT_FOUND', 'a row with one of the keys does not exist')
          recorded.push(rows[0]!.recorded)
        }
        await requireRecorded(sql, shape, 'after', recorded)
        return { updated: updates.length }
      })
    },
  }
}

export function removeRows(hands: Hands): ChangeVerb<ByTable & { keys: KeyValues[] }, { removed: number }> {
  return {
    target: ({ database_id, table }) => `${database_id}/${table}`,
    probe: (key) => probeStamp(hands, key),
    act: async ({ account_id, database_id, table, keys }, key) => {
      const place = await requirePlace(hands, account_id, database_id)
      return changeRows(place, key, async (sql) => {
        const shape = await readShape(sql, table)
        requireKept(shape)
        const recorded: string[] = []
        for (const rowKey of keys) {
          requireFullKey(shape, rowKey)
          const gone = await sql.query<{ recorded: string }>(
            `DELETE FROM ${relation(table)} t WHERE ${matchesKey(shape, 1)} RETURNING ${recordedKey(shape)} AS recorded`,
            [JSON.stringify(rowKey)],
          )
          recorded.push(...gone.rows.map((row) => row.recorded))
        }
        await requireRecorded(sql, shape, 'before', recorded)
        return { removed: recorded.length }
      })
    },
  }
}
