// A new database with another's content at a past moment: recovers the account's cluster from the vault in a scratch folder, dumps
// the one database there and loads that. The source is never touched, and no code inside the dump runs as a superuser.
import { writeFile } from 'node:fs/promises'
import { asUser, findPostgresBin, runToEnd } from '@bailiwick/kernel/postgres-cluster'
import { listBases } from '../base-backups.ts'
import { Refusal } from '../refusal.ts'
import type { Connections } from './connections.ts'
import { connectionOf, makePrepared, markMade, probeMark, type Connection } from './databases.ts'
import { dumpTo, inScratch } from './dump.ts'
import { DUMPER, LOADER, namesOf, SUPERUSER } from './names.ts'
import { inPast } from './past.ts'
import { readState, requirePlace, type ChangeVerb, type Hands, type Place } from './step.ts'

type Input = { account_id: string; database_id: string; new_database_id: string; target_time: number }

export function restoreDatabaseToNew(
  hands: Hands,
): ChangeVerb<Input, { connection: Connection; recovered_to: number }> {
  return {
    target: ({ new_database_id }) => new_database_id,
    probe: async (key) => {
      const probed = await probeMark(hands, key)
      if (!probed?.done) return { state: 'not_done' }
      return {
        state: 'done',
        result: { connection: connectionOf(probed.place), recovered_to: probed.mark?.recovered_to ?? 0 },
      }
    },
    act: async ({ account_id, database_id, new_database_id, target_time }, key) => {
      const place = await requirePlace(hands, account_id, new_database_id)
      const before = await readState(place)
      if (before.state === 'quarantined' || before.mark) throw new Refusal('CONFLICT', 'a database of that id exists')
      if (target_time > hands.clock.now()) throw new Refusal('INPUT_INVALID', 'the target time is in the future')
      const base = (await listBases(hands.vault, place.cluster)).find(({ created_at }) => created_at <= target_time)
      if (!base) throw new Refusal('INPUT_INVALID', 'the target time is before the first restore point')
      await inScratch(hands, async (folder) => {
        const dump = `${folder}/dump`
        const { kind, name, sha256 } = base
        const past = { folder, base: { account_id: base.account_id, kind, name, sha256 }, targetTime: target_time }
        await inPast(hands, place.cluster, past, async (connections, port) => {
          const database = await renameForNew(connections, database_id, new_database_id)
          await dumpTo(dump, port, database, await place.cluster.passwordOf(DUMPER))
        })
        await makePrepared(place, () => load(place, dump, folder))
      })
      await markMade(hands, place, key, { recovered_to: target_time })
      return { connection: connectionOf(place), recovered_to: target_time }
    },
  }
}

/** In the scratch copy alone: gives the source's roles the new database's names, so that the dump carries those. */
async function renameForNew(connections: Connections, sourceId: string, newId: string): Promise<string> {
  const [source, target] = [namesOf(sourceId), namesOf(newId)]
  return connections.use('postgres', SUPERUSER, async (sql) => {
    const { rows } = await sql.query<{ datname: string }>(
      `SELECT datname FROM pg_database WHERE datname = ANY ($1) AND shobj_description(oid, 'pg_database') IS NOT NULL`,
      [[source.database, source.quarantined]],
    )
    if (!rows[0]) throw new Refusal('INPUT_INVALID', 'the database did not exist at the target time')
    await sql.query(`ALTER DATABASE ${rows[0].datname} WITH ALLOW_CONNECTIONS true`)
    for (const role of ['owner', 'login', 'reader'] as const)
      await sql.query(`ALTER ROLE ${source[role]} RENAME TO ${target[role]}`)
    return rows[0].datname
  })
}

/**
 * Loads the dump's `public` part in one transaction. Checks, indexes and triggers in it may call code that a handed-out
 * password wrote; it runs as the loader, which for this while has the new database's rights and no others.
 */
async function load(place: Place, dump: string, folder: string): Promise<void> {
  const { connections, names, cluster } = place
  const asAdmin = (statement: string): Promise<unknown> =>
    connections.use(names.database, SUPERUSER, (sql) => sql.query(statement))
  const loaded = await connections.use(names.database, SUPERUSER, (sql) =>
    sql.query(`SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace LIMIT 1`),
  )
  // All or nothing: when anything is there, an earlier attempt got through this.
  if (loaded.rowCount) return
  const bin = findPostgresBin()
  const env = { PATH: process.env['PATH'], PGPASSWORD: await cluster.passwordOf(LOADER) }
  const contents = await runToEnd(`${bin}/pg_restore`, ['--list', dump], env)
  await writeFile(`${folder}/contents`, contents.split('\n').filter(isOfPublic).join('\n'))
  await asAdmin(`BEGIN; GRANT ${names.owner}, ${names.login} TO ${LOADER};
    GRANT CONNECT, CREATE ON DATABASE ${names.database} TO ${LOADER};
    GRANT USAGE, CREATE ON SCHEMA public TO ${LOADER}; GRANT USAGE ON SCHEMA bailiwick TO ${LOADER};
    GRANT EXECUTE ON FUNCTION bailiwick.record_change() TO ${LOADER}; COMMIT`)
  try {
    const to = ['-h', '127.0.0.1', '-p', String(cluster.port), '-U', LOADER, '-w', '-d', names.database]
    const how = ['--single-transaction', '-L', `${folder}/contents`, dump]
    await runToEnd(...asUser(null, `${bin}/pg_restore`, [...to, ...how]), env)
  } finally {
    await asAdmin(`BEGIN; REVOKE ${names.owner}, ${names.login} FROM ${LOADER};
      REVOKE ALL ON DATABASE ${names.database} FROM ${LOADER}; REVOKE ALL ON SCHEMA public, bailiwick FROM ${LOADER};
      REVOKE ALL ON FUNCTION bailiwick.record_change() FROM ${LOADER}; COMMIT`)
  }
}

/** What lives in `public`, and extensions; schemas, our own things and default privileges are prepared already. */
function isOfPublic(line: string): boolean {
  const entry = /^\d+; \d+ \d+ ([A-Z]+(?: [A-Z]+)*) (\S+) /.exec(line)
  if (!entry) return false
  const [, kind, schema] = entry
  return (schema === 'public' && kind !== 'DEFAULT ACL') || (schema === '-' && kind === 'EXTENSION')
}
