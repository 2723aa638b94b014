// Tells the log of every taken event, once: an event that was told and not yet marked when we died is told again, and the log
// answers with the first receipt.
import type { EntryInput } from '@bailiwick/contracts/doors/audit'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import type { Database } from '../database.ts'
import type { Audit } from '../refusals.ts'

const AT_ONCE = 64

type Waiting = { id: string; entry: Pick<EntryInput, 'kind' | 'account' | 'door' | 'decision' | 'code' | 'personal'> }

type Recorder = {
  /** Tells what waits; one run at a time, however often it is asked for. Never throws: what was not told waits. */
  run(): Promise<void>
}

export function createRecorder(deps: {
  database: Database
  audit: Audit
  logger: Logger
  hashes: { policy_hash: string; catalog_hash: string }
}): Recorder {
  const { database, audit, logger, hashes } = deps
  let running: Promise<void> | null = null

  const tell = async ({ id, entry }: Waiting): Promise<string> => {
    const telling = audit.append({
      ...entry,
      ...hashes,
      tool: null,
      risk: null,
      status: null,
      operation_id: null,
      request_id: id,
      duration_ms: null,
      event_id: id,
    })
    await telling.catch((error: unknown) => {
      if (!(error instanceof Fault) || error.code !== 'EVENT_CONFLICT') throw error
      // Our tables were restored, and the person has another account since: it stands as it was told first. Told again and
      // again it would hold up all that wait behind it.
      logger.error('event_stands_otherwise', { id }, error)
    })
    return id
  }

  /** True when there may be more. */
  const runOnce = async (): Promise<boolean> => {
    const waiting = await database.query<Waiting>(
      'SELECT id, entry FROM policy.taken_events WHERE entry IS NOT NULL ORDER BY at, id LIMIT $1',
      [AT_ONCE],
    )
    const results = await Promise.allSettled(waiting.map(tell))
    const told = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    const failed = results.find((result) => result.status === 'rejected')
    // What was told need not be kept here: it is personal, and the log has it.
    if (told.length > 0) await database.query('UPDATE policy.taken_events SET entry = NULL WHERE id = ANY ($1)', [told])
    if (failed) throw failed.reason
    return waiting.length === AT_ONCE
  }

  const runAll = async (): Promise<void> => {
    try {
      while (await runOnce());
    } catch (error) {
      logger.error('events_not_recorded', {}, error)
    }
  }

  return {
    run() {
      running ??= runAll().finally(() => {
        running = null
      })
      return running
    },
  }
}
