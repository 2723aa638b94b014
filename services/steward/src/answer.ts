// A change as its caller sees it: opened or found again, driven to its end, answered. The answer is the stored one each time; a
// one-time secret is made afresh for each reply and never stored.
import type { ExecuteReply } from '@bailiwick/contracts/doors/steward'
import { UNDO_WINDOW_MS } from '@bailiwick/contracts/permit'
import { deny, withoutWhy } from '@bailiwick/contracts/problem'
import { ResourceId, uuidv7, type AccountId } from '@bailiwick/kernel/ids'
import { assertNever, Fault } from '@bailiwick/kernel/result'
import type { z } from 'zod'
import { drive, issueSecret, type Change, type Ended } from './change.ts'
import type { Call } from './checks.ts'
import { Refused } from './context.ts'
import type { Deps } from './deps.ts'
import { entryOf } from './entries.ts'
import { LeaseLost, type Opening } from './journal.ts'
import { planTool, type Plan } from './plan.ts'
import { isHarmless, Stopped, toDenial } from './stopped.ts'
import { findReversal, planUndo, type Reversal } from './undo.ts'

type Reply = z.input<typeof ExecuteReply>
const UNDO = 'undo'

export async function answerChange(deps: Deps, call: Call, startedMs: number): Promise<Reply> {
  const reversal = call.tool.name === UNDO ? await requireReversal(deps, call) : null
  const change = { plan: planOf(deps, call, reversal), catalogTool: call.catalogTool, startedMs }
  const arrival = await deps.journal.accept(open(call, reversal, startedMs))
  switch (arrival.kind) {
    case 'foreign':
      throw new Refused(deny('PERMIT_REFUSED', { why: 'the operation or the nonce is of another call' }))
    case 'running':
      throw new Refused(
        deny('IDEMPOTENCY_IN_PROGRESS', {
          retry_after_s: arrival.retryAfterS,
          extra: { operation_id: call.permit.operation_id },
        }),
      )
    case 'finished':
      return replay(deps, call, change, arrival.stage)
    case 'taken': {
      const ended = await drive(deps, change, arrival.stage).catch((error: unknown) => letGo(deps, error))
      return reply(deps, change, ended, false)
    }
    default:
      return assertNever(arrival)
  }
}

/** A deed that is not there, or keeps nothing to go back to, is refused before anything is journaled. */
async function requireReversal(deps: Deps, { permit, parsed }: Call): Promise<Reversal> {
  const reversal = await findReversal(deps, permit.account, (parsed as { operation_id: string }).operation_id)
  if (!reversal) throw new Refused(deny('NOT_FOUND'))
  return reversal
}

const planOf = (deps: Deps, { tool, parsed }: Pick<Call, 'tool' | 'parsed'>, reversal: Reversal | null): Plan =>
  reversal ? planUndo(deps, reversal) : planTool(tool, parsed)

/** The plan of an operation that a steward before left behind. */
export async function planAgain(
  deps: Deps,
  stage: { tool: string; input: unknown; account: AccountId; deedId: string | null },
): Promise<Pick<Change, 'plan' | 'catalogTool'>> {
  const tool = deps.tools.get(stage.tool)
  const catalogTool = deps.catalog.tools.get(stage.tool)
  if (!tool || !catalogTool) throw new Fault('CATALOG_MISMATCH', `no tool ${stage.tool} any more`)
  const reversal = stage.deedId ? await findReversal(deps, stage.account, stage.deedId) : null
  return { plan: planOf(deps, { tool, parsed: tool.input.parse(stage.input) }, reversal), catalogTool }
}

const open = (call: Call, reversal: Reversal | null, now: number): Opening => ({
  sealed: call.sealed,
  tool: call.tool.name,
  // An undo is readable, and undoable, by whom its deed is.
  scopes: reversal ? reversal.root.scopes : call.tool.scopes,
  destructive: call.catalogTool.confirms !== null,
  input: call.input,
  // An undo works on what its deed made.
  newResourceId: reversal ? reversal.root.newResourceId : ResourceId.parse(uuidv7(now)),
  deedId: reversal?.deed.id ?? null,
  rootId: reversal?.root.id ?? null,
  undoUntil: new Date(call.permit.undo_until ?? now + UNDO_WINDOW_MS),
})

/** The change stopped. Nothing done: it waits for its caller to come again. Something may be done: recovery drives it on. */
async function letGo(deps: Deps, error: unknown): Promise<never> {
  if (!(error instanceof Stopped) || error.cause instanceof LeaseLost) throw error
  const { stage } = error
  const denial = toDenial(error)
  if (isHarmless(stage)) {
    await deps.journal.wait(stage, denial.code).catch((cause: unknown) => noteNotLetGo(deps, stage.id, cause))
    throw error
  }
  if (stage.state === 'committed') deps.gate.owe(stage)
  await deps.journal.release(stage).catch((cause: unknown) => noteNotLetGo(deps, stage.id, cause))
  // The caller must be able to ask what became of it.
  const told = { ...denial, extra: { ...denial.extra, operation_id: stage.id } }
  throw new Stopped(stage, Object.assign(new Refused(told), { cause: error.cause }))
}
/** The lease then runs out by itself. */
const noteNotLetGo = (deps: Deps, operation: string, cause: unknown): void =>
  deps.logger.warn('operation_not_let_go', { operation, error: String(cause) })

async function replay(deps: Deps, call: Call, change: Change, ended: Ended): Promise<Reply> {
  const code = ended.state === 'recorded' ? null : ended.state === 'unknown' ? 'OUTCOME_UNKNOWN' : ended.denial!.code
  await deps.audit.append(
    entryOf(call.permit, call.catalogTool, call.input, {
      kind: 'replay',
      decision: ended.state === 'closed' ? 'deny' : 'allow',
      code,
      durationMs: deps.clock.now() - change.startedMs,
    }),
  )
  // Under the permit that came now: the one it was made under is long over.
  return reply(deps, change, { ...ended, sealed: call.sealed }, true)
}

async function reply(deps: Deps, change: Change, ended: Ended, isReplay: boolean): Promise<Reply> {
  const operation_id = ended.id
  if (ended.state === 'unknown')
    return { ok: false, denial: deny('OUTCOME_UNKNOWN', { extra: { operation_id } }), operation_id, receipt: null }
  if (ended.state === 'closed')
    return { ok: false, denial: withoutWhy(ended.denial!), operation_id, receipt: ended.outcomeIndex }
  const { effect } = change.catalogTool
  const secret = await issueSecret(deps, change, ended).catch((error: unknown) => {
    // Gone since, on a replay: the answer stands, and there is nothing to hand over. The log says so by its silence.
    if (isReplay && error instanceof Refused) return null
    throw withOperation(error, operation_id)
  })
  return {
    ok: true,
    output: {
      ...ended.output,
      ...(effect === 'exact' || effect === 'recoverable'
        ? { undo: { operation_id, undo_until: ended.undoUntil.toISOString() } }
        : {}),
      ...(secret ? { secret } : {}),
      ...(isReplay ? { idempotent_replay: true } : {}),
    },
    replay: isReplay,
    receipt: ended.outcomeIndex!,
    operation_id,
  }
}

/** It is done and in the log; only the secret is missing. The same call again brings the answer with one. */
function withOperation(error: unknown, operation_id: string): Refused {
  const denial = toDenial(error)
  return Object.assign(new Refused({ ...denial, extra: { ...denial.extra, operation_id } }), { cause: error })
}
