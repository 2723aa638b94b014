// The Tasks extension (io.modelcontextprotocol/tasks, SEP-2663), for clients that declare it: a long call that is not done soon is
// answered with a task, which is the operation under its own id. Nothing is kept here: a task is looked at as `get_operation` looks,
// decided and recorded like every call, so that another account, or a revoked token, finds nothing.
import { INVALID_PARAMS } from '@modelcontextprotocol/server'
import { isCode } from '@bailiwick/contracts/codes'
import { UNDO_WINDOW_MS } from '@bailiwick/contracts/permit'
import { deny, toProblem } from '@bailiwick/contracts/problem'
import { err, ok, type Result } from '@bailiwick/kernel/result'
import { z } from 'zod'
import { answerCall, identify, type Answer, type Done, type Started } from './call.ts'
import { answerHeaders, missingTasks, writeRefusal, writeResult, writeRpcError, type Exchange } from './exchange.ts'
import type { McpMessage } from './mcp-message.ts'
import { isMembers } from './members.ts'
import { isHttpProblem, toFailure, toRpcError, toSuccess } from './tool-result.ts'

/** Twelve calls a minute of the sixty that the window allows. */
const POLL_INTERVAL_MS = 5_000
/** How often a call that cannot become a task yet is looked at, before its answer is waited for. */
const LOOKS = 3
const METHODS: ReadonlySet<string> = new Set(['tasks/get', 'tasks/update', 'tasks/cancel'])
export const isTaskMethod = ({ message: { method, era } }: Exchange): boolean => era === 'modern' && METHODS.has(method)

/** What of get_operation's answer a task is made of. */
const Operation = z.object({
  operation_id: z.string(),
  tool: z.string(),
  state: z.enum(['running', 'done', 'refused', 'unknown']),
  started_at: z.string(),
  finished_at: z.string().nullable(),
  code: z.string().nullable(),
  detail: z.string().nullable(),
  progress: z.number(),
  answer: z.record(z.string(), z.unknown()).nullable(),
  receipt: z.number().nullable(),
})
type Operation = z.infer<typeof Operation>

const lookAt = ({ door, sender }: Exchange, id: string): Promise<Answer> =>
  answerCall(door.doors, sender, {
    ok: true,
    value: { tool: 'get_operation', input: { operation_id: id }, idempotencyKey: null },
  })

/**
 * Answers with the call's own answer if it is there within `taskAfterMs`, else with a task: only once the operation can be looked at,
 * because a client may do that the moment it hears of it. Null: the answer is to be waited for, as by every other client.
 */
export async function handOver(exchange: Exchange, started: Started): Promise<Answer | null> {
  const { door, message } = exchange
  const { tool, operationId, answer } = started
  if (!message.takesTasks || operationId === null || !door.catalog.tools.get(tool)?.long) return answer
  for (let attempt = 0; attempt < LOOKS; attempt += 1) {
    const soon = await Promise.race([answer, pause(door.taskAfterMs)])
    if (soon) return soon
    const seen = await lookAt(exchange, operationId)
    const operation = seen.ok ? Operation.safeParse(seen.output) : null
    // Not there yet, meanwhile done, or every place for work that goes on behind an answer is taken.
    if (!seen.ok || !operation?.success || operation.data.state !== 'running' || !door.inFlight.follow(answer)) continue
    writeResult(exchange, { resultType: 'task', ...working(operation.data) }, answerHeaders(exchange, seen))
    return null
  }
  return answer
}

const pause = (ms: number): Promise<null> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(null), ms).unref()
  })

export async function serveTask(exchange: Exchange): Promise<void> {
  const { door, sender, message } = exchange
  const asked = readTaskId(message)
  if (!asked.ok) {
    // Counted, like every message.
    const identified = await identify(door.doors, sender, message.method)
    if (!identified.ok) return writeRefusal(exchange, identified.error)
    return writeRpcError(exchange, asked.error, asked.error === missingTasks ? 400 : 200)
  }
  const seen = await lookAt(exchange, asked.value)
  if (!seen.ok) {
    const { code } = seen.denial
    return code === 'NOT_FOUND' || code === 'INPUT_INVALID' ? writeNoTask(exchange, seen) : writeRefusal(exchange, seen)
  }
  const operation = Operation.parse(seen.output)
  // Never handed out as a task.
  if (!door.catalog.tools.get(operation.tool)?.long) return writeNoTask(exchange, seen)
  // Cancelling is a request, and a delete that has begun is better brought to its end and undone. We ask for no input.
  const result = message.method === 'tasks/get' ? toTask(exchange, operation, seen) : {}
  writeResult(exchange, { resultType: 'complete', ...result }, answerHeaders(exchange, seen))
}

function readTaskId({ method, params, takesTasks }: McpMessage): Result<string, { code: number; message: string }> {
  const { taskId, inputResponses } = params
  if (!takesTasks) return err(missingTasks)
  if (typeof taskId !== 'string') return err(invalid('taskId'))
  if (method === 'tasks/update' && !isMembers(inputResponses)) return err(invalid('inputResponses'))
  return ok(taskId)
}

const invalid = (missing: string) => ({ code: INVALID_PARAMS, message: `Invalid params: ${missing} is missing` })

/** The same for what is absent, another account's, or no task. */
const writeNoTask = (exchange: Exchange, seen: Answer): void =>
  writeRpcError(exchange, { code: INVALID_PARAMS, message: 'Task not found' }, 200, answerHeaders(exchange, seen))

const shared = ({ operation_id, started_at, finished_at }: Operation) => ({
  taskId: operation_id,
  createdAt: started_at,
  lastUpdatedAt: finished_at ?? started_at,
  ttlMs: UNDO_WINDOW_MS,
})

const working = (operation: Operation): object => ({
  ...shared(operation),
  status: 'working',
  statusMessage: `${operation.tool}: ${Math.round(operation.progress * 100)} % of its steps.`,
  pollIntervalMs: POLL_INTERVAL_MS,
})

function toTask({ door, sender }: Exchange, operation: Operation, { requestId }: Done): object {
  if (operation.state === 'running') return working(operation)
  if (operation.state === 'done') {
    const output = (operation.answer ?? {}) as Done['output']
    const result = toSuccess({ output, requestId, receipt: operation.receipt })
    const hint = { type: 'text' as const, text: SECRET_HINT }
    const content = door.catalog.tools.get(operation.tool)?.secret ? [...result.content, hint] : result.content
    return { ...shared(operation), status: 'completed', result: { resultType: 'complete', ...result, content } }
  }
  const code = operation.state === 'unknown' ? 'OUTCOME_UNKNOWN' : (operation.code ?? '')
  const denial = deny(isCode(code) ? code : 'INTERNAL', {
    ...(operation.detail === null ? {} : { detail: operation.detail }),
    extra: { operation_id: operation.operation_id },
  })
  const problem = toProblem(denial, sender.request_id)
  // A refusal that would have been an error of HTTP's is the task's error; every other one is a result.
  if (isHttpProblem(problem))
    return { ...shared(operation), status: 'failed', statusMessage: problem.detail, error: toRpcError(problem) }
  const result = { resultType: 'complete', ...toFailure(problem, operation.receipt) }
  return { ...shared(operation), status: 'completed', result }
}

const SECRET_HINT =
  'The secret that goes with this is kept nowhere. For a fresh one repeat the same call with its idempotency_key, or call the tool that rotates it (rotate_database_password).'
