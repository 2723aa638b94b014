// A new database with another's content at a past moment: recovers the account's cluster from the vault in a scratch folder, dumps
// the one database there and loads that. The source is never touched, and no code inside the dump runs as a superuser.
import { chmod, chown, rename, writeFile } from 'node:fs/promises'
import { createWriteStream } from 'node:fs'
import { spawn } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { readFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { asUser, findPostgresBin, runToEnd, startCluster, stopCluster } from '@bailiwick/kernel/postgres-cluster'
import { Fault } from '@bailiwick/kernel/result'
import { listBases } from '../base-backups.ts'
import { CLUSTER_SETTINGS, shellWord } from '../cluster-settings.ts'
import type { Cluster } from '../clusters.ts'
import { Refusal } from '../refusal.ts'
import { openConnections, type Connections } from './connections.ts'
import { connectionOf, makePrepared, markMade, probeMark, type Connection } from './databases.ts'
import { dumpTo, inScratch } from './dump.ts'
import { DUMPER, LOADER, namesOf, SUPERUSER } from './names.ts'
import { readState, requirePlace, type ChangeVerb, type Hands, type Place } from './step.ts'

type Input = { account_id: string; database_id: string; new_database_id: string; target_time: number }
const ARCHIVED_WITHIN_MS = 90_000

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
        if (hands.runAs) await chown(folder, hands.runAs.uid, hands.runAs.gid)
        const lastSegment = await closeSegmentAfter(place.cluster, target_time)
        const { account_id: owner, kind, name, sha256 } = base
        await unpackBase(hands, { account_id: owner, kind, name, sha256 }, folder)
        const dump = `${folder}/dump`
        await dumpFromPast(hands, place.cluster, {
          folder,
          dump,
          database_id,
          new_database_id,
          target_time,
          lastSegment,
        })
        await makePrepared(place, () => load(place, dump, folder))
      })
      await markMade(hands, place, key, { recovered_to: target_time })
      return { connection: connectionOf(place), recovered_to: target_time }
    },
  }
}

/**
 * Recovery to a time must see a commit after that time, or PostgreSQL gives up. So one is made, and its segment closed and
 * archived. Returns that segment's name.
 */
async function closeSegmentAfter(cluster: Cluster, targetTime: number): Promise<string> {
  const connections = await cluster.connections()
  while (Date.now() <= targetTime) await new Promise((resolve) => setTimeout(resolve, 1))
  return connections.use('postgres', SUPERUSER, async (sql) => {
    await sql.query(`SELECT pg_logical_emit_message(true, 'bailiwick', 'recovery target passed')`)
    const { rows } = await sql.query<{ segment: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS segment')
    const { segment } = rows[0]!
    const deadline = Date.now() + ARCHIVED_WITHIN_MS
    for (;;) {
      const archived = await sql.query<{ last: string | null }>(
        `SELECT max(left(last_archived_wal, 24)) AS last FROM pg_stat_archiver`,
      )
      if ((archived.rows[0]!.last ?? '') >= segment) return segment
      if (Date.now() > deadline) throw new Fault('BACKEND_UNAVAILABLE', 'the WAL archive does not keep up')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })
}

type Ref = { account_id: string; kind: 'snapshot' | 'base' | 'wal'; name: string; sha256: string }

async function unpackBase(hands: Hands, base: Ref, folder: string): Promise<void> {
  const archive = `${folder}/base.tar.gz`
  await pipeline(await hands.vault.read(base), createWriteStream(archive, { mode: 0o644 }))
  const data = `${folder}/data`
  const env = { PATH: process.env['PATH'] }
  await runToEnd(...asUser(hands.runAs, 'mkdir', ['-m', '700', data]), env)
  await runToEnd(...asUser(hands.runAs, 'tar', ['-xzf', archive, '-C', data]), env)
}

/** Waits for the segment that the keeper is still fetching; what is past the end of the archive is not there (exit 1). */
const RESTORE_SCRIPT = `case "$2" in *.*) exit 1 ;; esac
while [ ! -e "$1/$2.gz" ]; do
  [ -e "$1/end" ] && exit 1
  sleep 0.05
done
exec gunzip -c "$1/$2.gz" > "$3"
`

async function dumpFromPast(
  hands: Hands,
  cluster: Cluster,
  past: {
    folder: string
    dump: string
    database_id: string
    new_database_id: string
    target_time: number
    lastSegment: string
  },
): Promise<void> {
  const { folder } = past
  const data = `${folder}/data`
  await writeFile(`${folder}/restore-wal.sh`, RESTORE_SCRIPT, { mode: 0o644 })
  const signal = `${data}/recovery.signal`
  await writeFile(signal, '', { mode: 0o644 })
  await chmod(folder, 0o711)
  const restoreCommand = `/bin/sh ${shellWord(`${folder}/restore-wal.sh`)} ${shellWord(folder)} %f %p`
  const fetching = new AbortController()
  const fetched = fetchWal(hands, cluster, { folder, data, last: past.lastSegment, signal: fetching.signal })
  const port = await freePort()
  const child = await startCluster({
    dataDir: data,
    port,
    user: hands.runAs,
    readyWithinMs: 600_000,
    settings: [
      ...CLUSTER_SETTINGS,
      'archive_mode=off',
      // Ready means recovered and promoted, not merely consistent.
      'hot_standby=off',
      'fsync=off',
      `restore_command=${restoreCommand}`,
      // This setting knows no `Z`.
      `recovery_target_time=${new Date(past.target_time).toISOString().replace('T', ' ').replace('Z', '+00')}`,
      'recovery_target_action=promote',
    ],
  }).catch(async (error: unknown) => {
    fetching.abort()
    await fetched
    throw error
  })
  const connections = openConnections({ port, passwordOf: cluster.passwordOf, logger: hands.logger })
  try {
    fetching.abort()
    await fetched
    const database = await renameForNew(connections, past.database_id, past.new_database_id)
    await dumpTo(past.dump, port, database, await cluster.passwordOf(DUMPER))
  } finally {
    await connections.close()
    await stopCluster(child)
  }
}

/** Puts segments into `folder` in order, from the base's start to `last`, until told that recovery is through. */
async function fetchWal(
  hands: Hands,
  cluster: Cluster,
  options: { folder: string; data: string; last: string; signal: AbortSignal },
): Promise<void> {
  const { folder, data, last, signal } = options
  try {
    const first = /\(file ([0-9A-F]{24})\)/.exec(await readFile(`${data}/backup_label`, 'utf8'))?.[1]
    if (!first) throw new Fault('BACKEND_UNAVAILABLE', 'the base backup names no WAL segment')
    const { items } = await hands.vault.list({ account_id: cluster.accountId, kind: 'wal', prefix: '' })
    const wanted = items
      .map((item) => ({ ...item, segment: item.name.slice(0, 24) }))
      .filter(({ name, segment }) => name === `${segment}.${cluster.systemId}` && segment >= first && segment <= last)
      .sort((one, other) => (one.segment < other.segment ? -1 : 1))
    for (const { account_id, kind, name, sha256, segment } of wanted) {
      if (signal.aborted) return
      await pipeline(
        await hands.vault.read({ account_id, kind, name, sha256 }),
        createWriteStream(`${folder}/part`, { mode: 0o644 }),
      )
      await rename(`${folder}/part`, `${folder}/${segment}.gz`)
    }
  } catch (error) {
    // Recovery then finds the archive ending here, fails, and says so; the log has the reason.
    hands.logger.error('wal_not_fetched', { account_id: cluster.accountId }, error)
  } finally {
    await writeFile(`${folder}/end`, '')
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
    await runToEnd(
      ...asUser(null, `${bin}/pg_restore`, [
        ...['-h', '127.0.0.1', '-p', String(cluster.port), '-U', LOADER, '-w', '-d', names.database],
        ...['--single-transaction', '-L', `${folder}/contents`, dump],
      ]),
      env,
    )
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

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
