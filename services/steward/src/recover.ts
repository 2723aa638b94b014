// Finds operations whose steward died and drives them on from where they stand; closes what nobody came back for.
// What it does in each state is the table of call.md §3; the driving itself is change.ts, the same as for a caller.
import { deny } from '@bailiwick/contracts/problem'
import { planAgain } from './answer.ts'
import { drive } from './change.ts'
import { Refused } from './context.ts'
import type { Deps } from './deps.ts'
import { LeaseLost } from './journal.ts'
import type { Stage } from './stage.ts'
import { isHarmless, Stopped, toDenial } from './stopped.ts'

/** Longer than an idempotency key lives: nobody can come back for it with the same key. */
const FORGOTTEN_AFTER_MS = 25 * 3_600_000
const AT_ONCE = 8

export type Recovery = {
  /** One look at all accounts' unattended operations. How many it brought to an end. */
  pass(): Promise<number>
  start(everyMs: number): void
  stop(): Promise<void>
}

export function createRecovery(deps: Deps): Recovery {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<unknown> = Promise.resolve()
  let stopped = false

  async function pass(): Promise<number> {
    await settleOwed(deps)
    const forgottenBefore = new Date(deps.clock.now() - FORGOTTEN_AFTER_MS)
    for (let ended = 0; ;) {
      const found = await deps.journal.findUnattended(forgottenBefore, AT_ONCE)
      const ends = await Promise.all(
        found.map(async ({ id, account_id }) => {
          const stage = await deps.journal.retake(account_id, id)
          // Null: its caller came back, or another steward was faster.
          return stage !== null && goOn(deps, stage, forgottenBefore)
        }),
      )
      const now = ends.filter(Boolean).length
      ended += now
      if (found.length < AT_ONCE || now === 0) return ended
    }
  }

  const loop = (everyMs: number): void => {
    timer = setTimeout(() => {
      running = pass()
        .catch((error: unknown) => deps.logger.warn('recovery_pass_failed', { error: String(error) }))
        .finally(() => {
          if (!stopped) loop(everyMs)
        })
    }, everyMs)
  }
  return {
    pass,
    start: loop,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}

/** An outcome that another steward wrote in the meantime is owed no more. */
async function settleOwed(deps: Deps): Promise<void> {
  for (const { id, account } of deps.gate.owed()) {
    const stage = await deps.journal.read(account, id)
    if (stage?.state === 'recorded') deps.gate.settle(id)
  }
}

/** Whether it reached its end. Where it did not, its lease runs out again, later each time in `acting`, and it is tried again. */
async function goOn(deps: Deps, stage: Stage, forgottenBefore: Date): Promise<boolean> {
  const fields = { operation: stage.id, tool: stage.tool, state: stage.state }
  try {
    const change = { ...(await planAgain(deps, stage)), startedMs: deps.clock.now() }
    const isForgotten = isHarmless(stage) && stage.startedAt <= forgottenBefore
    const from = isForgotten
      ? await giveUp(deps, stage, new Refused(deny('CONFLICT', { why: 'nobody came back for it' })))
      : stage
    const ended = await drive(deps, change, from).catch(async (error: unknown) => {
      // Nobody is waiting who could come again with the obstacle gone, and nothing has been done.
      if (!(error instanceof Stopped) || !error.isHarmless || !(error.cause instanceof Refused)) throw error
      return drive(deps, change, await giveUp(deps, error.stage, error.cause))
    })
    deps.logger.info('operation_recovered', { ...fields, ended: ended.state })
    return true
  } catch (error) {
    if (error instanceof Stopped && error.stage.state === 'committed') deps.gate.owe(error.stage)
    if (error instanceof Stopped && error.stage.state === 'acting' && !(error.cause instanceof LeaseLost))
      await deps.journal.release(error.stage).catch(() => undefined)
    deps.logger.warn('operation_not_recovered', { ...fields, code: toDenial(error).code, error: String(error) })
    return false
  }
}

const giveUp = (deps: Deps, stage: Stage, why: Refused): Promise<Stage<'refused'>> =>
  deps.journal.refused(stage, { ...why.denial, extra: { ...why.denial.extra, operation_id: stage.id } })
