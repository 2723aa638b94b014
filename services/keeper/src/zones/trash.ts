// The keeper's own record of quarantined zones: which snapshot brings each back. One file per zone, whole or not there.
// Trusted: the snapshot's hash and the time. Losing a file loses the way back (the snapshot stays in the vault, for a human).
import { mkdir, readdir, rm } from 'node:fs/promises'
import { z } from 'zod'
import { readText, syncFolder, writeText } from '@bailiwick/kernel/durable-file'
import { AccountId, idHex, OperationId, ResourceId } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'

const TrashRecord = z.strictObject({
  account_id: AccountId,
  zone_id: ResourceId,
  name: z.string(),
  operation_id: OperationId,
  state: z.enum(['staged', 'published']),
  generation: z.number().int(),
  quarantined_at: z.number().int(),
  restore_point: z.strictObject({
    kind: z.literal('snapshot'),
    name: z.string(),
    sha256: z.string(),
    size_bytes: z.number().int(),
  }),
})
export type TrashRecord = z.infer<typeof TrashRecord>

export type Trash = {
  /** Durable when it resolves; an older record of the same zone is replaced. */
  write(record: TrashRecord): Promise<void>
  read(zoneId: string): Promise<TrashRecord | null>
  remove(zoneId: string): Promise<void>
  list(): Promise<TrashRecord[]>
}

export function createTrash(stateDir: string, logger: Logger): Trash {
  const folder = `${stateDir}/zones-quarantined`
  const fileOf = (zoneId: string): string => `${folder}/${idHex(ResourceId.parse(zoneId))}.json`

  const readIn = async (file: string): Promise<TrashRecord | null> => {
    const text = await readText(file)
    return text === null ? null : TrashRecord.parse(JSON.parse(text))
  }

  return {
    write: async (record) => {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await writeText(fileOf(record.zone_id), JSON.stringify(TrashRecord.parse(record)))
      await syncFolder(stateDir)
    },
    read: (zoneId) => readIn(fileOf(zoneId)),
    remove: async (zoneId) => {
      await rm(fileOf(zoneId), { force: true })
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await syncFolder(folder)
    },
    list: async () => {
      const files = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return []
        throw error
      })
      const records: TrashRecord[] = []
      for (const file of files.filter((file) => file.endsWith('.json')).sort()) {
        // A damaged record keeps its zone out of the reaper's reach, and nothing else.
        const record = await readIn(`${folder}/${file}`).catch((error: unknown) => {
          logger.error('zone_trash_record_damaged', { file }, error)
          return null
        })
        if (record) records.push(record)
      }
      return records
    },
  }
}
