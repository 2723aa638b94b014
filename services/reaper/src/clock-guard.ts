// A clock that is set forward would make everything due at once. So a step of the wall clock against the machine's own
// running time, or a time before the last one recorded, halts the reaper until a human has looked and removed a file.
import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { readText, syncFolder, writeText } from '@bailiwick/kernel/durable-file'
import type { Logger } from '@bailiwick/kernel/logger'

const MAX_DRIFT_MS = 60_000
const Recorded = z.strictObject({ wall: z.number().int() })

export type Times = {
  /** Milliseconds since the epoch. */
  wall(): number
  /** Milliseconds since boot, sleep included: a suspended machine is no clock step. */
  running(): number
}
export type ClockGuard = {
  /** The time that may be believed, or null: halted. */
  time(): Promise<number | null>
}

export function clockGuard(stateDir: string, times: Times, logger: Logger): ClockGuard {
  const haltedFile = `${stateDir}/halted`
  const clockFile = `${stateDir}/clock.json`
  let last: { wall: number; running: number } | null = null

  const recorded = async (): Promise<number | null> => {
    const text = await readText(clockFile)
    if (text === null) return null
    try {
      return Recorded.parse(JSON.parse(text)).wall
    } catch (error) {
      logger.error('clock_record_damaged', { file: clockFile }, error)
      return null
    }
  }
  const problem = async (wall: number, running: number): Promise<string | null> => {
    const before = await recorded()
    if (before !== null && wall < before)
      return `the clock says ${iso(wall)}, which is before ${iso(before)}, seen earlier`
    if (last === null) return null
    const drift = wall - last.wall - (running - last.running)
    return Math.abs(drift) > MAX_DRIFT_MS
      ? `the clock was set by ${Math.round(drift / 1000)} s between ${iso(last.wall)} and ${iso(wall)}`
      : null
  }

  return {
    time: async () => {
      if ((await readText(haltedFile)) !== null) {
        // What was measured against belongs to the time before the halt.
        last = null
        logger.warn('halted', { file: haltedFile })
        return null
      }
      const [wall, running] = [times.wall(), times.running()]
      const why = await problem(wall, running)
      if (why !== null) {
        last = null
        await writeText(haltedFile, `${why}\nNothing is purged. Set the clock right, then remove this file.\n`)
        // The old record would halt it again after the human has removed the file.
        await rm(clockFile, { force: true })
        await syncFolder(stateDir)
        logger.error('halted', { why, file: haltedFile })
        return null
      }
      await writeText(clockFile, JSON.stringify({ wall }))
      last = { wall, running }
      return wall
    },
  }
}

const iso = (time: number): string => new Date(time).toISOString()
