// The MCP door: POST /mcp. Reads the message, lets call.ts (or policy.identify) answer, and writes what comes back.
import type http from 'node:http'
import type { BlockList } from 'node:net'
import type { CallToolResult, Tool } from '@modelcontextprotocol/server'
import { err, type Result } from '@bailiwick/kernel/result'
import { headersOf, problemOf, rateHeaders, writeJson } from './answer.ts'
import { answerCall, identify, type Answer, type Doors, type Refused } from './call.ts'
import { readMcpMessage, type McpMessage } from './mcp-message.ts'
import { shapeWithSdk, type Prepared } from './mcp-server.ts'
import { readJson, type BodyLimits } from './read-body.ts'
import { readSender } from './sender.ts'
import { unreadable, type Unreadable } from './unreadable.ts'

export type McpDoor = {
  readonly doors: Doors
  readonly tools: ReadonlyMap<string, Tool>
  readonly metadataUrl: string
  readonly hops: BlockList
  readonly limits: BodyLimits
  readonly version: string
}

export async function serveMcp(
  door: McpDoor,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const sender = readSender(request, 'mcp', door.hops)
  const message = await readMessage(request, door.limits)
  const id = message.ok ? message.value.id : message.error.rpc.id
  const headersFor = (answer: Answer) => headersOf(answer, door.metadataUrl, sender.credential !== null)
  const shape = async (headers: Record<string, string>, prepared: Prepared): Promise<void> => {
    if (!message.ok) return
    const shaped = await shapeWithSdk(message.value, prepared, door.version)
    if (response.headersSent || response.destroyed) return
    response.writeHead(shaped.status, {
      'Cache-Control': 'no-store',
      ...headers,
      ...(shaped.type === null ? {} : { 'Content-Type': shaped.type }),
      'Content-Length': Buffer.byteLength(shaped.text),
    })
    response.end(shaped.text)
  }

  if (message.ok && message.value.call === null) {
    const identified = await identify(door.doors, sender, message.value.method)
    if (!identified.ok) return writeRpcError(response, id, identified.error, headersFor(identified.error))
    // A stream that stays open would outlive a revoked token; we have nothing to announce on it.
    if (message.value.method === 'subscriptions/listen') return writeJson(response, 200, methodNotFound(id))
    const tools = identified.value.tools.map((name) => door.tools.get(name)).filter((tool) => tool !== undefined)
    const headers = { 'Bailiwick-Request-Id': sender.request_id, ...rateHeaders(identified.value.rate) }
    return shape(headers, { kind: 'other', tools })
  }
  const answer = await answerCall(door.doors, sender, message.ok ? { ok: true, value: message.value.call! } : message)
  if (!answer.ok && isHttpAnswer(answer)) return writeRpcError(response, id, answer, headersFor(answer))
  return shape(headersFor(answer), { kind: 'call', result: toToolResult(answer) })
}

async function readMessage(request: http.IncomingMessage, limits: BodyLimits): Promise<Result<McpMessage, Unreadable>> {
  const body = await readJson(request, limits)
  if (!body.ok) return body
  const { accept } = request.headers
  const isAcceptable =
    accept === undefined ||
    accept.includes('*/*') ||
    (accept.includes('application/json') && accept.includes('text/event-stream'))
  if (!isAcceptable) return err(unreadable('accept', 'Accept application/json and text/event-stream.', { status: 406 }))
  return readMcpMessage(body.value, request.headers)
}

/** mechanisms.md §15: these are HTTP's to say, every other refusal is a tool's result. */
function isHttpAnswer(refused: Refused): boolean {
  const { status, code } = problemOf(refused)
  return (
    refused.unreadable !== null || status === 401 || status === 429 || status === 503 || code === 'INSUFFICIENT_SCOPE'
  )
}

/** Our own errors carry the HTTP status as JSON-RPC code: outside the protocol's -32768..-32000. */
function writeRpcError(
  response: http.ServerResponse,
  id: string | number | null,
  refused: Refused,
  headers: Record<string, string>,
): void {
  const problem = problemOf(refused)
  const rpc = refused.unreadable?.rpc
  const data = rpc?.data !== null && typeof rpc?.data === 'object' ? { ...rpc.data, problem } : { problem }
  const error = { code: rpc?.code ?? problem.status, message: `${problem.title}. ${problem.detail}`, data }
  writeJson(response, problem.status, { jsonrpc: '2.0', id, error }, headers)
}

const methodNotFound = (id: string | number | null): object => ({
  jsonrpc: '2.0',
  id,
  error: { code: -32_601, message: 'Method not found' },
})

function toToolResult(answer: Answer): CallToolResult {
  if (!answer.ok) {
    const problem = problemOf(answer)
    return {
      isError: true,
      content: [
        { type: 'text', text: `${problem.code}: ${problem.title}. ${problem.detail} ${problem.next}` },
        { type: 'text', text: JSON.stringify(problem) },
      ],
      structuredContent: problem,
      _meta: metaOf(answer.requestId, answer.receipt),
    }
  }
  const { output, receipt } = answer
  return {
    content: [
      { type: 'text', text: `Done; receipt ${receipt}.${describeUndo(output['undo'])}` },
      { type: 'text', text: JSON.stringify(output) },
    ],
    structuredContent: { ...output },
    _meta: metaOf(answer.requestId, receipt),
  }
}

const metaOf = (requestId: string, receipt: number | null): { [key: string]: unknown } => ({
  'io.bailiwick/receipt': { index: receipt, request_id: requestId },
})

function describeUndo(undo: unknown): string {
  if (typeof undo !== 'object' || undo === null) return ''
  const { operation_id: id, undo_until: until } = undo as { operation_id?: unknown; undo_until?: unknown }
  return ` Can be undone until ${String(until)} with operation_id ${String(id)}.`
}
