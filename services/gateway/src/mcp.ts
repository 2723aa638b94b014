// The MCP door: POST /mcp. Reads the message, lets call.ts (or policy.identify) answer, and writes what comes back.
import type http from 'node:http'
import { err, type Result } from '@bailiwick/kernel/result'
import { problemOf, rateHeaders } from './answer.ts'
import { answerCall, identify, startCall, type Parsed } from './call.ts'
import { answerHeaders, writeRefusal, type Exchange, type McpDoor } from './exchange.ts'
import { serveListen } from './listen.ts'
import { readMcpMessage, type McpMessage } from './mcp-message.ts'
import { shapeWithSdk, type Prepared } from './mcp-server.ts'
import { readJson } from './read-body.ts'
import { readSender } from './sender.ts'
import { handOver, isTaskMethod, serveTask } from './tasks.ts'
import { isHttpProblem, toToolResult } from './tool-result.ts'
import { unreadable, type Unreadable } from './unreadable.ts'

export async function serveMcp(
  door: McpDoor,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const sender = readSender(request, 'mcp', door.hops)
  const message = await readMessage(door, request)
  if (!message.ok) {
    const answer = await answerCall(door.doors, sender, message)
    return answer.ok ? undefined : writeRefusal({ door, sender, response }, answer)
  }
  const exchange: Exchange = { door, sender, message: message.value, response }
  if (message.value.call !== null) return serveCall(exchange, message.value.call)
  if (isTaskMethod(exchange)) return serveTask(exchange)
  return serveOther(exchange)
}

async function serveCall(exchange: Exchange, call: Parsed): Promise<void> {
  const { door, sender } = exchange
  const started = await startCall(door.doors, sender, { ok: true, value: call })
  const answer = started.ok ? await handOver(exchange, started.value) : started.error
  if (answer === null) return
  if (!answer.ok && isHttpProblem(problemOf(answer))) return writeRefusal(exchange, answer)
  const output = answer.ok ? answer.output : null
  const prepared: Prepared = { kind: 'call', tool: call.tool, result: toToolResult(answer), output }
  return shape(exchange, answerHeaders(exchange, answer), prepared)
}

/** Everything that calls no tool: who asks is counted, and refused, all the same. */
async function serveOther(exchange: Exchange): Promise<void> {
  const { door, sender, message } = exchange
  const identified = await identify(door.doors, sender, message.method)
  if (!identified.ok) return writeRefusal(exchange, identified.error)
  if (message.method === 'subscriptions/listen' && message.era === 'modern')
    return serveListen(exchange, identified.value)
  const headers = { 'Bailiwick-Request-Id': sender.request_id, ...rateHeaders(identified.value.rate) }
  return shape(exchange, headers, { kind: 'other', callable: identified.value.tools })
}

async function shape(
  { door, message, response }: Exchange,
  headers: Readonly<Record<string, string>>,
  prepared: Prepared,
): Promise<void> {
  const shaped = await shapeWithSdk(door, message, prepared)
  if (response.headersSent || response.destroyed) return
  response.writeHead(shaped.status, {
    'Cache-Control': 'no-store',
    ...headers,
    ...(shaped.type === null ? {} : { 'Content-Type': shaped.type }),
    'Content-Length': Buffer.byteLength(shaped.text),
  })
  response.end(shaped.text)
}

async function readMessage(door: McpDoor, request: http.IncomingMessage): Promise<Result<McpMessage, Unreadable>> {
  const body = await readJson(request, door.limits)
  if (!body.ok) return body
  const { accept } = request.headers
  const isAcceptable =
    accept === undefined ||
    accept.includes('*/*') ||
    (accept.includes('application/json') && accept.includes('text/event-stream'))
  if (!isAcceptable) return err(unreadable('accept', 'Accept application/json and text/event-stream.', { status: 406 }))
  return readMcpMessage(body.value, request.headers, door.mirrors)
}
