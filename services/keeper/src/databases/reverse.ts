// Undoes the row changes of one operation from the history, newest first, in one transaction. A row that is not as that
// operation left it is a conflict; with one conflict nothing is changed. A reversal has a history too and can be reversed.
import { Refusal, type Conflicts, type JsonRow } from '../refusal.ts'
import type { Sql } from './connections.ts'
import { asRefusal, sqlState } from './errors.ts'
import { literal, quote } from './names.ts'
import { changeRows, matchesKey, readShape, typedRow, type TableShape } from './rows.ts'
import { probeStamp, requirePlace, type ChangeVerb, type Hands } from './step.ts'

/** `before` and `after` stay the server's own JSON text: parsed here, 64-bit numbers would lose digits. */
type Change = {
  table_name: string
  relation: string
  now_named: string | null
  key: JsonRow | null
  before: string | null
  after: string | null
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
          `SELECT h.table_name, h.relation, c.relname AS now_named, h.key, h.before::text AS before, h.after::text AS after FROM bailiwick.history h
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
        await requireReversed(sql, rows)
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

/**
 * A cascade is recorded after what caused it, so its rows can often be put back only after their parents. What cannot be
 * reversed yet is tried again after the rest, each row's own changes always newest first, until a pass achieves nothing.
 */
async function reverseAll(sql: Sql, changes: readonly Change[]): Promise<Conflicts> {
  const shapes = new Map<string, TableShape>()
  const shapeOf = async (table: string): Promise<TableShape> => {
    const shape = shapes.get(table) ?? (await readShape(sql, table))
    shapes.set(table, shape)
    return shape
  }
  let pending = changes
  for (;;) {
    const postponed: Change[] = []
    const conflicts: Conflicts = []
    const blocked = new Set<string>()
    for (const change of pending) {
      const shape = change.now_named === null ? null : await shapeOf(change.now_named)
      const rows = rowsOf(change, shape)
      const waits = rows.some((row) => blocked.has(row))
      const why = waits ? null : shape ? await reverseOne(sql, shape, change) : 'the table is gone'
      if (!waits && why === null) continue
      postponed.push(change)
      for (const row of rows) blocked.add(row)
      if (why !== null) conflicts.push(asConflict(change, why))
    }
    if (postponed.length === 0 || postponed.length === pending.length) return conflicts
    pending = postponed
  }
}

/**
 * Triggers of the tables ran along and may have written something else than we did, or written it back. Each row must be as it
 * was before the operation's first change of it.
 */
async function requireReversed(sql: Sql, changes: readonly Change[]): Promise<void> {
  await sql.query('SET LOCAL search_path = pg_catalog')
  const shapes = new Map<string, TableShape>()
  const wanted = new Map<string, { shape: TableShape; change: Change; image: string | null }>()
  for (const change of changes.toReversed()) {
    const shape = shapes.get(change.relation) ?? (await readShape(sql, change.now_named ?? ''))
    shapes.set(change.relation, shape)
    const [first, second] = rowsOf(change, shape)
    if (!first) continue
    if (!wanted.has(first)) wanted.set(first, { shape, change, image: change.before })
    if (second && !wanted.has(second)) wanted.set(second, { shape, change, image: null })
  }
  const conflicts: Conflicts = []
  for (const { shape, change, image } of wanted.values()) {
    const isBack = image === null ? await isGone(sql, shape, change) : await isStill(sql, shape, image)
    if (!isBack) conflicts.push(asConflict(change, 'a trigger of the table changes what is written'))
  }
  if (conflicts.length > 0)
    throw new Refusal(
      'UNDO_CONFLICT',
      'triggers of the tables change what is written; nothing was undone',
      conflicts.slice(0, CONFLICTS_SHOWN),
    )
}

/** Also by the history: a row policy can hide a row that a trigger put back, but not the making of it. */
async function isGone(sql: Sql, shape: TableShape, { after, relation }: Change): Promise<boolean> {
  if (after === null || shape.key.length === 0) return true
  if (await exists(sql, shape, after)) return false
  const has = (image: string): string =>
    `(SELECT bool_and(${image} -> k = $2::text::jsonb -> k) FROM unnest($3::text[]) k)`
  const { rowCount } = await sql.query(
    `SELECT FROM bailiwick.history h WHERE h.xact = pg_current_xact_id() AND h.relation = $1 AND ${has('h.after')}
      AND NOT EXISTS (SELECT FROM bailiwick.history g WHERE g.xact = h.xact AND g.relation = h.relation AND g.id > h.id
        AND ${has('g.before')})`,
    [relation, after, shape.key],
  )
  return rowCount === 0
}

const asConflict = ({ table_name, key, after }: Change, why: string): Conflicts[number] => ({
  table: table_name,
  key,
  expected: after === null ? null : (JSON.parse(after) as Conflicts[number]),
  why,
})

/** The row under its key before and after the change. */
function rowsOf({ table_name, before, after }: Change, shape: TableShape | null): string[] {
  const images = [before, after].filter((image) => image !== null)
  return images.map((image) => {
    const row = JSON.parse(image) as Record<string, unknown>
    const key = shape && shape.key.length > 0 ? shape.key.map((name) => row[name]) : row
    return `${table_name} ${JSON.stringify(key)}`
  })
}

/** Null when reversed, else why not. */
async function reverseOne(sql: Sql, shape: TableShape, change: Change): Promise<string | null> {
  const { before, after } = change
  const table = `public.${quote(shape.table)}`
  const hasKey = shape.key.length > 0
  // A row that is as it was before needs nothing: a cascade of what was just reversed has brought it back already.
  if (after !== null && !(await isStill(sql, shape, after))) {
    const isBack = before === null ? hasKey && !(await exists(sql, shape, after)) : await isStill(sql, shape, before)
    return isBack ? null : 'the row is not as the operation left it'
  }
  if (after === null && before !== null && hasKey && (await exists(sql, shape, before)))
    return (await isStill(sql, shape, before)) ? null : 'a row with this key exists again'
  const columns = before === null ? [] : Object.keys(JSON.parse(before) as object)
  if (columns.some((name) => !shape.columns.has(name))) return 'the table has lost a column'
  await sql.query('SAVEPOINT change')
  try {
    if (!before) {
      await sql.query(`DELETE FROM ${table} t WHERE ${matches(shape, 1)}`, [after])
    } else {
      const writable = await writableColumns(sql, shape.table, columns, after !== null)
      const names = writable.map(quote).join(', ')
      const values = writable.map((name) => `v.${quote(name)}`).join(', ')
      await sql.query(
        after
          ? `UPDATE ${table} t SET (${names}) = (SELECT ${values} FROM ${typedRow(shape.table, 1)} v) WHERE ${matches(shape, 2)}`
          : `INSERT INTO ${table} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM ${typedRow(shape.table, 1)} v`,
        after ? [before, after] : [before],
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

async function isStill(sql: Sql, shape: TableShape, image: string): Promise<boolean> {
  const { rowCount } = await sql.query(
    `SELECT FROM public.${quote(shape.table)} t WHERE ${matches(shape, 1)} AND to_jsonb(t) = $1::text::jsonb FOR UPDATE`,
    [image],
  )
  return rowCount === 1
}

async function exists(sql: Sql, shape: TableShape, row: string): Promise<boolean> {
  const { rowCount } = await sql.query(`SELECT FROM public.${quote(shape.table)} t WHERE ${matchesKey(shape, 1)}`, [
    row,
  ])
  return (rowCount ?? 0) > 0
}

/** Generated columns follow by themselves; an identity column can be given but never updated. */
async function writableColumns(sql: Sql, table: string, names: readonly string[], update: boolean): Promise<string[]> {
  const { rows } = await sql.query<{ attname: string }>(
    `SELECT attname FROM pg_attribute WHERE attrelid = ${literal(`public.${quote(table)}`)}::regclass
      AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname = ANY ($1) AND NOT ($2 AND attidentity = 'a')`,
    [names, update],
  )
  return rows.map(({ attname }) => attname)
}
