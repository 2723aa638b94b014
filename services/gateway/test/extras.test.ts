// What a composition may add, and the headers that a schema may have arguments repeated in.
import { InMemoryServerEventBus, ProtocolError } from '@modelcontextprotocol/server'
import { deny } from '@bailiwick/contracts/problem'
import { indexCatalog } from '@bailiwick/contracts/catalog'
import { FAKE_RATE } from '@bailiwick/testing/fake-doors'
import type { Extras } from '../src/extras.ts'
import { catalog, modernCall, readRpc, rpcCall, startGateway, type Gateway } from './gateway.ts'

let gateway: Gateway
const changes = new InMemoryServerEventBus()
const extras: Extras = {
  capabilities: { logging: {}, completions: {}, prompts: { listChanged: true } },
  resources: [{ uri: 'test://one', name: 'one' }],
  prompts: [{ name: 'extra' }],
  readResource: (uri) => (uri === 'test://one' ? { contents: [{ uri, text: 'one' }] } : null),
  getPrompt: (name) => (name === 'extra' ? { messages: [] } : null),
  async shapeCall({ tool, params, output }, context) {
    if (tool !== 'whoami') return null
    if (params['refuse'] === true) throw new ProtocolError(-32_602, 'not these')
    const progressToken = context.mcpReq._meta?.progressToken
    if (progressToken !== undefined)
      await context.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: 1 } })
    return { content: [{ type: 'text', text: 'shaped' }], structuredContent: { output } }
  },
  configure(server) {
    server.setRequestHandler('completion/complete', () => ({ completion: { values: ['a'] } }))
  },
  changes,
}
const mirrored = indexCatalog({
  version: 1,
  tools: catalog.list.map((tool) => ({
    ...tool,
    input_schema: {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        deep: { type: 'object', properties: { count: { type: 'integer', 'x-mcp-header': 'Count' } } },
      },
    },
  })),
})
beforeEach(async () => {
  gateway = await startGateway({ extras, catalog: mirrored })
})
afterEach(() => gateway.close())

const frames = async (response: Response): Promise<{ method?: string; id?: unknown; result?: unknown }[]> =>
  [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as never)

test('an output is shaped, with what is notified before it, in both eras; another tool keeps the product’s shape', async () => {
  for (const era of ['modern', 'legacy']) {
    const { body, headers } = modernCall('whoami', { a: 1 })
    body.params._meta['progressToken'] = 'p'
    const legacy = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'whoami', arguments: { a: 1 }, _meta: { progressToken: 'p' } },
    }
    const response = await (era === 'modern' ? gateway.post('/mcp', body, headers) : gateway.post('/mcp', legacy))
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(await frames(response)).toMatchObject([
      { method: 'notifications/progress', params: { progressToken: 'p' } },
      { id: 1, result: { structuredContent: { output: { echo: { a: 1 } } } } },
    ])
  }
  const plain = await gateway.post('/mcp', rpcCall('whoami', {}))
  expect(plain.headers.get('content-type')).toBe('application/json')
  expect((await readRpc(await gateway.post('/mcp', rpcCall('list_databases', {})))).result).toMatchObject({
    structuredContent: { echo: {} },
  })
})

test('a refused call never reaches it', async () => {
  gateway.fakes.onDecide = () => ({ ok: false, denial: deny('RESOURCE_FROZEN'), rate: FAKE_RATE })
  const { result } = await readRpc(await gateway.post('/mcp', rpcCall('whoami', {})))
  expect(result).toMatchObject({ isError: true, structuredContent: { code: 'RESOURCE_FROZEN' } })
})

test('lists, readings and further methods come after the product’s own', async () => {
  const result = async (method: string, params = {}) => (await readRpc(await gateway.send(method, params))).result
  expect(JSON.stringify(await result('resources/list'))).toMatch(/bailiwick:\/\/me.*test:\/\/one/)
  expect(await result('resources/read', { uri: 'test://one' })).toMatchObject({ contents: [{ text: 'one' }] })
  expect(await result('prompts/get', { name: 'extra' })).toMatchObject({ messages: [] })
  const argument = { name: 'a', value: '' }
  expect(await result('completion/complete', { ref: { type: 'ref/prompt', name: 'extra' }, argument })).toMatchObject({
    completion: { values: ['a'] },
  })
})

test('list changes are announced on streams that asked for them, and on no other', async () => {
  const response = await gateway.send('subscriptions/listen', { notifications: { promptsListChanged: true } })
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  expect((await reader.read()).value).toContain('"notifications":{"promptsListChanged":true}')
  changes.publish({ kind: 'tools_list_changed' })
  changes.publish({ kind: 'prompts_list_changed' })
  expect((await reader.read()).value).toContain('"method":"notifications/prompts/list_changed"')
  await reader.cancel()
})

const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`
test.each<[string, object, Record<string, string>, number]>([
  ['both say the same', { region: 'eu', deep: { count: 2 } }, { region: 'eu', count: '2' }, 200],
  ['encoded', { region: 'Zürich' }, { region: base64('Zürich') }, 200],
  ['a number by value', { deep: { count: 42 } }, { count: '42.0' }, 200],
  ['neither', {}, {}, 200],
  ['null is absent', { region: null }, {}, 200],
  ['the header is missing', { region: 'eu' }, {}, 400],
  ['the argument is missing', {}, { region: 'eu' }, 400],
  ['they differ', { region: 'eu' }, { region: 'us' }, 400],
  ['case counts', { region: 'eu' }, { region: 'EU' }, 400],
  ['nested, they differ', { deep: { count: 2 } }, { count: '3' }, 400],
  ['what does not decode is no value', { region: 'eu' }, { region: '=?base64?ZXU?=' }, 400],
  ['a null with a header', { region: null }, { region: 'null' }, 400],
])('Mcp-Param-*: %s', async (_, input, params, status) => {
  const { body, headers } = modernCall('list_databases', input)
  const more = Object.fromEntries(Object.entries(params).map(([name, value]) => [`Mcp-Param-${name}`, value]))
  const response = await gateway.post('/mcp', body, { ...headers, ...more })
  expect(response.status).toBe(status)
  if (status === 400) expect((await readRpc(response)).error).toMatchObject({ code: -32_020 })
  expect(gateway.fakes.executed).toHaveLength(status === 200 ? 1 : 0)
})

test('Mcp-Param-*: older revisions know none, and repeat nothing', async () => {
  expect((await gateway.post('/mcp', rpcCall('list_databases', { region: 'eu' }))).status).toBe(200)
})
