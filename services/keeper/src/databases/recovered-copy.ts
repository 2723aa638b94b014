// What is taken from the recovered scratch copy: a dump in which no constraint is to be checked while it loads, and a list of what
// the copy holds, against which the loaded database is held. In the copy the superuser reads and edits catalogs only: it plans no
// query over a table of the database, because planning alone evaluates expressions of indexes.
import { Refusal } from '../refusal.ts'
import type { Evaluated } from './contents.ts'
import type { Connections, Sql } from './connections.ts'
import { dumpTo } from './dump.ts'
import { DUMPER, SUPERUSER } from './names.ts'

export const STOPS_ITSELF = 'the database holds code that stops its own restore'

type Named = { name: string; of: string; type: string }

export type RecoveredCopy = {
  /** The whole dump, whose `public` data is what a correct load gives. */
  dump: string
  /** A dump whose data carries generated columns as values; the same file when there are none. */
  data: string
  extensions: { name: string; schema: string }[]
  /** Constraints that hold for the rows that are there. */
  validated: Named[]
  generated: { of: string; column: string }[]
  evaluated: Evaluated[]
  owners: Owned[]
}

export type Owned = { name: string; kind: string; owner: string }

export async function takeCopy(
  connections: Connections,
  from: { port: number; database: string; folder: string; passwordOf: (role: string) => Promise<string> },
): Promise<RecoveredCopy> {
  const { port, database, folder, passwordOf } = from
  const admin = <T>(work: (sql: Sql) => Promise<T>): Promise<T> => connections.use(database, SUPERUSER, work)
  const described = await admin(async (sql) => {
    await refuseComputedPartitions(sql)
    const all = async <T extends object>(text: string): Promise<T[]> => (await sql.query<T>(text)).rows
    const found = {
      extensions: await all<{ name: string; schema: string }>(
        `SELECT extname AS name, extnamespace::regnamespace::text AS schema FROM pg_extension
          WHERE extname <> 'plpgsql' ORDER BY oid`,
      ),
      validated: await all<Named>(
        `SELECT conname AS name, conrelid::regclass::text AS of, contypid::regtype::text AS type FROM pg_constraint
          WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f') AND convalidated`,
      ),
      generated: await all<{ of: string; column: string }>(
        `SELECT attrelid::regclass::text AS of, attname AS column FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
          WHERE relnamespace = 'public'::regnamespace AND attgenerated = 's' AND NOT attisdropped`,
      ),
      evaluated: await all<Evaluated>(EVALUATED),
      owners: await readOwners(sql),
    }
    // pg_dump writes a constraint that is not validated apart from its table, to be added after the data and unchecked. So no
    // CHECK, and no check of a domain, runs for any row. (PostgreSQL 15 cannot do that for foreign keys of partitioned tables;
    // those are looked at while no table has an index over an expression.)
    await sql.query(`UPDATE pg_constraint SET convalidated = false WHERE connamespace = 'public'::regnamespace
      AND (contype = 'c' OR contype = 'f' AND conparentid = 0
        AND conrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r'))`)
    return found
  })
  const password = await passwordOf(DUMPER)
  const dump = `${folder}/dump`
  await dumpTo(dump, port, database, password)
  if (described.generated.length === 0) return { ...described, dump, data: dump }
  await admin((sql) =>
    sql.query(`UPDATE pg_attribute SET attgenerated = '' WHERE attgenerated = 's'
      AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)`),
  )
  const data = `${folder}/data-dump`
  await dumpTo(data, port, database, password)
  return { ...described, dump, data }
}

/** Every relation and function in `public` that is not part of an extension. */
export const readOwners = async (sql: Sql): Promise<Owned[]> =>
  (
    await sql.query<Owned>(
      `SELECT relname AS name, relkind::text AS kind, pg_get_userbyid(relowner) AS owner FROM pg_class c
          WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
        UNION ALL
        SELECT p.oid::regprocedure::text, 'function', pg_get_userbyid(proowner) FROM pg_proc p
          WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
        ORDER BY 1, 2`,
    )
  ).rows

const EVALUATED = `
  SELECT c.oid::int8::float8 AS oid, i.indrelid::regclass::text AS of, c.relname AS index, 'TABLE' AS type
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = 'public'::regnamespace AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
  UNION ALL
  SELECT k.oid::int8::float8, i.indrelid::regclass::text, c.relname, 'TABLE'
    FROM pg_constraint k JOIN pg_index i ON i.indexrelid = k.conindid JOIN pg_class c ON c.oid = i.indexrelid
    WHERE k.connamespace = 'public'::regnamespace AND k.contype IN ('x', 'u', 'p')
      AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
  UNION ALL
  SELECT oid::int8::float8, contypid::regtype::text, NULL, 'DOMAIN' FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contypid <> 0
  UNION ALL
  SELECT oid::int8::float8, oid::regclass::text, NULL, 'TABLE' FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'm' AND relispopulated`

/**
 * The server evaluates a partition key's constant parts for whoever opens the table, in the middle of making it. There is no
 * moment at which such a table could be made without running its code.
 */
async function refuseComputedPartitions(sql: Sql): Promise<void> {
  const { rowCount } = await sql.query(
    `SELECT FROM pg_partitioned_table p JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = p.partrelid
      WHERE p.partexprs IS NOT NULL AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND d.refobjid >= 16384
        AND NOT EXISTS (SELECT FROM pg_depend e
          WHERE e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e')`,
  )
  if (rowCount) throw new Refusal('CONFLICT', STOPS_ITSELF)
}
