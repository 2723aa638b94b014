// A gateway in this process, with fake policy and steward behind it, and clients for it.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { indexCatalog, type CatalogTool, type LoadedCatalog } from '@bailiwick/contracts/catalog'
import { policyDoor } from '@bailiwick/contracts/doors/policy'
import { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { connectDoor } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import { startFakeDoors, type FakeDoors } from '@bailiwick/testing/fake-doors'
import { createApp, listen, type GatewayOptions } from '../src/http.ts'

export const TOKEN = `mpt_${'ab'.repeat(32)}`
export const PUBLIC_URL = 'https://agents.example:8443'

const tool = (name: string, more: Partial<CatalogTool> = {}): CatalogTool => ({
  name,
  title: name,
  summary: `What ${name} does.`,
  domain: 'databases',
  scopes: ['databases:read'],
  risk: 'read',
  effect: 'read',
  limit_class: 'standard',
  resources: [],
  previews: null,
  confirms: null,
  obligations: [],
  record: {},
  secret: false,
  input_schema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    additionalProperties: false,
  },
  output_schema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: { echo: {} },
    required: ['echo'],
  },
  ...more,
})

export const catalog: LoadedCatalog = indexCatalog({
  version: 1,
  tools: [
    tool('whoami', { domain: 'profile', scopes: ['profile:read'] }),
    tool('list_databases'),
    tool('create_database', { scopes: ['databases:write'], risk: 'write', effect: 'exact', secret: true }),
    tool('delete_database', { scopes: ['databases:delete'], risk: 'destructive', effect: 'recoverable', long: true }),
  ],
})

export type Gateway = {
  readonly url: string
  readonly fakes: FakeDoors
  readonly logged: { event: string; fields: unknown }[]
  post(path: string, body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>
  /** A message of 2026-07-28, with the headers that belong to it. */
  send(
    method: string,
    params?: object,
    options?: { id?: string | number; token?: string; tasks?: boolean; signal?: AbortSignal },
  ): Promise<Response>
  close(): Promise<void>
}

export async function startGateway(options: Partial<GatewayOptions> = {}): Promise<Gateway> {
  const fakes = await startFakeDoors()
  fakes.onIdentify = () => ({
    ok: true,
    rate: { limit: 60, remaining: 59, reset_s: 42 },
    principal: 'pat:x',
    tools: catalog.list.map(({ name }) => name),
  })
  const logged: Gateway['logged'] = []
  const log = (event: string, fields?: unknown): void => void logged.push({ event, fields })
  const logger: Logger = { info: log, warn: log, error: log }
  const policy = connectDoor({ door: policyDoor, url: fakes.policyUrl, caller: 'gateway', key: fakes.gatewayPolicyKey })
  const watcher = connectDoor({
    door: policyDoor,
    url: fakes.policyUrl,
    caller: 'gateway',
    key: fakes.gatewayPolicyKey,
  })
  const steward = connectDoor({
    door: stewardDoor,
    url: fakes.stewardUrl,
    caller: 'gateway',
    key: fakes.gatewayStewardKey,
  })
  const app = createApp({
    doors: { policy, watcher, steward, logger },
    catalog,
    publicUrl: new URL(PUBLIC_URL),
    localNames: ['localhost', '127.0.0.1'],
    trustedHops: ['127.0.0.1'],
    maxInFlight: 256,
    version: '1.2.3',
    ...options,
  })
  const server = await listen(app, { host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${server.port}`
  const post: Gateway['post'] = (path, body, headers = {}, signal) =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}`, ...headers },
      body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
      ...(signal ? { signal } : {}),
    })
  return {
    url,
    fakes,
    logged,
    post,
    send(method, params = {}, { id = 1, token = TOKEN, tasks = false, signal } = {}) {
      const named = params as { name?: string; uri?: string; taskId?: string }
      const name = named.name ?? named.uri ?? named.taskId
      const headers = {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        authorization: `Bearer ${token}`,
        ...(name === undefined ? {} : { 'mcp-name': name }),
      }
      const body = { jsonrpc: '2.0', id, method, params: { ...params, _meta: modernMeta(tasks) } }
      return post('/mcp', body, headers, signal)
    },
    close: async () => {
      await server.close()
      policy.close()
      watcher.close()
      steward.close()
      await fakes.close()
    },
  }
}

export type Era = '2026-07-28' | 'legacy'
export const ERAS: readonly Era[] = ['2026-07-28', 'legacy']

/** The official client, connected. */
export async function connectClient(url: string, era: Era, token = TOKEN): Promise<Client> {
  const client = new Client(
    { name: 'test', version: '1' },
    { versionNegotiation: { mode: era === 'legacy' ? 'legacy' : { pin: era } } },
  )
  const headers = { authorization: `Bearer ${token}` }
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }))
  return client
}

/** A 2025-era call, as any HTTP client would write it. */
export const rpcCall = (name: string, input: unknown, id: string | number = 1): object => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: input },
})

const modernMeta = (tasks = false): Record<string, unknown> => ({
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': tasks ? { extensions: { 'io.modelcontextprotocol/tasks': {} } } : {},
})

/** A 2026-07-28 call with the headers that belong to it. */
export const modernCall = (name: string, input: unknown, id: string | number = 1) => ({
  body: {
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: {
      name,
      arguments: input,
      _meta: modernMeta(),
    },
  },
  headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name } as Record<
    string,
    string
  >,
})

/** The one JSON-RPC message of an answer, from JSON or from a stream. */
export async function readRpc(response: Response): Promise<{
  id: unknown
  result?: Record<string, unknown>
  error?: { code: number; message: string; data: Record<string, unknown> }
}> {
  const text = await response.text()
  const data = /^data: (.*)$/m.exec(text)?.[1] ?? text
  return JSON.parse(data) as never
}
