// A call's whole way through the gateway: parse -> policy decides -> the steward executes -> the answer (call.md §1, §2).
// Each step takes what only the step before can make, so that skipping one does not compile.
import type { DecideReply, DecideRequest, policyDoor, Rate } from '@bailiwick/contracts/doors/policy'
import type { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { isCode, type Code } from '@bailiwick/contracts/codes'
import { deny, type Denial } from '@bailiwick/contracts/problem'
import type { Client } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import { err, Fault, ok, type Result } from '@bailiwick/kernel/result'
import type { Sender } from './sender.ts'
import type { Unreadable } from './unreadable.ts'

export type Doors = {
  readonly policy: Pick<Client<typeof policyDoor>, 'decide' | 'identify'>
  /** On sockets of its own: what waits must not stand in the way of what decides. */
  readonly watcher: Pick<Client<typeof policyDoor>, 'watch'>
  readonly steward: Pick<Client<typeof stewardDoor>, 'execute'>
  readonly logger: Logger
}

/** JSON as it was received. */
export type Input = DecideRequest['input']

/** A request that could be read: what is asked, nothing of it believed. */
export type Parsed = { readonly tool: string; readonly input: Input; readonly idempotencyKey: string | null }

declare const byPolicy: unique symbol
/** Made by `decide` alone. `input` is what policy permitted: for `confirm_action` the previewed one, not the caller's. */
type Permitted = {
  readonly [byPolicy]: true
  readonly permit: Extract<DecideReply, { ok: true }>['permit']
  readonly input: Input
  readonly rate: Rate
}

export type Done = {
  readonly ok: true
  readonly requestId: string
  readonly rate: Rate
  readonly output: { readonly [key: string]: Input }
  readonly receipt: number
  readonly replay: boolean
}
export type Refused = {
  readonly ok: false
  readonly requestId: string
  /** Null as long as no principal is known. */
  readonly rate: Rate | null
  readonly denial: Denial
  readonly receipt: number | null
  /** Set when the request could not be read and that is why it is refused. */
  readonly unreadable: Unreadable | null
}
export type Answer = Done | Refused

/** A call that policy permitted and that the steward is at. */
export type Started = {
  /** What runs: for `confirm_action` the tool that was previewed. */
  readonly tool: string
  readonly operationId: string | null
  /** Never rejects. */
  readonly answer: Promise<Answer>
}

/** Answers one call. Never throws: what breaks behind us becomes a denial that says which part is down. */
export async function answerCall(
  doors: Doors,
  sender: Sender,
  parsed: Result<Parsed, Unreadable>,
  tool = '',
): Promise<Answer> {
  const started = await startCall(doors, sender, parsed, tool)
  return started.ok ? started.value.answer : started.error
}

/** The same, without waiting for the steward. */
export async function startCall(
  doors: Doors,
  sender: Sender,
  parsed: Result<Parsed, Unreadable>,
  tool = '',
): Promise<Result<Started, Refused>> {
  if (!parsed.ok) return err(await recordUnreadable(doors, sender, parsed.error, tool))
  const permitted = await decide(doors, sender, parsed.value)
  if (!permitted.ok) return permitted
  const { permit } = permitted.value.permit
  const answer = execute(doors, sender, permitted.value)
  return ok({ tool: permit.tool, operationId: permit.operation_id, answer })
}

async function decide(doors: Doors, sender: Sender, parsed: Parsed): Promise<Result<Permitted, Refused>> {
  const { tool, input, idempotencyKey } = parsed
  try {
    const reply = await doors.policy.decide({ ...sender, tool, input, idempotency_key: idempotencyKey })
    if (!reply.ok) return err(refuse(sender, reply.denial, { rate: reply.rate }))
    return ok({ permit: reply.permit, input: reply.input ?? input, rate: reply.rate } as Permitted)
  } catch (fault) {
    return err(refuse(sender, denialOf(doors, 'POLICY_UNAVAILABLE', fault)))
  }
}

/** A request that could not be read is never executed, whatever policy says: it is asked so that the refusal is counted and recorded. */
async function recordUnreadable(doors: Doors, sender: Sender, unreadable: Unreadable, tool: string): Promise<Refused> {
  // A token in a URL is told to its sender whoever they are and whatever is down: it is already in somebody's log.
  const isOurs = unreadable.denial.code !== 'PARSE_ERROR'
  try {
    const reply = await doors.policy.decide({
      ...sender,
      tool,
      input: null,
      idempotency_key: null,
      parse_error: unreadable.reason,
    })
    const ours = refuse(sender, unreadable.denial, { rate: reply.rate, unreadable })
    if (isOurs || reply.ok || reply.denial.code === 'PARSE_ERROR') return ours
    return refuse(sender, reply.denial, { rate: reply.rate })
  } catch (fault) {
    if (isOurs) return refuse(sender, unreadable.denial, { unreadable })
    return refuse(sender, denialOf(doors, 'POLICY_UNAVAILABLE', fault))
  }
}

async function execute(doors: Doors, sender: Sender, { permit, input, rate }: Permitted): Promise<Answer> {
  try {
    const reply = await doors.steward.execute({ permit, input })
    if (!reply.ok)
      return refuse(sender, withOperation(reply.denial, reply.operation_id), { rate, receipt: reply.receipt })
    const { output, replay, receipt } = reply
    return { ok: true, requestId: sender.request_id, rate, output, receipt, replay }
  } catch (fault) {
    // The permit may have arrived: for a change the operation exists and goes on without us, so its id is part of the answer.
    const denial = denialOf(doors, 'BACKEND_UNAVAILABLE', fault)
    return refuse(sender, withOperation(denial, permit.permit.operation_id), { rate })
  }
}

export type Identified = { readonly rate: Rate; readonly principal: string; readonly tools: readonly string[] }

/** Asks who is calling, for everything that is not a tool's call (tools/list, initialize, ...). */
export async function identify(doors: Doors, sender: Sender, method: string): Promise<Result<Identified, Refused>> {
  try {
    const reply = await doors.policy.identify({ ...sender, method: method.slice(0, 128) })
    return reply.ok
      ? ok({ rate: reply.rate, principal: reply.principal, tools: reply.tools })
      : err(refuse(sender, reply.denial, { rate: reply.rate }))
  } catch (fault) {
    return err(refuse(sender, denialOf(doors, 'POLICY_UNAVAILABLE', fault)))
  }
}

/** Waits for other tools than those `seen` (policy's word for an earlier answer; null: at once), or for the credential's end. */
export async function watchTools(
  doors: Doors,
  sender: Sender,
  seen: string | null,
  signal: AbortSignal,
): Promise<Result<{ seen: string }, Refused>> {
  try {
    const reply = await doors.watcher.watch({ ...sender, seen }, { signal })
    return reply.ok ? ok({ seen: reply.seen }) : err(refuse(sender, reply.denial))
  } catch (fault) {
    return err(
      refuse(sender, signal.aborted ? deny('POLICY_UNAVAILABLE') : denialOf(doors, 'POLICY_UNAVAILABLE', fault)),
    )
  }
}

/** A refusal without policy's or the steward's word, or with the denial that they gave. */
export const refuse = (
  sender: Sender,
  denial: Denial,
  more: Partial<Pick<Refused, 'rate' | 'receipt' | 'unreadable'>> = {},
): Refused => ({
  ok: false,
  requestId: sender.request_id,
  rate: null,
  denial,
  receipt: null,
  unreadable: null,
  ...more,
})

const withOperation = (denial: Denial, operationId: string | null): Denial =>
  operationId === null ? denial : { ...denial, extra: { ...denial.extra, operation_id: operationId } }

/** A fault's code if it is one of ours, else `otherwise`; its message stays in the operational log. */
function denialOf(doors: Doors, otherwise: Code, fault: unknown): Denial {
  const code = fault instanceof Fault && isCode(fault.code) ? fault.code : otherwise
  doors.logger.error('call_failed', { code }, fault)
  return deny(code)
}
