// What the database tools share: names, the state that undo compares, and how rows are seen by it.
import { z } from 'zod'
import type { KeyValues } from '@bailiwick/contracts/tables'
import { canonical, hashJson, type Json } from '@bailiwick/kernel/canonical'
import { OperationId, ResourceId } from '@bailiwick/kernel/ids'
import { deny } from '@bailiwick/contracts/problem'
import { Refused, type ToolContext } from '../../context.ts'
import type { RestorePointName } from '../../define-tool.ts'
import { isOutage } from '../../stopped.ts'

export const KIND = 'database'
export const DatabaseId = ResourceId.describe('From list_databases.')
/** Room is left for the suffix of a database restored beside a newer one of its name. */
export const DatabaseName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,49}$/, 'lower-case letters, digits, - and _, at most 50, starting with a letter')
  .describe('Unique among the active databases of the account.')
/** Any JSON. `unknown` in the schema, because many clients cannot read recursive ones; what is parsed came out of JSON. */
export const AnyValue = z.unknown() as unknown as z.ZodType<z.infer<ReturnType<typeof z.json>>>

export const Limits = z.strictObject({
  connections: z.number().int().min(1).max(100).describe('Connections at once.'),
  statement_timeout_ms: z.number().int().min(100).max(600_000),
})

export const Secret = z.strictObject({
  username: z.string(),
  password: z.string(),
  host: z.string(),
  port: z.number().int(),
  database: z.string(),
})
/** A fresh password for this reply alone; the one before stops working. */
export async function issueLogin({ keeper }: ToolContext, databaseId: ResourceId): Promise<z.input<typeof Secret>> {
  const { connection, password } = await keeper.issue_password({ database_id: databaseId })
  return { ...connection, password }
}

/**
 * A database that is there or not. With its tables, so that undoing a create or a restore sees whether it has been used; with
 * its name, which shows where a restore put it.
 */
export type DatabaseState =
  { exists: false } | { exists: true; name: string; rows_by_table: Record<string, number>; objects: string }

/**
 * Everything that the account made in its database beside rows: relations (views and sequences too), functions, types, schemas,
 * extensions, large objects. The keeper's own schema moves with its versions; temporary things are nobody's use.
 */
export const OBJECTS = `
  WITH own AS (
    SELECT oid FROM pg_catalog.pg_namespace WHERE nspname <> 'bailiwick' AND nspname !~ '^pg_(toast|temp|toast_temp)')
  SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(object, ',' ORDER BY object), '')) AS objects FROM (
    SELECT 'relation ' || c.oid || ' ' || c.relfilenode AS object FROM pg_catalog.pg_class c
      JOIN own ON own.oid = c.relnamespace WHERE c.oid >= 16384
    UNION ALL SELECT 'rule ' || r.oid || ' ' || r.xmin FROM pg_catalog.pg_rewrite r
      JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN own ON own.oid = c.relnamespace WHERE r.oid >= 16384
    UNION ALL SELECT 'function ' || p.oid || ' ' || p.xmin FROM pg_catalog.pg_proc p
      JOIN own ON own.oid = p.pronamespace WHERE p.oid >= 16384
    UNION ALL SELECT 'type ' || t.oid FROM pg_catalog.pg_type t
      JOIN own ON own.oid = t.typnamespace WHERE t.oid >= 16384
    UNION ALL SELECT 'schema ' || own.oid FROM own WHERE own.oid >= 16384
    UNION ALL SELECT 'extension ' || e.oid FROM pg_catalog.pg_extension e WHERE e.oid >= 16384
    UNION ALL SELECT 'large object ' || l.oid FROM pg_catalog.pg_largeobject_metadata l) AS objects`

/** Unreadable, it differs from every other look: what cannot be seen counts as used. */
async function objectsOf({ keeper, now }: ToolContext, databaseId: ResourceId): Promise<string> {
  try {
    const { rows } = await keeper.run_read_query({
      database_id: databaseId,
      sql: OBJECTS,
      timeout_ms: 5_000,
      row_cap: 1,
    })
    return JSON.stringify(rows)
  } catch (error) {
    if (error instanceof Refused || isOutage(error)) return `unreadable at ${now}`
    throw error
  }
}

/** The keeper counts so far exactly; beyond it answers with an estimate, which moves by itself. */
const COUNTED_ROWS = 50_000

export async function databaseState(context: ToolContext, databaseId: ResourceId): Promise<DatabaseState> {
  const { state, tables } = await context.keeper.describe_database({ database_id: databaseId })
  if (state !== 'active') return { exists: false }
  const [{ name }, objects] = await Promise.all([context.resources.get(databaseId), objectsOf(context, databaseId)])
  return {
    exists: true,
    name,
    objects,
    rows_by_table: Object.fromEntries(tables.map(({ name, rows }) => [name, Math.min(rows, COUNTED_ROWS)])),
  }
}

export async function dumpDatabase({ keeper }: ToolContext, databaseId: ResourceId): Promise<RestorePointName[]> {
  return [(await keeper.dump_database({ database_id: databaseId })).restore_point]
}

/** For undos that take the database away. */
export const databaseRemoval = <Input>(idOf: (input: Input, deed: { newResourceId: string }) => ResourceId) => ({
  deleteTool: 'delete_database',
  isRemoval: (to: DatabaseState) => !to.exists,
  snapshot: (context: ToolContext, input: Input, deed: { newResourceId: string }) =>
    dumpDatabase(context, idOf(input, deed)),
})

/** Takes the database out of sight, or brings it back: under a free name beside the newer one when its own is taken again. */
export async function setDatabaseExists(context: ToolContext, databaseId: ResourceId, exists: boolean): Promise<void> {
  if (!exists) {
    await context.keeper.quarantine_database({ database_id: databaseId })
    context.resources.setState(databaseId, 'quarantined')
    return
  }
  await context.keeper.restore_database({ database_id: databaseId })
  const { name } = await context.resources.get(databaseId)
  const free = await freeName(context, name, databaseId)
  context.resources.setState(databaseId, 'active')
  if (free !== name) context.resources.rename(databaseId, free)
}

async function freeName({ resources }: ToolContext, name: string, databaseId: ResourceId): Promise<string> {
  const beside = `${name.replace(/-restored(-\d+)?$/, '')}-restored`
  for (let n = 0; ; n += 1) {
    const candidate = n === 0 ? name : n === 1 ? beside : `${beside}-${n}`
    const holder = await resources.findByName(KIND, candidate)
    if (!holder || holder.id === databaseId) return candidate
  }
}

/** Refuses a name that is in use and reserves it against a race. */
export async function reserveName(context: ToolContext, name: string): Promise<{ reserve: string[] }> {
  if (await context.resources.findByName(KIND, name))
    context.refuse(deny('CONFLICT', { detail: `There is an active database named ${name}.` }))
  return { reserve: [`${KIND}:${name}`] }
}

/**
 * Rows by key, present ones only, each as its hash: enough to see that one changed since. What brings them back is the history
 * in the account's own cluster, so the journal holds no copy of anybody's data.
 */
export type RowsState = { sha256_by_key: Record<string, string> }

const KEYS_PER_READ = 100

export async function rowsState(
  { keeper }: ToolContext,
  { database_id, table }: { database_id: ResourceId; table: string },
  keys: readonly KeyValues[],
): Promise<RowsState> {
  const found = new Map<string, string>()
  for (let at = 0; at < keys.length; at += KEYS_PER_READ) {
    const { rows, primary_key } = await keeper.read_rows({
      database_id,
      table,
      keys: keys.slice(at, at + KEYS_PER_READ),
      after: null,
      limit: KEYS_PER_READ,
    })
    for (const row of rows) found.set(canonical(keyOf(row, primary_key)), hashJson(row))
  }
  return { sha256_by_key: Object.fromEntries(found) }
}

export const keyOf = (row: { [column: string]: Json }, primaryKey: readonly string[]): KeyValues =>
  Object.fromEntries(primaryKey.map((column) => [column, row[column] as string | number | boolean]))

export const hasDuplicates = (items: readonly Json[]): boolean =>
  new Set(items.map((item) => canonical(item))).size !== items.length

/** Undo, and undo of undo: the keeper reverses what the history says that operation did, or nothing (UNDO_CONFLICT). */
export async function reverseRows(
  { keeper }: ToolContext,
  { database_id }: { database_id: ResourceId },
  _to: RowsState,
  deed: { operationId: string },
): Promise<void> {
  await keeper.reverse_rows({ database_id, of_operation: OperationId.parse(deed.operationId) })
}
