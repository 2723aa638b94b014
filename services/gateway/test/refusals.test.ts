// What never gets as far as a decision to allow: unreadable requests, foreign hosts, tokens in URLs, too much at once.
import net from 'node:net'
import { gzipSync } from 'node:zlib'
import { deny } from '@bailiwick/contracts/problem'
import { modernCall, readRpc, rpcCall, startGateway, TOKEN, type Gateway } from './gateway.ts'

let gateway: Gateway
beforeAll(async () => {
  gateway = await startGateway({ maxBodyBytes: 20_000, bodyTimeoutMs: 300 })
})
beforeEach(() => {
  // Allows everything, also what could not be read: the gateway must not go on with it all the same.
  gateway.fakes.decided.length = 0
  gateway.fakes.executed.length = 0
})
afterAll(() => gateway.close())

/** Sends `text` as it is and resolves with all that comes back. */
const sendRaw = (text: string | readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(Number(new URL(gateway.url).port), '127.0.0.1')
    let received = ''
    socket.on('data', (chunk) => (received += chunk.toString('latin1')))
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
    for (const part of typeof text === 'string' ? [text] : text) socket.write(part)
  })

const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`
const call = (argumentsText: string): string =>
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":${argumentsText}}}`

const UNREADABLE: readonly (readonly [string, string | Uint8Array, Record<string, string>, string, number])[] = [
  ['a duplicate key', call('{"a":1,"a":2}'), {}, 'duplicate_key', 400],
  [
    'a duplicate method',
    '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}',
    {},
    'duplicate_key',
    400,
  ],
  ['an escaped duplicate key', call('{"a":1,"\\u0061":2}'), {}, 'duplicate_key', 400],
  ['__proto__', call('{"__proto__":{"isAdmin":true}}'), {}, 'forbidden_key', 400],
  ['an escaped __proto__', call('{"\\u005f_proto__":1}'), {}, 'forbidden_key', 400],
  ['constructor', call('{"constructor":{"prototype":1}}'), {}, 'forbidden_key', 400],
  ['a batch', `[${call('{}')},${call('{}')}]`, {}, 'batch', 400],
  ['an empty batch', '[]', {}, 'batch', 400],
  ['deep nesting', call(deep(40)), {}, 'too_deep', 400],
  ['trailing bytes', `${call('{}')}{}`, {}, 'syntax', 400],
  ['half a body', '{"jsonrpc":', {}, 'syntax', 400],
  ['a byte order mark', `\uFEFF${call('{}')}`, {}, 'syntax', 400],
  ['a lone surrogate', call('{"a":"\\ud800"}'), {}, 'encoding', 400],
  ['bytes that are not UTF-8', Buffer.from(call('{"a":"\u00ff"}'), 'latin1'), {}, 'encoding', 400],
  ['an oversize body', call(`{"a":"${'x'.repeat(20_000)}"}`), {}, 'too_large', 413],
  ['a form', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' }, 'content_type', 415],
  ['plain text', call('{}'), { 'content-type': 'text/plain' }, 'content_type', 415],
  ['another charset', call('{}'), { 'content-type': 'application/json; charset=utf-16' }, 'content_type', 415],
  ['a compressed body', gzipSync(call('{}')), { 'content-encoding': 'gzip' }, 'content_encoding', 415],
]

test.each(UNREADABLE)(
  '%s is refused on both doors, recorded and never executed',
  async (_, body, headers, reason, status) => {
    for (const path of ['/mcp', '/api/v1/tools/whoami']) {
      const response = await gateway.post(path, body, headers)
      expect(response.status).toBe(status)
      const text = await response.text()
      const problem = path === '/mcp' ? JSON.parse(text).error.data.problem : JSON.parse(text)
      expect(problem).toMatchObject({ code: 'PARSE_ERROR', status })
      expect(response.headers.get('x-ratelimit-limit')).toBe('60')
      expect(gateway.fakes.decided.at(-1)).toMatchObject({ parse_error: reason, input: null, credential: TOKEN })
    }
    expect(gateway.fakes.decided.map(({ tool }) => tool)).toEqual(['', 'whoami'])
    expect(gateway.fakes.executed).toHaveLength(0)
  },
)

const NO_MESSAGE: readonly (readonly [string, unknown, number])[] = [
  ['no object', 1, -32_600],
  ['another protocol', { jsonrpc: '1.0', id: 1, method: 'ping' }, -32_600],
  ['no method', { jsonrpc: '2.0', id: 1 }, -32_600],
  ['a posted result', { jsonrpc: '2.0', id: 1, result: {} }, -32_600],
  ['an id that is null', { jsonrpc: '2.0', id: null, method: 'ping' }, -32_600],
  ['an id that is an object', { jsonrpc: '2.0', id: {}, method: 'ping' }, -32_600],
  ['an id beyond the safe integers', { jsonrpc: '2.0', id: 2 ** 60, method: 'ping' }, -32_600],
  ['a call without id', { jsonrpc: '2.0', method: 'tools/call', params: { name: 'whoami' } }, -32_600],
  ['params that are a list', { jsonrpc: '2.0', id: 1, method: 'tools/call', params: [] }, -32_602],
  ['a tool that is no name', { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 7 } }, -32_602],
  ['a tool with a very long name', rpcCall('a'.repeat(129), {}), -32_602],
  ['arguments that are a list', rpcCall('whoami', []), -32_602],
]

test.each(NO_MESSAGE)('%s is no MCP message', async (_, body, code) => {
  const response = await gateway.post('/mcp', body)
  expect(response.status).toBe(400)
  expect((await readRpc(response)).error!.code).toBe(code)
  expect(gateway.fakes.decided).toHaveLength(1)
  expect(gateway.fakes.executed).toHaveLength(0)
})

test('headers that repeat the body must agree with it (2026-07-28)', async () => {
  const { body, headers } = modernCall('whoami', {})
  expect((await gateway.post('/mcp', body, headers)).status).toBe(200)
  expect((await gateway.post('/mcp', body, { ...headers, 'mcp-name': '=?base64?d2hvYW1p?=' })).status).toBe(200)
  const executed = gateway.fakes.executed.length
  const without = (name: string) => Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name))
  for (const wrong of [
    { ...headers, 'mcp-method': 'tools/list' },
    { ...headers, 'mcp-name': 'list_databases' },
    { ...headers, 'mcp-protocol-version': '2025-11-25' },
    without('mcp-method'),
    without('mcp-name'),
    without('mcp-protocol-version'),
  ]) {
    const response = await gateway.post('/mcp', body, wrong)
    expect(response.status).toBe(400)
    expect(await readRpc(response)).toMatchObject({
      id: 1,
      error: { code: -32_020, data: { problem: { code: 'PARSE_ERROR' } } },
    })
  }
  const legacyBody = await gateway.post('/mcp', rpcCall('whoami', {}), { 'mcp-protocol-version': '2026-07-28' })
  expect(legacyBody.status).toBe(400)
  for (const version of ['2024-11-05', '2031-01-01', 'x']) {
    const unserved = await gateway.post('/mcp', rpcCall('whoami', {}), { 'mcp-protocol-version': version })
    expect(unserved.status).toBe(400)
  }
  expect(gateway.fakes.executed).toHaveLength(executed)
})

test('policy’s own no wins over ours: an unreadable request without a valid token is 401', async () => {
  const { onDecide } = gateway.fakes
  gateway.fakes.onDecide = () => ({ ok: false, denial: deny('UNAUTHENTICATED'), rate: null })
  const response = await gateway.post('/mcp', '{')
  gateway.fakes.onDecide = onDecide
  expect(response.status).toBe(401)
  expect(response.headers.get('x-ratelimit-limit')).toBeNull()
})

test.each([
  `/mcp?access_token=${TOKEN}`,
  `/mcp?x=${TOKEN}`,
  `/mcp?x=${encodeURIComponent(`Bearer ${TOKEN}`)}`,
  '/api/v1/tools/whoami?api_key=abc',
  '/api/v1/tools?token=abc',
  '/nowhere?x=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln',
  `/mcp?m%70t=1&x=%6dpt_${'ab'.repeat(32)}`,
])('a token in the URL is refused, recorded, and told to its sender: %s', async (path) => {
  const response = await gateway.post(path, rpcCall('whoami', {}))
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ code: 'TOKEN_IN_QUERY' })
  expect(gateway.fakes.decided).toMatchObject([{ parse_error: 'token_in_query' }])
  expect(JSON.stringify(gateway.logged)).not.toContain(TOKEN)
})

test('a harmless query does not matter', async () => {
  expect((await gateway.post('/mcp?session=1', rpcCall('whoami', {}))).status).toBe(200)
})

const raw = (headers: string, body = call('{}')): string =>
  `POST /mcp HTTP/1.1\r\n${headers}Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`

test.each([
  ['a foreign host', 'Host: evil.example\r\n'],
  ['a foreign host that contains ours', 'Host: agents.example.evil.example\r\n'],
  ['a foreign origin', 'Host: agents.example\r\nOrigin: https://evil.example\r\n'],
  ['an opaque origin', 'Host: agents.example\r\nOrigin: null\r\n'],
])('%s is refused', async (_, headers) => {
  const answer = await sendRaw(raw(headers))
  expect(answer).toMatch(/^HTTP\/1.1 403 /)
  expect(answer).toContain('HOST_REFUSED')
  expect(gateway.fakes.decided).toHaveLength(0)
})

test('our own names, with any port, are served', async () => {
  for (const headers of ['Host: agents.example:8443\r\nOrigin: https://agents.example:8443\r\n', 'Host: localhost\r\n'])
    expect(await sendRaw(raw(headers))).toMatch(/^HTTP\/1.1 200 /)
})

test.each([
  'Authorization: Bearer a\r\nAuthorization: Bearer b',
  'Idempotency-Key: a\r\nidempotency-key: b',
  'Mcp-Name: a\r\nMcp-Name: b',
])('a header sent twice is refused: %s', async (headers) => {
  const answer = await sendRaw(raw(`Host: localhost\r\n${headers}\r\n`))
  expect(answer).toMatch(/^HTTP\/1.1 400 /)
  expect(gateway.fakes.decided.at(-1)).toMatchObject({ parse_error: 'repeated_header' })
  expect(gateway.fakes.executed).toHaveLength(0)
})

test('what is no HTTP, has headers without end, or smuggles a second length, is refused by the parser', async () => {
  expect(await sendRaw('NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
  expect(await sendRaw(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(
    /^HTTP\/1.1 431 /,
  )
  expect(
    await sendRaw(
      'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ),
  ).toMatch(/^HTTP\/1.1 400 /)
  expect(await sendRaw('GET /health HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
})

test('a body that does not come in time is given up, a body that grows beyond the bound is cut off', async () => {
  const head = 'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  const slow = await sendRaw(`${head}Content-Length: 100\r\n\r\n{"jsonrpc"`)
  expect(slow).toMatch(/^HTTP\/1.1 408 /)
  expect(slow).toMatch(/connection: close/i)
  const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`
  expect(await sendRaw([`${head}Transfer-Encoding: chunked\r\n\r\n`, chunk, chunk])).toMatch(/^HTTP\/1.1 413 /)
  expect(gateway.fakes.decided.map(({ parse_error }) => parse_error)).toEqual(['too_slow', 'too_large'])
})

test('the address is what the edge wrote last, the agent is cleaned and capped', async () => {
  await gateway.post('/mcp', rpcCall('whoami', {}), {
    'x-forwarded-for': '6.6.6.6, 203.0.113.9',
    'user-agent': `a\u009b31m${'é'.repeat(300)}`,
  })
  const { address, agent } = gateway.fakes.decided[0]!
  expect(address).toBe('203.0.113.9')
  expect(agent).toHaveLength(256)
  expect(agent).toMatch(/^a\?31m\?+$/)
})

test('from anybody but the edge, X-Forwarded-For is only a claim', async () => {
  const direct = await startGateway({ trustedHops: ['192.0.2.1'] })
  await direct.post('/mcp', rpcCall('whoami', {}), { 'x-forwarded-for': '203.0.113.9' })
  expect(direct.fakes.decided[0]!.address).toBe('127.0.0.1')
  await direct.close()
})

test('beyond the bound on calls in flight the answer is 503, and the place is free again afterwards', async () => {
  const small = await startGateway({ maxInFlight: 1 })
  const entered = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  small.fakes.onExecute = async () => {
    entered.resolve()
    await release.promise
    return { ok: true, output: { echo: 1 }, replay: false, receipt: 1, operation_id: null }
  }
  const first = small.post('/api/v1/tools/whoami', {})
  await entered.promise
  const second = await small.post('/api/v1/tools/whoami', {})
  expect([second.status, second.headers.get('retry-after')]).toEqual([503, '1'])
  expect(await second.json()).toMatchObject({ code: 'IN_FLIGHT_LIMIT' })
  release.resolve()
  expect((await first).status).toBe(200)
  expect((await small.post('/api/v1/tools/whoami', {})).status).toBe(200)
  await small.close()
})

test('a fault of a service behind shows its code alone', async () => {
  gateway.fakes.onExecute = () => {
    throw new Error('connect ECONNREFUSED postgres://steward:hunter2@10.0.0.1')
  }
  const response = await gateway.post('/mcp', rpcCall('whoami', {}))
  const text = await response.text()
  expect(text).toContain('INTERNAL')
  expect(text).not.toMatch(/hunter2|ECONNREFUSED/)
})

test('nothing is told about the software, and nothing may be cached', async () => {
  const response = await gateway.post('/api/v1/tools/whoami', {})
  expect(response.headers.get('x-powered-by')).toBeNull()
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
})
