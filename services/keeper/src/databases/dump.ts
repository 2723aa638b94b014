// Dumps a database into the vault, and believes the dump only after it was read back from there.
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { idHex } from '@bailiwick/kernel/ids'
import { findPostgresBin, runToEnd } from '@bailiwick/kernel/postgres-cluster'
import { Refusal } from '../refusal.ts'
import { hashFile, runToFile } from '../programs.ts'
import { DUMPER } from './names.ts'
import { requireActive } from './databases.ts'
import { databaseOf, type ChangeVerb, type Hands } from './step.ts'

export type RestorePoint = { kind: 'snapshot'; name: string; sha256: string; size_bytes: number }

/** A folder of its own, gone when `work` ends. */
export async function inScratch<T>(hands: Hands, work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(hands.scratchDir, { recursive: true, mode: 0o711 })
  const folder = await mkdtemp(`${hands.scratchDir}/work-`)
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** `pg_dump` in its own format, as a role that reads everything and changes nothing. */
export const dumpTo = (file: string, port: number, database: string, password: string): Promise<void> =>
  runToFile(
    `${findPostgresBin()}/pg_dump`,
    ['-h', '127.0.0.1', '-p', String(port), '-U', DUMPER, '-w', '-Fc', '--lock-wait-timeout=10000', database],
    { PGPASSWORD: password, PGOPTIONS: '-c search_path=pg_catalog' },
    file,
  )

export function dumpDatabase(
  hands: Hands,
): ChangeVerb<{ account_id: string; database_id: string }, { restore_point: RestorePoint }> {
  const nameOf = (operationId: string, databaseId: string): string => `${operationId}.${idHex(databaseId)}`
  return {
    target: ({ database_id }) => database_id,
    probe: async (key) => {
      const name = nameOf(key.operation_id, databaseOf(key))
      const { items } = await hands.vault.list({ account_id: key.account_id, kind: 'snapshot', prefix: name })
      for (const { account_id, kind, sha256, size_bytes } of items.filter((item) => item.name === name)) {
        const ref = { account_id, kind, name, sha256 }
        if (await readsBack(hands, ref))
          return { state: 'done', result: { restore_point: { kind: 'snapshot', name, sha256, size_bytes } } }
      }
      return { state: 'not_done' }
    },
    act: async ({ account_id, database_id }, key) => {
      const { cluster, names } = await requireActive(hands, account_id, database_id)
      const name = nameOf(key.operation_id, database_id)
      try {
        return await inScratch(hands, async (folder) => {
          const file = `${folder}/dump`
          await dumpTo(file, cluster.port, names.database, await cluster.passwordOf(DUMPER))
          const sha256 = await hashFile(file)
          const size_bytes = (await stat(file)).size
          const ref = { account_id, kind: 'snapshot' as const, name, sha256 }
          await hands.vault.create(ref, createReadStream(file))
          if (!(await readsBack(hands, ref))) throw new Error('the snapshot does not read back')
          return { restore_point: { kind: 'snapshot' as const, name, sha256, size_bytes } }
        })
      } catch (error) {
        // Whatever it was (no space here or there, the vault away, a damaged copy): there is no proven snapshot, and the
        // database was only read.
        hands.logger.error('snapshot_failed', { database: names.database }, error)
        throw new Refusal('SNAPSHOT_FAILED', 'the snapshot could not be made or does not read back')
      }
    },
  }
}

type SnapshotRef = { account_id: string; kind: 'snapshot' | 'base' | 'wal'; name: string; sha256: string }

/** The vault still has these bytes, and they are a dump whose table of contents PostgreSQL can read. */
async function readsBack(hands: Hands, ref: SnapshotRef): Promise<boolean> {
  if (!(await hands.vault.verify(ref)).ok) return false
  return inScratch(hands, async (folder) => {
    await pipeline(await hands.vault.read(ref), createWriteStream(`${folder}/copy`, { mode: 0o600 }))
    const contents = await runToEnd(`${findPostgresBin()}/pg_restore`, ['--list', `${folder}/copy`], {
      PATH: process.env['PATH'],
    }).catch(() => '')
    return contents.includes('TABLE bailiwick operations')
  })
}
