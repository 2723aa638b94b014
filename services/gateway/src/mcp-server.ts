// The SDK's part: a new server object per request, which shapes an answer that is already there. It sees no credential and
// decides nothing; nothing of it outlives the request (a shared server leaked answers across clients: CVE-2026-25536).
import {
  createMcpHandler,
  METHOD_NOT_FOUND,
  ProtocolError,
  Server,
  type CallToolResult,
  type jsonSchemaValidator,
  type Tool,
} from '@modelcontextprotocol/server'
import { assertNever, Fault } from '@bailiwick/kernel/result'
import type { Input } from './call.ts'
import { VERSIONS } from './mcp-message.ts'

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

export async function shapeWithSdk(
  url: string,
  body: Input,
  headers: Readonly<Record<string, string | undefined>>,
  prepared: Prepared,
  version: string,
): Promise<{ status: number; type: string | null; text: string }> {
  const handler = createMcpHandler(() => makeServer(prepared, version), { keepAliveMs: 0 })
  const protocolHeaders = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const request = new Request(url, {
    method: 'POST',
    headers: [
      ...protocolHeaders,
      ['content-type', 'application/json'],
      ['accept', 'application/json, text/event-stream'],
    ],
  })
  const response = await handler.fetch(request, { parsedBody: body })
  // Every answer is ready before the SDK is asked, so a stream ends as soon as it is read.
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
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
