// Loads a recovered copy into its new database in stages. While the loader has the rights of the database's roles, nothing that is
// run evaluates an expression of the database's own; where that cannot be avoided, it has no rights but over one table of theirs.
import { writeFile } from 'node:fs/promises'
import { asUser, findPostgresBin, runToEnd } from '@bailiwick/kernel/postgres-cluster'
import { Fault } from '@bailiwick/kernel/result'
import { Refusal } from '../refusal.ts'
import type { Sql } from './connections.ts'
import { readContents, stagesOf, type Entry, type Evaluated } from './contents.ts'
import { dumpTo } from './dump.ts'
import { DUMPER, LOADER, quote, SUPERUSER } from './names.ts'
import { readOwners, STOPS_ITSELF, type RecoveredCopy } from './recovered-copy.ts'
import { haveSameRows } from './same-rows.ts'
import type { Hands, Place } from './step.ts'

/** One index or view of the database's own may take this long; after that it is left out. */
const EVALUATED_WITHIN_S = 120
const DIFFERS = 'the loaded database is not the same as the recovered one'

export async function loadCopy(hands: Hands, place: Place, copy: RecoveredCopy, folder: string): Promise<void> {
  const { connections, names, cluster } = place
  const { owner, login, database } = names
  const admin = <T>(work: (sql: Sql) => Promise<T>): Promise<T> => connections.use(database, SUPERUSER, work)
  const password = await cluster.passwordOf(LOADER)
  const env = { PATH: process.env['PATH'], LC_ALL: 'C', PGPASSWORD: password }
  const bin = findPostgresBin()
  const list = async (dump: string, ...more: string[]): Promise<Entry[]> =>
    readContents(await runToEnd(`${bin}/pg_restore`, ['--list', ...more, dump], env))
  const run = async (dump: string, entries: readonly Entry[]): Promise<void> => {
    if (entries.length === 0) return
    await writeFile(`${folder}/contents`, `${entries.map(({ line }) => line).join('\n')}\n`)
    const to = ['-h', '127.0.0.1', '-p', String(cluster.port), '-U', LOADER, '-w', '-d', database]
    const how = ['--single-transaction', '-L', `${folder}/contents`, dump]
    await runToEnd(...asUser(null, `${bin}/pg_restore`, [...to, ...how]), env)
  }
  /** Stages in which no code of the database's own is met: an SQL error here is one that would come again. */
  const stage = (grants: string, dump: string, entries: readonly Entry[]): Promise<void> =>
    withRights(place, admin, grants, () => run(dump, entries)).catch((error: unknown) => {
      throw isServersNo(error) ? new Refusal('CONFLICT', STOPS_ITSELF) : error
    })
  const asOwners = `GRANT ${owner}, ${login} TO ${LOADER}; GRANT CREATE ON SCHEMA public TO ${LOADER};
    GRANT USAGE ON SCHEMA bailiwick TO ${LOADER}; GRANT EXECUTE ON FUNCTION bailiwick.record_change() TO ${LOADER}`

  // Before anything of the database's own is there that an extension's script could meet.
  await admin(async (sql) => {
    for (const { name, schema } of copy.extensions)
      await sql.query(`CREATE EXTENSION IF NOT EXISTS ${quote(name)} SCHEMA ${schema}`)
  })
  await stage(asOwners, copy.dump, await list(copy.dump, '--section=pre-data'))
  await loadRows()
  const postData = await list(copy.dump, '--section=post-data')
  const { inert, evaluated, attached } = stagesOf(postData, copy.evaluated)
  const refreshed = evaluatedViews(postData, copy.evaluated)
  await stage(asOwners, copy.dump, inert)
  const left: Entry[] = []
  for (const { entry, on } of [...refreshed, ...evaluated]) if (!(await tryAlone(entry, on))) left.push(entry)
  for (const entry of attached)
    await stage(asOwners, copy.dump, [entry]).catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error
      left.push(entry)
    })
  if (left.length > 0)
    hands.logger.warn('restore_left_out', {
      database,
      entries: left.map(({ kind, name }) => `${kind} ${name}`).join(', '),
    })
  await admin(async (sql) => {
    // What code made while it ran alone belongs to those whose code it is.
    await sql.query(`REASSIGN OWNED BY ${LOADER} TO ${login}`)
    await sql.query(
      `UPDATE pg_constraint c SET convalidated = true FROM jsonb_to_recordset($1::text::jsonb) AS v (name text, "of" text, type text)
        WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('c', 'f') AND c.conname = v.name
          AND c.conrelid::regclass::text = v."of" AND c.contypid::regtype::text = v.type`,
      [JSON.stringify(copy.validated)],
    )
    const has = new Set((await readOwners(sql)).map((one) => JSON.stringify(one)))
    if (!copy.owners.every((one) => has.has(JSON.stringify(one)))) throw new Refusal('CONFLICT', DIFFERS)
  })

  /** As a role that may only insert. There is no check, trigger, index or rule yet; generated columns arrive as values. */
  async function loadRows(): Promise<void> {
    const setGenerated = (to: string): Promise<unknown> =>
      admin((sql) =>
        sql.query(
          `UPDATE pg_attribute a SET attgenerated = '${to}'
            FROM jsonb_to_recordset($1::text::jsonb) AS g ("of" text, "column" text)
            WHERE a.attrelid::regclass::text = g."of" AND a.attname = g."column" AND a.attnum > 0`,
          [JSON.stringify(copy.generated)],
        ),
      )
    const entries = await list(copy.data, '--section=data')
    await setGenerated('')
    await lend('INSERT', 'UPDATE', () => stage('', copy.data, entries))
    await setGenerated('s')
    const loaded = `${folder}/loaded`
    await dumpTo(loaded, cluster.port, database, await cluster.passwordOf(DUMPER))
    if (!(await haveSameRows(copy.dump, loaded))) throw new Refusal('CONFLICT', DIFFERS)
  }

  /** Lends the loader one right over all of `public`, and leaves the grants that are there as they were, to the letter. */
  async function lend(onTables: string, onSequences: string, work: () => Promise<void>): Promise<void> {
    const before = await admin(async (sql) => {
      const { rows } = await sql.query<{ oid: string; acl: string | null }>(
        `SELECT oid::text, relacl::text AS acl FROM pg_class WHERE relnamespace = 'public'::regnamespace`,
      )
      await sql.query(`GRANT ${onTables} ON ALL TABLES IN SCHEMA public TO ${LOADER}`)
      await sql.query(`GRANT ${onSequences} ON ALL SEQUENCES IN SCHEMA public TO ${LOADER}`)
      return rows
    })
    try {
      await work()
    } finally {
      await admin(async (sql) => {
        await sql.query(`REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ${LOADER};
          REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM ${LOADER}`)
        // Where the loader is the owner for a while, that also took what the owner has by itself.
        await sql.query(
          `UPDATE pg_class c SET relacl = b.acl::aclitem[] FROM jsonb_to_recordset($1::text::jsonb) AS b (oid text, acl text)
            WHERE c.oid::text = b.oid AND c.relacl::text IS DISTINCT FROM b.acl`,
          [JSON.stringify(before)],
        )
      })
    }
  }

  /**
   * Makes one thing that may call code of the database's own. For this while the loader owns the one table or domain and has no
   * other right, so the code can spoil nothing but what its author owned anyway. Fails or takes too long: left out.
   */
  async function tryAlone(entry: Entry, on: Evaluated): Promise<boolean> {
    const kept = await admin(async (sql) => {
      const { rows } = await sql.query<{ owner: string }>(
        on.type === 'TABLE'
          ? 'SELECT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE oid = to_regclass($1)'
          : 'SELECT pg_get_userbyid(typowner) AS owner FROM pg_type WHERE oid = to_regtype($1)',
        [on.of],
      )
      if (rows[0]) await sql.query(`ALTER ${on.type} ${on.of} OWNER TO ${LOADER}`)
      return rows[0]?.owner
    })
    if (!kept) return false
    const make = (): Promise<void> =>
      withRights(place, admin, `GRANT CREATE ON SCHEMA public TO ${LOADER}`, () => run(copy.dump, [entry]))
    const late = setTimeout(() => void endLoader(admin).catch(() => undefined), EVALUATED_WITHIN_S * 1000)
    try {
      // A view's query reads other tables; nothing can be changed through it.
      await (entry.kind === 'MATERIALIZED VIEW DATA' ? lend('SELECT', 'SELECT', make) : make())
      return true
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return false
    } finally {
      clearTimeout(late)
      await admin((sql) => sql.query(`ALTER ${on.type} ${on.of} OWNER TO ${quote(kept)}`))
    }
  }
}

type Admin = <T>(work: (sql: Sql) => Promise<T>) => Promise<T>

const endLoader = (admin: Admin): Promise<unknown> =>
  admin((sql) =>
    sql.query(
      `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND usename = $1`,
      [LOADER],
    ),
  )

/** The loader may connect, use `public` and do what `grants` say, until `work` ends; then it has no session and no right. */
async function withRights({ names }: Place, admin: Admin, grants: string, work: () => Promise<void>): Promise<void> {
  await admin((sql) =>
    sql.query(`BEGIN; GRANT CONNECT ON DATABASE ${names.database} TO ${LOADER}; GRANT USAGE ON SCHEMA public TO ${LOADER};
      ${grants}; COMMIT`),
  )
  try {
    await work()
  } finally {
    await admin((sql) =>
      sql.query(`BEGIN; REVOKE ${names.owner}, ${names.login} FROM ${LOADER};
        REVOKE ALL ON DATABASE ${names.database} FROM ${LOADER}; REVOKE ALL ON SCHEMA public, bailiwick FROM ${LOADER};
        REVOKE ALL ON FUNCTION bailiwick.record_change() FROM ${LOADER}; COMMIT`),
    )
    await endLoader(admin)
  }
}

const evaluatedViews = (
  postData: readonly Entry[],
  evaluated: readonly Evaluated[],
): { entry: Entry; on: Evaluated }[] =>
  postData.flatMap((entry) => {
    const on = evaluated.find(({ oid }) => oid === entry.oid)
    return entry.kind === 'MATERIALIZED VIEW DATA' && on ? [{ entry, on }] : []
  })

/** The server answered, and what it said was not about itself. */
const isServersNo = (error: unknown): boolean =>
  error instanceof Fault &&
  /(could not execute query|COPY failed for table .*|setting up .*): ERROR: /s.test(error.message) &&
  !/No space left|out of memory|terminating connection|could not (extend|write|read|open|access) /.test(error.message)
