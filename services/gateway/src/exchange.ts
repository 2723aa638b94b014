// One MCP message and the response that it gets: what every kind of answer is written with.
import type http from 'node:http'
import type { BlockList } from 'node:net'
import { SERVER_INFO_META_KEY, type ServerCapabilities, type Tool } from '@modelcontextprotocol/server'
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import { headersOf, problemOf, writeJson, type Challenge, type Headers } from './answer.ts'
import type { Answer, Doors, Refused } from './call.ts'
import type { Extras } from './extras.ts'
import type { InFlight } from './guard.ts'
import type { Library } from './library.ts'
import { TASKS_EXTENSION, type McpMessage } from './mcp-message.ts'
import type { findMirrors } from './mcp-param.ts'
import type { BodyLimits } from './read-body.ts'
import type { Sender } from './sender.ts'
import type { Streams } from './streams.ts'
import { toRpcError } from './tool-result.ts'
import { RPC_MISSING_CAPABILITY } from './unreadable.ts'

/** Made once at start. */
export type McpDoor = {
  readonly doors: Doors
  readonly catalog: LoadedCatalog
  readonly tools: ReadonlyMap<string, Tool>
  readonly mirrors: ReturnType<typeof findMirrors>
  readonly library: Library
  readonly capabilities: { readonly [era in McpMessage['era']]: ServerCapabilities }
  readonly streams: Streams
  readonly inFlight: InFlight
  readonly extras: Extras
  readonly challenge: Challenge
  readonly hops: BlockList
  readonly limits: BodyLimits
  readonly version: string
  /** How long a long call may take before its client gets a task. */
  readonly taskAfterMs: number
}

export type Exchange = {
  readonly door: McpDoor
  readonly sender: Sender
  readonly message: McpMessage
  readonly response: http.ServerResponse
}

export const serverInfo = ({ version }: McpDoor): { name: string; version: string } => ({ name: 'bailiwick', version })

export function answerHeaders(
  { door, sender, message }: Pick<Exchange, 'door' | 'sender'> & Partial<Exchange>,
  answer: Answer,
): Headers {
  const needed = door.catalog.tools.get(message?.call?.tool ?? '')?.scopes
  return headersOf(answer, door.challenge, sender.credential !== null, needed)
}

/** A refusal that HTTP says: the problem object is the error's data. */
export function writeRefusal(exchange: Omit<Exchange, 'message'> & Partial<Exchange>, refused: Refused): void {
  const problem = problemOf(refused)
  const id = exchange.message?.id ?? refused.unreadable?.rpc.id ?? null
  const error = toRpcError(problem, refused.unreadable?.rpc)
  writeJson(exchange.response, problem.status, { jsonrpc: '2.0', id, error }, answerHeaders(exchange, refused))
}

/** Of a request about tasks by a client that did not declare them. */
export const missingTasks = {
  code: RPC_MISSING_CAPABILITY,
  message: 'Missing required client capability',
  data: { requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } },
}

/** An error of the protocol's own. */
export function writeRpcError(
  { message, response }: Exchange,
  error: { code: number; message: string; data?: unknown },
  status = 200,
  headers: Headers = {},
): void {
  writeJson(response, status, { jsonrpc: '2.0', id: message.id, error }, headers)
}

/** A result of 2026-07-28 that the SDK has no shape for (the Tasks extension). */
export function writeResult(exchange: Exchange, result: object, headers: Headers): void {
  const _meta = { [SERVER_INFO_META_KEY]: serverInfo(exchange.door) }
  writeJson(exchange.response, 200, { jsonrpc: '2.0', id: exchange.message.id, result: { ...result, _meta } }, headers)
}
