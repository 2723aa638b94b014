// The steward's one act: a permit in, an answer out (call.md §3). Each step takes what only the step before can make; nothing
// else in Bailiwick calls a tool's handler. What goes wrong leaves through `refuse`, and so through the log.
import type { ExecuteReply, stewardDoor } from '@bailiwick/contracts/doors/steward'
import { deny, withoutWhy, type Denial } from '@bailiwick/contracts/problem'
import type { Result } from '@bailiwick/kernel/result'
import type { z } from 'zod'
import { answerChange } from './answer.ts'
import { createNonces, createPlaces } from './arrivals.ts'
import { checkArrival, checkCatalog, checkGenuine, checkInput, type Call, type Genuine } from './checks.ts'
import { Refused } from './context.ts'
import type { Deps } from './deps.ts'
import { entryOf, forgedEntry } from './entries.ts'
import { answerRead } from './read.ts'
import { rootCause, toDenial } from './stopped.ts'

type Reply = z.input<typeof ExecuteReply>
type Request = z.output<typeof stewardDoor.routes.execute.input>
export type Execute = (request: Request, caller: string) => Promise<Reply>

/** `permitKey` is shared with policy alone. */
export function createExecute(deps: Deps, permitKey: Buffer): Execute {
  const spendNonce = createNonces(deps.clock)
  const takePlace = createPlaces()

  return async function execute(request, caller) {
    const startedMs = deps.clock.now()
    const genuine = checkGenuine(permitKey, request.permit)
    if (!genuine.ok) return refuseForged(request, caller, genuine.error)
    const refuse = (denial: Denial, decision: 'allow' | 'deny' = 'deny'): Promise<Reply> =>
      refuseOnRecord(genuine.value, request, { denial, decision, startedMs })

    const matched = checkArrival(genuine.value, caller, request.input, startedMs)
    if (!matched.ok) return refuse(matched.error)
    const known = checkCatalog(matched.value, deps.catalog, deps.tools)
    if (!known.ok) return refuse(known.error)
    const call: Result<Call, Denial> = checkInput(known.value)
    if (!call.ok) return refuse(call.error)

    const isRead = call.value.tool.effect.kind === 'read'
    const spent = isRead ? spendNonce(call.value.permit) : deps.gate.refusal()
    if (spent) return refuse(spent)
    const leave = takePlace(call.value.permit.account)
    if (!leave) return refuse(deny('IN_FLIGHT_LIMIT', { retry_after_s: 1 }))
    try {
      return await (isRead ? answerRead(deps, call.value, startedMs) : answerChange(deps, call.value, startedMs))
    } catch (error) {
      const cause = rootCause(error)
      // A denial is a no of ours; anything else is a part that broke, and an operator's matter.
      const isDenial = cause instanceof Refused
      const { tool, permit } = call.value
      if (!isDenial) deps.logger.error('call_failed', { tool: tool.name, request: permit.request_id }, cause)
      return refuse(toDenial(error), isDenial ? 'deny' : 'allow')
    } finally {
      leave()
    }
  }

  async function refuseForged(request: Request, caller: string, denial: Denial): Promise<Reply> {
    deps.logger.error('permit_forged', { caller })
    return append(forgedEntry(request.permit.permit, caller, denial.why ?? ''), denial, null)
  }

  async function refuseOnRecord(
    { permit }: Genuine,
    { input }: Request,
    { denial, decision, startedMs }: { denial: Denial; decision: 'allow' | 'deny'; startedMs: number },
  ): Promise<Reply> {
    // An unknown tool has no rules for what may be kept readable: everything is hashed.
    const tool = deps.catalog.tools.get(permit.tool) ?? { scopes: [], record: {} }
    const durationMs = deps.clock.now() - startedMs
    const happened = { kind: 'call', decision, code: denial.code, why: denial.why, durationMs } as const
    return append(entryOf(permit, tool, input, happened), denial, permit.operation_id)
  }

  /** A refusal that cannot be recorded is answered as what it then is: the log is down. */
  async function append(
    entry: ReturnType<typeof entryOf>,
    full: Denial,
    operation_id: Genuine['permit']['operation_id'],
  ): Promise<Reply> {
    const denial = withoutWhy(full)
    try {
      const { index } = await deps.audit.append(entry)
      return { ok: false, denial, operation_id, receipt: index }
    } catch (error) {
      deps.logger.error('refusal_not_recorded', { code: denial.code }, error)
      const extra = denial.extra?.['operation_id'] === undefined ? {} : { extra: { operation_id } }
      return {
        ok: false,
        denial: deny('AUDIT_UNAVAILABLE', { retry_after_s: 5, ...extra }),
        operation_id,
        receipt: null,
      }
    }
  }
}
