// Base backups of account clusters into the vault: one as soon as a cluster runs, then daily. With the archived WAL they are
// what point-in-time recovery starts from. The vault is trusted to keep them; nothing here can remove one.
import { createReadStream } from 'node:fs'
import { mkdir, rm, stat } from 'node:fs/promises'
import type { StoredRestorePoint, vaultDoor } from '@bailiwick/contracts/doors/vault'
import type { Clock } from '@bailiwick/kernel/clock'
import type { Client } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import { findPostgresBin } from '@bailiwick/kernel/postgres-cluster'
import type { Cluster } from './clusters.ts'
import { SUPERUSER } from './databases/names.ts'
import { createLimit } from './limit.ts'
import { hashFile, runToFile } from './programs.ts'

const EVERY_MS = 24 * 3600 * 1000
const LOOK_EVERY_MS = 15 * 60 * 1000
const RETRY_MS = 60 * 1000

export type BaseBackups = {
  /** Takes one now where the newest is older than a day. */
  want(cluster: Cluster): void
  close(): Promise<void>
}

/** Newest first; of this very cluster only. */
export async function listBases(vault: Client<typeof vaultDoor>, cluster: Cluster): Promise<StoredRestorePoint[]> {
  const { items } = await vault.list({ account_id: cluster.accountId, kind: 'base', prefix: 'base-' })
  return items
    .filter(({ name }) => name.endsWith(`.${cluster.systemId}`))
    .sort((one, other) => other.created_at - one.created_at)
}

/** From when on the cluster can be recovered, in milliseconds. */
export async function oldestBase(vault: Client<typeof vaultDoor>, cluster: Cluster): Promise<number | null> {
  return (await listBases(vault, cluster)).at(-1)?.created_at ?? null
}

export function startBaseBackups(options: {
  vault: Client<typeof vaultDoor>
  clusters: () => Cluster[]
  scratchDir: string
  clock: Clock
  logger: Logger
}): BaseBackups {
  const { vault, scratchDir, clock, logger } = options
  const oneAtATime = createLimit(1)
  const pending = new Map<string, Promise<void>>()
  let closed = false

  const take = async (cluster: Cluster): Promise<void> => {
    if (closed) return
    const newest = (await listBases(vault, cluster))[0]
    if (newest && clock.now() - newest.created_at < EVERY_MS) return
    await cluster.connections()
    await mkdir(scratchDir, { recursive: true, mode: 0o711 })
    const file = `${scratchDir}/base-${cluster.accountId}.tar.gz`
    try {
      // Without WAL inside: pg_basebackup waits until what it needs is archived, so a base in the vault can be recovered.
      await runToFile(
        `${findPostgresBin()}/pg_basebackup`,
        ['-h', '127.0.0.1', '-p', String(cluster.port), '-U', SUPERUSER, '-w'].concat([
          '-D',
          '-',
          '-F',
          'tar',
          '-X',
          'none',
          '-Z',
          'client-gzip:1',
          '-c',
          'fast',
          '--no-sync',
        ]),
        { PGPASSWORD: await cluster.passwordOf(SUPERUSER) },
        file,
      )
      const stamp = new Date(clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '')
      const name = `base-${stamp}.${cluster.systemId}`
      const sha256 = await hashFile(file)
      await vault.create({ account_id: cluster.accountId, kind: 'base', name, sha256 }, createReadStream(file))
      logger.info('base_backup_kept', { account_id: cluster.accountId, size_bytes: (await stat(file)).size })
    } finally {
      await rm(file, { force: true })
    }
  }

  const want = (cluster: Cluster): void => {
    if (closed || pending.has(cluster.accountId)) return
    const mine = oneAtATime(() => take(cluster))
      .catch((error: unknown) => {
        logger.warn('base_backup_failed', { account_id: cluster.accountId, why: String(error) })
        if (!closed) setTimeout(() => want(cluster), RETRY_MS).unref()
      })
      .finally(() => pending.delete(cluster.accountId))
    pending.set(cluster.accountId, mine)
  }
  const timer = setInterval(() => options.clusters().forEach(want), LOOK_EVERY_MS).unref()
  return {
    want,
    close: async () => {
      closed = true
      clearInterval(timer)
      await Promise.allSettled(pending.values())
    },
  }
}
