// An account's cluster as it was at a past moment: recovered from the vault in a scratch folder, on a port of its own, and gone
// when the work on it ends. The live cluster only gives a commit to stop at.
import { createWriteStream } from 'node:fs'
import { chmod, chown, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { RestorePointRef } from '@bailiwick/contracts/doors/vault'
import { asUser, runToEnd, startCluster, stopCluster } from '@bailiwick/kernel/postgres-cluster'
import { Fault } from '@bailiwick/kernel/result'
import type { z } from 'zod'
import { CLUSTER_SETTINGS, shellWord } from '../cluster-settings.ts'
import type { Cluster } from '../clusters.ts'
import { openConnections, type Connections } from './connections.ts'
import { SUPERUSER } from './names.ts'
import type { Hands } from './step.ts'

const ARCHIVED_WITHIN_MS = 90_000
const RECOVERED_WITHIN_MS = 600_000

/** Runs `work` on the cluster as it was at `targetTime` (ms), recovered from `base` into `folder`. */
export async function inPast(
  hands: Hands,
  cluster: Cluster,
  past: { folder: string; base: z.output<typeof RestorePointRef>; targetTime: number },
  work: (connections: Connections, port: number) => Promise<void>,
): Promise<void> {
  const { folder, base, targetTime } = past
  const data = `${folder}/data`
  if (hands.runAs) await chown(folder, hands.runAs.uid, hands.runAs.gid)
  await chmod(folder, 0o711)
  const last = await closeSegmentAfter(cluster, targetTime)
  await unpackBase(hands, base, folder)
  await writeFile(`${folder}/restore-wal.sh`, RESTORE_SCRIPT, { mode: 0o644 })
  await writeFile(`${data}/recovery.signal`, '', { mode: 0o644 })
  const recovered = new AbortController()
  const fetching = fetchWal(hands, cluster, { folder, data, last, signal: recovered.signal })
  const port = await freePort()
  const restoreCommand = `/bin/sh ${shellWord(`${folder}/restore-wal.sh`)} ${shellWord(folder)} %f %p`
  const starting = startCluster({
    dataDir: data,
    port,
    user: hands.runAs,
    readyWithinMs: RECOVERED_WITHIN_MS,
    settings: [
      ...CLUSTER_SETTINGS,
      'archive_mode=off',
      // Ready means recovered and promoted, not merely consistent.
      'hot_standby=off',
      // A copy that lives for one dump; a crash throws it away.
      'fsync=off',
      `restore_command=${restoreCommand}`,
      // This setting knows no `Z`.
      `recovery_target_time=${new Date(targetTime).toISOString().replace('T', ' ').replace('Z', '+00')}`,
      'recovery_target_action=promote',
    ],
  }).finally(() => recovered.abort())
  await Promise.allSettled([starting])
  await fetching
  const child = await starting
  const connections = openConnections({ port, passwordOf: cluster.passwordOf, logger: hands.logger })
  try {
    await work(connections, port)
  } finally {
    await connections.close()
    await stopCluster(child)
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

async function unpackBase(hands: Hands, base: z.output<typeof RestorePointRef>, folder: string): Promise<void> {
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

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
