// Undoes the row changes of one operation from the history, newest first, in one transaction. A row that is not as that
// operation left it is a conflict; with one conflict nothing is changed. A reversal has a history too and can be reversed.
import type { Json } from '@bailiwick/kernel/canonical'
import { canonical } from '@bailiwick/kernel/canonical'
import { Refusal, type Conflicts } from '../refusal.ts'
import type { Sql } from './connections.ts'
import { asRefusal, sqlState } from './errors.ts'
import { literal, quote } from './names.ts'
import { changeRows, matchesKey, readShape, typedRow, type TableShape } from './rows.ts'
import { probeStamp, requirePlace, type ChangeVerb, type Hands } from './step.ts'

type Row = Record<string, Json>
type Change = {
  table_name: string
  now_named: string | null
  key: Row | null
  before: Row | null
  after: Row | null
}
const CONFLICTS_SHOWN = 50

export function reverseRows(
  hands: Hands,
): ChangeVerb<{ account_id: string; database_id: string; of_operation: string }, { reversed: number }> {
  return {
    target: ({ database_id, of_operation }) => `${database_id}/${of_operation}`,
    probe: (key) => probeStamp(hands, key),
    act: async ({ account_id, database_id, of_operation }, key) => {
      const place = await requirePlace(hands, account_id, database_id)
      return changeRows(place, key, async (sql) => {
        // The table by its identity, not its name: renamed in between it is still the same; dropped or in the trash it is null.
        const { rows } = await sql.query<Change>(
          `SELECT h.table_name, c.relname AS now_named, h.key, h.before, h.after FROM bailiwick.history h
            LEFT JOIN pg_class c ON c.oid = h.relation AND c.relnamespace = 'public'::regnamespace
            WHERE h.operation_id = $1 ORDER BY h.id DESC`,
          [of_operation],
        )
        await sql.query('SET CONSTRAINTS ALL DEFERRED')
        const conflicts = await reverseAll(sql, rows)
        if (conflicts.length > 0)
          throw new Refusal(
            'UNDO_CONFLICT',
            `${conflicts.length} row(s) changed since; nothing was undone`,
            conflicts.slice(0, CONFLICTS_SHOWN),
          )
        try {
          await sql.query('SET CONSTRAINTS ALL IMMEDIATE')
        } catch (error) {
          throw asUndoConflict(error)
        }
        return { reversed: rows.length }
      })
    },
  }
}

/** What later rows demand (a reference, a unique value) stands against the undo just as a changed row does. */
const asUndoConflict = (error: unknown): Error =>
  sqlState(error).startsWith('23')
    ? new Refusal('UNDO_CONFLICT', 'rows made or changed since stand against it; nothing was undone')
    : asRefusal(error)

async function reverseAll(sql: Sql, changes: readonly Change[]): Promise<Conflicts> {
  const shapes = new Map<string, TableShape>()
  const conflicts: Conflicts = []
  const inConflict = new Set<string>()
  for (const change of changes) {
    const row = `${change.table_name} ${canonical(change.key ?? change.after ?? change.before)}`
    if (inConflict.has(row)) continue
    const shape =
      change.now_named === null
        ? null
        : (shapes.get(change.now_named) ?? (await readShape(sql, change.now_named)))
    if (shape) shapes.set(shape.table, shape)
    const why = shape ? await reverseOne(sql, shape, change) : 'the table is gone'
    if (why === null) continue
    inConflict.add(row)
    conflicts.push({ table: change.table_name, key: change.key, expected: change.after, why })
  }
  return conflicts
}

/** Null when reversed, else why not. */
async function reverseOne(sql: Sql, shape: TableShape, change: Change): Promise<string | null> {
  const { before, after } = change
  const table = `public.${quote(shape.table)}`
  if (after && !(await isStill(sql, shape, after))) return 'the row is not as the operation left it'
  if (!after && before && shape.key.length > 0 && (await exists(sql, shape, before)))
    return 'a row with this key exists again'
  const missing = before && Object.keys(before).find((name) => !shape.columns.has(name))
  if (missing) return 'the table has lost a column'
  await sql.query('SAVEPOINT change')
  try {
    if (!before) {
      await sql.query(`DELETE FROM ${table} t WHERE ${matches(shape, 1)}`, [JSON.stringify(after)])
    } else {
      const columns = await writableColumns(sql, shape.table, Object.keys(before))
      const names = columns.map(quote).join(', ')
      const values = columns.map((name) => `v.${quote(name)}`).join(', ')
      await sql.query(
        after
          ? `UPDATE ${table} t SET (${names}) = (SELECT ${values} FROM ${typedRow(shape.table, 1)} v) WHERE ${matches(shape, 2)}`
          : `INSERT INTO ${table} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM ${typedRow(shape.table, 1)} v`,
        after ? [JSON.stringify(before), JSON.stringify(after)] : [JSON.stringify(before)],
      )
    }
    await sql.query('RELEASE SAVEPOINT change')
    return null
  } catch (error) {
    if (!sqlState(error).startsWith('23')) throw error
    await sql.query('ROLLBACK TO SAVEPOINT change')
    return 'a constraint stands against it'
  }
}

/** By primary key; without one, any one row with exactly these values. */
const matches = (shape: TableShape, parameter: number): string =>
  shape.key.length > 0
    ? matchesKey(shape, parameter)
    : `t.ctid = (SELECT s.ctid FROM public.${quote(shape.table)} s WHERE to_jsonb(s) = $${parameter}::text::jsonb LIMIT 1)`

async function isStill(sql: Sql, shape: TableShape, after: Row): Promise<boolean> {
  const { rowCount } = await sql.query(
    `SELECT FROM public.${quote(shape.table)} t WHERE ${matches(shape, 1)} AND to_jsonb(t) = $1::text::jsonb FOR UPDATE`,
    [JSON.stringify(after)],
  )
  return rowCount === 1
}

async function exists(sql: Sql, shape: TableShape, row: Row): Promise<boolean> {
  const { rowCount } = await sql.query(`SELECT FROM public.${quote(shape.table)} t WHERE ${matchesKey(shape, 1)}`, [
    JSON.stringify(row),
  ])
  return (rowCount ?? 0) > 0
}

/** Generated columns follow by themselves; an identity column can only be given, not updated, so it is left where it is equal. */
async function writableColumns(sql: Sql, table: string, names: readonly string[]): Promise<string[]> {
  const { rows } = await sql.query<{ attname: string }>(
    `SELECT attname FROM pg_attribute WHERE attrelid = ${literal(`public.${quote(table)}`)}::regclass
      AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname = ANY ($1)`,
    [names],
  )
  return rows.map(({ attname }) => attname)
}
