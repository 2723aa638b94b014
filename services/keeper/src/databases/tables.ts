// Tables as wholes: create typed ones, move them out of sight and back. Each change is one stamped transaction.
import { idHex } from '@bailiwick/kernel/ids'
import type { ColumnSpec } from '@bailiwick/contracts/tables'
import { Refusal } from '../refusal.ts'
import type { Sql } from './connections.ts'
import { literal, quote, SUPERUSER } from './names.ts'
import { probeStamp, requirePlace, stamped, type ChangeVerb, type Hands } from './step.ts'

type ByTable = { account_id: string; database_id: string; table: string }
type Nothing = Record<string, never>

const targetOf = ({ database_id, table }: ByTable): string => `${database_id}/${table}`

export function createTable(
  hands: Hands,
): ChangeVerb<ByTable & { columns: ColumnSpec[]; primary_key: string[] }, Nothing> {
  return {
    target: targetOf,
    probe: (key) => probeStamp(hands, key),
    act: async ({ account_id, database_id, table, columns, primary_key }, key) => {
      const names = columns.map(({ name }) => name)
      if (new Set(names).size < names.length) throw new Refusal('INPUT_INVALID', 'a column is named twice')
      if (new Set(primary_key).size < primary_key.length || primary_key.some((name) => !names.includes(name)))
        throw new Refusal('INPUT_INVALID', 'the primary key must name columns of the table, each once')
      const place = await requirePlace(hands, account_id, database_id)
      return stamped(place, SUPERUSER, key, async (sql) => {
        const parts = columns.map(
          ({ name, type, nullable, unique }) =>
            `${quote(name)} ${type}${nullable && !primary_key.includes(name) ? '' : ' NOT NULL'}${unique ? ' UNIQUE' : ''}`,
        )
        // As the owner role, so that its default privileges apply. No code from inside the database runs here.
        await sql.query(`SET LOCAL ROLE ${place.names.owner}`)
        await sql.query(
          `CREATE TABLE public.${quote(table)} (${parts.join(', ')}, PRIMARY KEY (${primary_key.map(quote).join(', ')}))`,
        )
        await sql.query('RESET ROLE')
        return {}
      })
    },
  }
}

/** A schema of its own for each quarantined table: indexes and sequences keep their names and collide with nothing. */
export const trashSchemaOf = (operationId: string): string => `bailiwick_trash_${idHex(operationId)}`

export function quarantineTable(hands: Hands): ChangeVerb<ByTable, Nothing> {
  return {
    target: targetOf,
    probe: (key) => probeStamp(hands, key),
    act: async ({ account_id, database_id, table }, key) => {
      const place = await requirePlace(hands, account_id, database_id)
      return stamped(place, SUPERUSER, key, async (sql) => {
        const found = await findTable(sql, table)
        if (!found) throw new Refusal('NOT_FOUND', 'there is no such table')
        await sql.query(`LOCK TABLE public.${quote(table)} IN ACCESS EXCLUSIVE MODE`)
        await refuseDependents(sql, found.oid)
        const schema = trashSchemaOf(key.operation_id)
        await sql.query(`CREATE SCHEMA ${schema}`)
        // Its foreign keys are still enforced, as the table's owner, who must be able to look there.
        await sql.query(`GRANT USAGE ON SCHEMA ${schema} TO ${place.names.owner}`)
        await sql.query(`ALTER TABLE public.${quote(table)} SET SCHEMA ${schema}`)
        // The owner may drop a table, so a handed-out password must not own it while it is in the trash.
        await sql.query(`ALTER TABLE ${schema}.${quote(table)} OWNER TO ${place.names.owner}`)
        await sql.query(
          `INSERT INTO bailiwick.trash (operation_id, relation, table_name, owner, quarantined_at)
            VALUES ($1, $2, $3, $4, to_timestamp($5::float8 / 1000))`,
          [key.operation_id, found.oid, table, found.owner, hands.clock.now()],
        )
        return {}
      })
    },
  }
}

/** Brings back the table of that name that was quarantined last. */
export function restoreTable(hands: Hands): ChangeVerb<ByTable, Nothing> {
  return {
    target: targetOf,
    probe: (key) => probeStamp(hands, key),
    act: async ({ account_id, database_id, table }, key) => {
      const place = await requirePlace(hands, account_id, database_id)
      return stamped(place, SUPERUSER, key, async (sql) => {
        const { rows } = await sql.query<{ operation_id: string; owner: string }>(
          `SELECT operation_id, owner FROM bailiwick.trash WHERE table_name = $1 AND ended_at IS NULL
            ORDER BY quarantined_at DESC, operation_id DESC LIMIT 1 FOR UPDATE`,
          [table],
        )
        const trashed = rows[0]
        if (!trashed) throw new Refusal('NOT_FOUND', 'there is no such table in the trash')
        if (await findTable(sql, table)) throw new Refusal('CONFLICT', 'a table of that name exists now')
        const schema = trashSchemaOf(trashed.operation_id)
        await sql.query(`ALTER TABLE ${schema}.${quote(table)} SET SCHEMA public`)
        await sql.query(`ALTER TABLE public.${quote(table)} OWNER TO ${quote(trashed.owner)}`)
        await sql.query('UPDATE bailiwick.trash SET ended_at = now() WHERE operation_id = $1', [trashed.operation_id])
        return {}
      })
    },
  }
}

export async function findTable(sql: Sql, table: string): Promise<{ oid: number; owner: string } | null> {
  const { rows } = await sql.query<{ oid: number; owner: string }>(
    `SELECT c.oid::int8::text::int8 AS oid, pg_get_userbyid(c.relowner) AS owner FROM pg_class c
      WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ${literal(table)} AND c.relkind IN ('r', 'p')`,
  )
  return rows[0] ?? null
}

/** What would break, or still show the table's rows, without it: the same that a plain DROP TABLE refuses for. */
async function refuseDependents(sql: Sql, oid: number): Promise<void> {
  const { rows } = await sql.query<{ why: string }>(
    `SELECT 'a foreign key of another table refers to it' AS why FROM pg_constraint
        WHERE confrelid = $1 AND conrelid <> $1 AND contype = 'f'
      UNION ALL
      SELECT 'a view depends on it' FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND r.ev_class <> $1
      UNION ALL
      SELECT 'it belongs to a hierarchy of tables' FROM pg_inherits WHERE inhrelid = $1 OR inhparent = $1
      LIMIT 1`,
    [oid],
  )
  if (rows[0]) throw new Refusal('CONFLICT', `the table cannot be removed: ${rows[0].why}`)
}
