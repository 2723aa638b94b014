// The reaper's own memory of what it saw and since when. Nobody else writes it. Lost or damaged, every count starts anew:
// things are then kept a window longer, which is the harmless side.
import { z } from 'zod'
import { hashJson } from '@bailiwick/kernel/canonical'
import { readText, writeText } from '@bailiwick/kernel/durable-file'
import type { Logger } from '@bailiwick/kernel/logger'
import type { Sightings } from './due.ts'

const Stored = z.strictObject({
  v: z.literal(1),
  /** Over `table`: one flipped bit in a time must not make anything due. */
  sha256: z.string(),
  table: z.record(z.string(), z.strictObject({ first_seen: z.number().int(), last_seen: z.number().int() })),
})

export type SightingsFile = {
  read(): Promise<Sightings>
  write(table: Sightings): Promise<void>
}

export function sightingsFile(file: string, logger: Logger): SightingsFile {
  return {
    read: async () => {
      const text = await readText(file)
      if (text === null) return {}
      try {
        const { sha256, table } = Stored.parse(JSON.parse(text))
        if (hashJson(table) !== sha256) throw new Error('the hash differs')
        return table
      } catch (error) {
        logger.error('sightings_damaged', { file, consequence: 'every count starts anew' }, error)
        return {}
      }
    },
    write: (table) => writeText(file, JSON.stringify({ v: 1, sha256: hashJson(table), table })),
  }
}
