// The SDK's part: a new server object per request, which shapes an answer that is already there. It sees no credential and
// decides nothing; nothing of it outlives the request (a shared server leaked answers across clients: CVE-2026-25536).
import {
  mergeCapabilities,
  PerRequestHTTPServerTransport,
  Server,
  type CallToolResult,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type jsonSchemaValidator,
  type ServerCapabilities,
  type Transport,
} from '@modelcontextprotocol/server'
import { assertNever, Fault } from '@bailiwick/kernel/result'
import { serverInfo, type McpDoor } from './exchange.ts'
import type { Extras } from './extras.ts'
import { OWN, PUBLIC } from './library.ts'
import { MODERN_VERSION, TASKS_EXTENSION, VERSIONS, type McpMessage } from './mcp-message.ts'
import type { Members } from './members.ts'

/** What the SDK is to shape. */
export type Prepared =
  /** `output` of a call that was executed; null: it was refused. */
  | { readonly kind: 'call'; readonly tool: string; readonly result: CallToolResult; readonly output: Members | null }
  /** `callable`: what policy says that the caller may call now. */
  | { readonly kind: 'other'; readonly callable: readonly string[] }

const INSTRUCTIONS =
  'Bailiwick operates one account of an operator. Everything is recorded. Deletes need a preview that you show to the user ' +
  'first; most changes can be undone with `undo`. Give each changing call an `idempotency_key` (UUID v4) and repeat it with ' +
  'the same key when an answer is lost. Stop and tell the user when an answer says so. What you can do here, and how to ask ' +
  'for more: the resource bailiwick://me.'

/** Before 2026-07-28 a list's change could only be told on a stream that a stateless server does not have. */
export const makeCapabilities = (extras: Extras): McpDoor['capabilities'] => {
  const merge = (own: ServerCapabilities): ServerCapabilities => mergeCapabilities(own, extras.capabilities ?? {})
  return {
    modern: merge({ tools: { listChanged: true }, resources: {}, prompts: {}, extensions: { [TASKS_EXTENSION]: {} } }),
    legacy: merge({ tools: {}, resources: {}, prompts: {} }),
  }
}

// The SDK would make a validator of its own per server, for elicitations that we never send.
const noElicitation: jsonSchemaValidator = {
  getValidator: () => {
    throw new Fault('INTERNAL', 'the gateway elicits nothing')
  },
}

/** What the SDK made of it. A notification has no text. */
type Shaped = { readonly status: number; readonly type: string | null; readonly text: string }

/**
 * Lets the SDK shape the answer to `message` in the protocol revision that the message was sent in. These are the building blocks
 * of its `createMcpHandler`, without what it would do a second time (classification, header checks) and without a stream per
 * answer: our answers are there before the SDK is asked. readMcpMessage and readJson are the checks that it demands instead.
 */
export async function shapeWithSdk(door: McpDoor, message: McpMessage, prepared: Prepared): Promise<Shaped> {
  const server = makeServer(door, message, prepared)
  // Who shapes answers of its own needs what came with the call (inputResponses, a progress token); the product needs nothing.
  const isWhole = prepared.kind === 'call' && prepared.output !== null && door.extras.shapeCall !== undefined
  const body = (isWhole ? { ...(message.body as object), params: message.params } : message.body) as JSONRPCRequest
  try {
    return message.era === 'modern' ? await exchangeModern(server, body) : await exchangeLegacy(server, body)
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

/** 2025-11-25 and before, without a session: one message in; its answer out, after what was notified before it. */
async function exchangeLegacy(server: Server, body: JSONRPCRequest): Promise<Shaped> {
  const sent: JSONRPCMessage[] = []
  const answered = Promise.withResolvers<void>()
  const transport: Transport = {
    start: async () => undefined,
    async send(message) {
      const isAnswer = !('method' in message)
      if (!isAnswer && 'id' in message) throw new Fault('INTERNAL', 'a client cannot be asked without a session')
      sent.push(message)
      if (isAnswer) answered.resolve()
    },
    close: async () => transport.onclose?.(),
  }
  await server.connect(transport)
  transport.onmessage?.(body)
  if (!('id' in body)) return { status: 202, type: null, text: '' }
  await answered.promise
  if (sent.length === 1) return { status: 200, type: 'application/json', text: JSON.stringify(sent[0]) }
  const text = sent.map((message) => `event: message\ndata: ${JSON.stringify(message)}\n\n`).join('')
  return { status: 200, type: 'text/event-stream', text }
}

const CACHE_HINTS = {
  'tools/list': OWN,
  'server/discover': PUBLIC,
  'resources/list': PUBLIC,
  'resources/templates/list': PUBLIC,
  'resources/read': OWN,
  'prompts/list': PUBLIC,
}

function makeServer(door: McpDoor, message: McpMessage, prepared: Prepared): Server {
  const { extras } = door
  const server = new Server(serverInfo(door), {
    capabilities: door.capabilities[message.era],
    instructions: INSTRUCTIONS,
    supportedProtocolVersions: VERSIONS,
    jsonSchemaValidator: noElicitation,
    inputRequired: { legacyShim: false },
    cacheHints: CACHE_HINTS,
  })
  switch (prepared.kind) {
    case 'call': {
      const { tool, output, result } = prepared
      server.setRequestHandler('tools/call', async (_request, context) =>
        output === null
          ? result
          : ((await extras.shapeCall?.({ tool, params: message.params, output }, context)) ?? result),
      )
      break
    }
    case 'other':
      setListHandlers(server, door, prepared.callable)
      break
    default:
      assertNever(prepared)
  }
  extras.configure?.(server)
  return server
}

function setListHandlers(server: Server, { tools, library }: McpDoor, callable: readonly string[]): void {
  server.setRequestHandler('tools/list', () => ({
    tools: callable.map((name) => tools.get(name)).filter((tool) => tool !== undefined),
  }))
  server.setRequestHandler('resources/list', () => ({ resources: [...library.resources] }))
  server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: [...library.templates] }))
  server.setRequestHandler('resources/read', ({ params: { uri } }, context) => library.read(uri, callable, context))
  server.setRequestHandler('prompts/list', () => ({ prompts: [...library.prompts] }))
  server.setRequestHandler('prompts/get', ({ params }, context) =>
    library.get(params.name, params.arguments ?? {}, context),
  )
}
