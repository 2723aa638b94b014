// The SDK's part: a new server object per request, which shapes an answer that is already there. It sees no credential and
// decides nothing; nothing of it outlives the request (a shared server leaked answers across clients: CVE-2026-25536).
import {
  METHOD_NOT_FOUND,
  PerRequestHTTPServerTransport,
  ProtocolError,
  Server,
  type CallToolResult,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type jsonSchemaValidator,
  type Tool,
  type Transport,
} from '@modelcontextprotocol/server'
import { assertNever, Fault } from '@bailiwick/kernel/result'
import { MODERN_VERSION, VERSIONS, type McpMessage } from './mcp-message.ts'

/** What the SDK is to shape. */
export type Prepared =
  | { readonly kind: 'call'; readonly result: CallToolResult }
  | { readonly kind: 'other'; readonly tools: readonly Tool[] }

const INSTRUCTIONS =
  'Bailiwick operates one account of an operator. Everything is recorded. Deletes need a preview that you show to the user ' +
  'first; most changes can be undone with `undo`. Give each changing call an `idempotency_key` (UUID v4) and repeat it with ' +
  'the same key when an answer is lost. Stop and tell the user when an answer says so.'

/** A list may change with scopes and tier at any moment; every call is decided anew anyway. */
const LIST_TTL_MS = 30_000

// The SDK would make a validator of its own per server, for elicitations that we never send.
const noElicitation: jsonSchemaValidator = {
  getValidator: () => {
    throw new Fault('INTERNAL', 'the gateway elicits nothing')
  },
}

/** What the SDK made of it. A notification has no text. */
export type Shaped = { readonly status: number; readonly type: string | null; readonly text: string }

/**
 * Lets the SDK shape the answer to `message` in the protocol revision that the message was sent in. These are the building blocks
 * of its `createMcpHandler`, without what it would do a second time (classification, header checks) and without a stream per
 * answer: our answers are there before the SDK is asked. readMcpMessage and readJson are the checks that it demands instead.
 */
export async function shapeWithSdk(message: McpMessage, prepared: Prepared, version: string): Promise<Shaped> {
  const server = makeServer(prepared, version)
  try {
    return message.era === 'modern'
      ? await exchangeModern(server, message.body as JSONRPCRequest)
      : await exchangeLegacy(server, message)
  } finally {
    await server.close()
  }
}

async function exchangeModern(server: Server, body: JSONRPCRequest): Promise<Shaped> {
  const transport = new PerRequestHTTPServerTransport({
    classification: { era: 'modern', revision: MODERN_VERSION },
    keepAliveMs: 0,
  })
  await server.connect(transport)
  const response = await transport.handleMessage(body)
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

/** 2025-11-25 and before, without a session: one message in, at most one out. */
async function exchangeLegacy(server: Server, { id, body }: McpMessage): Promise<Shaped> {
  const answered = Promise.withResolvers<JSONRPCMessage>()
  const transport: Transport = {
    start: async () => undefined,
    send: async (message) => answered.resolve(message),
    close: async () => transport.onclose?.(),
  }
  await server.connect(transport)
  transport.onmessage?.(body as JSONRPCRequest)
  if (id === null) return { status: 202, type: null, text: '' }
  return { status: 200, type: 'application/json', text: JSON.stringify(await answered.promise) }
}

function makeServer(prepared: Prepared, version: string): Server {
  const server = new Server(
    { name: 'bailiwick', version },
    {
      capabilities: { tools: {} },
      instructions: INSTRUCTIONS,
      supportedProtocolVersions: VERSIONS,
      jsonSchemaValidator: noElicitation,
      inputRequired: { legacyShim: false },
      cacheHints: {
        'tools/list': { ttlMs: LIST_TTL_MS, cacheScope: 'private' },
        'server/discover': { ttlMs: LIST_TTL_MS, cacheScope: 'private' },
      },
    },
  )
  switch (prepared.kind) {
    case 'call':
      server.setRequestHandler('tools/call', () => prepared.result)
      return server
    case 'other':
      server.setRequestHandler('tools/list', () => ({ tools: [...prepared.tools] }))
      // Not offered, but asked for by clients that do not look at capabilities: nothing, instead of an error.
      server.fallbackRequestHandler = async ({ method }) => listNothing(method)
      return server
    default:
      return assertNever(prepared)
  }
}

function listNothing(method: string): { [list: string]: [] } {
  if (method === 'resources/list') return { resources: [] }
  if (method === 'resources/templates/list') return { resourceTemplates: [] }
  if (method === 'prompts/list') return { prompts: [] }
  throw new ProtocolError(METHOD_NOT_FOUND, 'Method not found')
}
