// What the database tools share: names, the state that undo compares, and how rows are seen by it.
import { z } from 'zod'
import type { KeyValues } from '@bailiwick/contracts/tables'
import { canonical, hashJson, type Json } from '@bailiwick/kernel/canonical'
import { OperationId, ResourceId } from '@bailiwick/kernel/ids'
import { deny } from '@bailiwick/contracts/problem'
import type { ToolContext } from '../../context.ts'

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
export type DatabaseState = { exists: false } | { exists: true; name: string; rows_by_table: Record<string, number> }

/** The keeper counts so far exactly; beyond it answers with an estimate, which moves by itself. */
const COUNTED_ROWS = 50_000

export async function databaseState(context: ToolContext, databaseId: ResourceId): Promise<DatabaseState> {
  const { state, tables } = await context.keeper.describe_database({ database_id: databaseId })
  if (state !== 'active') return { exists: false }
  const { name } = await context.resources.get(databaseId)
  return {
    exists: true,
    name,
    rows_by_table: Object.fromEntries(tables.map(({ name, rows }) => [name, Math.min(rows, COUNTED_ROWS)])),
  }
}

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
