// Reads a JSON-RPC message of MCP: which call it is, or which other method. Everything the SDK would refuse later is refused
// here, because the SDK only gets to see a call after it was executed.
import type http from 'node:http'
import { classifyInboundRequest } from '@modelcontextprotocol/server'
import { err, ok, type Result } from '@bailiwick/kernel/result'
import type { Input, Parsed } from './call.ts'
import { chooseIdempotencyKey } from './idempotency-key.ts'
import { decodeSentinel, findMirrorProblem, type findMirrors } from './mcp-param.ts'
import { isMembers, type Members } from './members.ts'
import {
  RPC_HEADER_MISMATCH,
  RPC_INVALID_PARAMS,
  RPC_INVALID_REQUEST,
  RPC_UNSUPPORTED_VERSION,
  unreadable,
  type Unreadable,
} from './unreadable.ts'

export const MODERN_VERSION = '2026-07-28'
const LEGACY_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26']
export const VERSIONS = [MODERN_VERSION, ...LEGACY_VERSIONS]

type RpcId = string | number

export type McpMessage = {
  /** Null for a notification. */
  readonly id: RpcId | null
  readonly method: string
  /** `modern`: 2026-07-28; `legacy`: the revisions before. */
  readonly era: 'modern' | 'legacy'
  /** As received. */
  readonly params: Members
  /** The client takes a task in place of an answer, on this request. */
  readonly takesTasks: boolean
  /** What the SDK is handed: of a call only what the protocol needs, so that it has nothing left to refuse. */
  readonly body: Input
  /** Set for `tools/call`. */
  readonly call: Parsed | null
}

const isRpcId = (id: unknown): id is RpcId =>
  (typeof id === 'string' && id.length <= 256) || (typeof id === 'number' && Number.isSafeInteger(id))

export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks'

/** Reads `body`, already parsed strictly, together with the headers that repeat parts of it. */
export function readMcpMessage(
  body: Input | undefined,
  headers: http.IncomingHttpHeaders,
  mirrors: ReturnType<typeof findMirrors>,
): Result<McpMessage, Unreadable> {
  const refuse = (
    id: RpcId | null,
    code: number,
    reason: string,
    detail: string,
    data?: unknown,
  ): Result<McpMessage, Unreadable> =>
    err(unreadable(reason, detail, { rpc: { id, code, ...(data === undefined ? {} : { data }) } }))

  if (!isMembers(body)) return refuse(null, RPC_INVALID_REQUEST, 'no_message', 'The body is not a JSON-RPC message.')
  const { method, params = {} } = body
  const id = isRpcId(body['id']) ? body['id'] : null
  const isMessage =
    body['jsonrpc'] === '2.0' && typeof method === 'string' && method.length <= 128 && (id !== null || !('id' in body))
  if (!isMessage) return refuse(id, RPC_INVALID_REQUEST, 'no_message', 'The body is not a JSON-RPC request.')
  if (!isMembers(params)) return refuse(id, RPC_INVALID_PARAMS, 'params', 'The params are not an object.')

  const header = (name: string): string | undefined => (headers[name] as string | undefined)?.trim()
  const version = header('mcp-protocol-version')
  const route = classifyInboundRequest({
    httpMethod: 'POST',
    body,
    ...(version === undefined ? {} : { protocolVersionHeader: version }),
    ...(header('mcp-method') === undefined ? {} : { mcpMethodHeader: header('mcp-method')! }),
    ...(header('mcp-name') === undefined ? {} : { mcpNameHeader: header('mcp-name')! }),
  })
  if (route.kind === 'reject')
    return refuse(id, route.code, 'protocol', `The request does not follow the protocol: ${route.cell}.`, route.data)
  const requested = route.kind === 'modern' ? route.classification.revision : version
  const served = route.kind === 'modern' ? [MODERN_VERSION] : LEGACY_VERSIONS
  if (requested !== undefined && method !== 'initialize' && !served.includes(requested))
    return refuse(id, RPC_UNSUPPORTED_VERSION, 'version', 'This protocol version is not served.', {
      // What the era that was spoken could have asked for: `server/discover` names the same.
      supported: route.kind === 'modern' ? served : VERSIONS,
      requested,
    })
  if (route.kind === 'modern' && id !== null) {
    const missing = findHeaderProblem(method, params, version, header('mcp-method'), header('mcp-name'))
    if (missing) return refuse(id, RPC_HEADER_MISMATCH, 'headers', missing)
  }
  const { name, arguments: input = {}, _meta: meta = {} } = params
  const takesTasks = route.kind === 'modern' && declaresTasks(meta)
  const read = { id, method, era: route.kind, params, takesTasks }
  if (method !== 'tools/call') return ok({ ...read, body, call: null })

  if (id === null) return refuse(null, RPC_INVALID_REQUEST, 'call_without_id', 'A call needs an id.')
  if (typeof name !== 'string' || name.length > 128)
    return refuse(id, RPC_INVALID_PARAMS, 'params', 'The name of the tool is missing or too long.')
  if (!isMembers(input) || !isMembers(meta))
    return refuse(id, RPC_INVALID_PARAMS, 'params', 'The arguments are not an object.')
  const mirrored = route.kind === 'modern' ? findMirrorProblem(mirrors.get(name), input, headers) : null
  if (mirrored) return refuse(id, RPC_HEADER_MISMATCH, 'headers', mirrored)
  const keys = [headers['idempotency-key'], meta['idempotency_key'], meta['io.bailiwick/idempotency-key']]
  const envelope = Object.fromEntries(
    Object.entries(meta).filter(([key]) => key.startsWith('io.modelcontextprotocol/')),
  )
  return ok({
    ...read,
    body: { jsonrpc: '2.0', id, method, params: { name, arguments: {}, _meta: envelope } },
    call: { tool: name, input, idempotencyKey: chooseIdempotencyKey(keys, input) },
  })
}

/**
 * 2026-07-28: method and name are repeated in headers, for proxies that decide by them. Two readings of one request are how a
 * proxy's rule is passed on one and acted on by the other, so they must agree.
 */
function findHeaderProblem(
  method: string,
  params: Members,
  version: string | undefined,
  methodHeader: string | undefined,
  nameHeader: string | undefined,
): string | null {
  if (version === undefined) return 'The MCP-Protocol-Version header is missing.'
  if (methodHeader !== method) return 'The Mcp-Method header does not name the method of the body.'
  const field = NAMED_BY[method]
  const name = field === undefined ? undefined : params[field]
  if (typeof name !== 'string') return null
  return decodeSentinel(nameHeader) === name ? null : 'The Mcp-Name header does not name what the body names.'
}

/** The member that the Mcp-Name header repeats; of the tasks by their extension. */
const NAMED_BY: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
}

function declaresTasks(meta: unknown): boolean {
  const capabilities = isMembers(meta) ? meta['io.modelcontextprotocol/clientCapabilities'] : null
  const extensions = isMembers(capabilities) ? capabilities['extensions'] : null
  return isMembers(extensions) && isMembers(extensions[TASKS_EXTENSION])
}
