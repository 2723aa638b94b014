// Policy's periodic work: the refusals' minutes, last uses, rows that no retry can ask for any more.
import type { Deps } from './deps.ts'
import { LIMITS } from './rules.ts'

/** A preview outlives every idempotency key that may have spent it, so that a late retry still finds its operation. */
const KEEP_PREVIEWS_MS = LIMITS.idempotencyMs + LIMITS.previewTtlMs

export async function sweep(deps: Pick<Deps, 'database' | 'clock'>): Promise<void> {
  const now = deps.clock.now()
  await deps.database.query('SELECT policy.sweep($1, $2)', [new Date(now), new Date(now - KEEP_PREVIEWS_MS)])
}

/** Starts them all; the returned function stops them and writes what is still in memory. */
export function startJobs(deps: Deps): () => Promise<void> {
  const every = (ms: number, name: string, work: () => Promise<void>): NodeJS.Timeout =>
    setInterval(() => {
      work().catch((error: unknown) => deps.logger.warn('job_failed', { job: name, reason: String(error) }))
    }, ms).unref()
  const timers = [
    every(1000, 'last_use', () => deps.lastUse.flush(deps.clock.now())),
    every(10_000, 'refusals', () => deps.refusals.flush()),
    every(60_000, 'sweep', () => sweep(deps)),
  ]
  return async () => {
    for (const timer of timers) clearInterval(timer)
    await deps.refusals.flush(true)
    await deps.lastUse.flush(deps.clock.now(), true)
  }
}
