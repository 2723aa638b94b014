import { deny } from '@bailiwick/contracts/problem'
import { FAKE_RATE, fakePermit } from '@bailiwick/testing/fake-doors'
import {
  connectClient,
  ERAS,
  modernCall,
  PUBLIC_URL,
  readRpc,
  rpcCall,
  startGateway,
  TOKEN,
  type Gateway,
} from './gateway.ts'

let gateway: Gateway
beforeEach(async () => {
  gateway = await startGateway()
})
afterEach(() => gateway.close())

const refuseWith = (denial: ReturnType<typeof deny>) => {
  gateway.fakes.onDecide = () => ({ ok: false, denial, rate: FAKE_RATE })
}

describe.each(ERAS)('the official client (%s)', (era) => {
  test('connects, lists callable tools with computed hints, calls one and gets output, receipt and request id', async () => {
    gateway.fakes.onIdentify = () => ({
      ok: true,
      rate: FAKE_RATE,
      principal: 'pat:x',
      tools: ['whoami', 'delete_database', 'not_in_the_catalog'],
    })
    const client = await connectClient(gateway.url, era)
    expect(client.getServerVersion()).toMatchObject({ name: 'bailiwick', version: '1.2.3' })
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toEqual(['whoami', 'delete_database'])
    expect(tools[0]!.annotations).toMatchObject({ readOnlyHint: true, destructiveHint: false })
    expect(tools[1]!.annotations).toMatchObject({ readOnlyHint: false, destructiveHint: true, openWorldHint: false })
    const result = await client.callTool({ name: 'whoami', arguments: { a: 1 } })
    expect(result.isError).toBeFalsy()
    expect(result.structuredContent).toEqual({ echo: { a: 1 } })
    expect(gateway.fakes.decided).toHaveLength(1)
    expect(gateway.fakes.decided[0]).toMatchObject({
      credential: TOKEN,
      door: 'mcp',
      tool: 'whoami',
      input: { a: 1 },
      parse_error: null,
    })
    const { request_id } = gateway.fakes.decided[0]!
    expect(result._meta!['io.bailiwick/receipt']).toEqual({ index: 7, request_id })
    await client.close()
  })

  test('accepts the problem object as structuredContent of an error, though the tool declares another output', async () => {
    const client = await connectClient(gateway.url, era)
    await client.listTools()
    refuseWith(deny('RESOURCE_FROZEN', { why: 'frozen by admin:kim' }))
    const result = await client.callTool({ name: 'create_database', arguments: {} })
    expect(result.isError).toBe(true)
    expect(result.structuredContent).toMatchObject({ code: 'RESOURCE_FROZEN', status: 403 })
    expect(JSON.stringify(result)).not.toContain('kim')
    await client.close()
  })
})

test.each(['2025-11-25', '2025-06-18', '2025-03-26'])('revision %s is served', async (protocolVersion) => {
  const initialized = await readRpc(
    await gateway.post('/mcp', {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion, capabilities: {}, clientInfo: { name: 't', version: '1' } },
    }),
  )
  expect(initialized.result).toMatchObject({ protocolVersion, capabilities: { tools: {} } })
  const answer = await readRpc(
    await gateway.post('/mcp', rpcCall('whoami', {}), { 'mcp-protocol-version': protocolVersion }),
  )
  expect(answer.result).toMatchObject({ structuredContent: { echo: {} } })
})

test('a list of tools says for how long and for whom it may be kept (2026-07-28)', async () => {
  const { body, headers } = modernCall('x', {})
  const list = { ...body, method: 'tools/list', params: { _meta: body.params._meta } }
  const response = await gateway.post('/mcp', list, {
    'mcp-protocol-version': headers['mcp-protocol-version']!,
    'mcp-method': 'tools/list',
  })
  expect((await readRpc(response)).result).toMatchObject({ cacheScope: 'private', ttlMs: 30_000 })
  expect(response.headers.get('cache-control')).toBe('no-store')
})

test('every other method asks policy who is calling, and its no is an HTTP answer', async () => {
  gateway.fakes.onIdentify = () => ({
    ok: false,
    denial: deny('AI_DEPLOY_GLOBALLY_DISABLED', { why: 'drill' }),
    rate: FAKE_RATE,
  })
  for (const method of ['initialize', 'ping', 'tools/list', 'resources/list', 'nonsense']) {
    const response = await gateway.post('/mcp', { jsonrpc: '2.0', id: 'a', method })
    expect(response.status).toBe(403)
    expect(response.headers.get('x-ratelimit-remaining')).toBe('59')
    const text = await response.text()
    expect(JSON.parse(text)).toMatchObject({
      id: 'a',
      error: { code: 403, data: { problem: { code: 'AI_DEPLOY_GLOBALLY_DISABLED' } } },
    })
    expect(text).not.toContain('drill')
  }
  expect(gateway.fakes.identified.map(({ method }) => method)).toEqual([
    'initialize',
    'ping',
    'tools/list',
    'resources/list',
    'nonsense',
  ])
  const notified = await gateway.post('/mcp', { jsonrpc: '2.0', method: 'notifications/initialized' })
  expect(notified.status).toBe(403)
})

test('a notification is accepted, an unknown method is not found, there is no session to end', async () => {
  expect((await gateway.post('/mcp', { jsonrpc: '2.0', method: 'notifications/initialized' })).status).toBe(202)
  expect(
    (await readRpc(await gateway.post('/mcp', { jsonrpc: '2.0', id: 1, method: 'nonsense' }))).error,
  ).toMatchObject({ code: -32_601 })
  for (const method of [
    'nonsense',
    'ping',
    'initialize',
    'logging/setLevel',
    'resources/subscribe',
    'completion/complete',
  ]) {
    const response = await gateway.send(method)
    expect([method, response.status]).toEqual([method, 404])
    expect(await readRpc(response)).toMatchObject({ id: 1, error: { code: -32_601 } })
  }
  expect((await readRpc(await gateway.post('/mcp', { jsonrpc: '2.0', id: 1, method: 'ping' }))).result).toEqual({})
  for (const method of ['GET', 'DELETE']) {
    const answer = await fetch(`${gateway.url}/mcp`, { method })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
  }
})

test('no token and a bad token are 401, naming where to learn more; only a bad one is called invalid', async () => {
  refuseWith(deny('UNAUTHENTICATED'))
  const hint = `scope="databases:read databases:write profile:read"`
  const metadata = `${hint}, resource_metadata="${PUBLIC_URL}/.well-known/oauth-protected-resource/mcp"`
  const bad = await gateway.post('/mcp', rpcCall('whoami', {}, 'x'))
  expect(bad.status).toBe(401)
  expect(bad.headers.get('www-authenticate')).toBe(`Bearer error="invalid_token", ${metadata}`)
  expect(await readRpc(bad)).toMatchObject({
    id: 'x',
    error: { code: 401, data: { problem: { code: 'UNAUTHENTICATED' } } },
  })
  const none = await gateway.post('/mcp', rpcCall('whoami', {}), { authorization: 'Basic bXB0Og==' })
  expect(none.headers.get('www-authenticate')).toBe(`Bearer ${metadata}`)
  expect(gateway.fakes.decided.at(-1)!.credential).toBeNull()
  const deleting = await gateway.post('/mcp', rpcCall('delete_database', {}))
  expect(deleting.headers.get('www-authenticate')).toContain(
    'scope="databases:read databases:write profile:read databases:delete"',
  )
})

test('a missing scope is 403 with every scope of the operation in one challenge, for a hidden tool too', async () => {
  refuseWith(deny('INSUFFICIENT_SCOPE', { required_scopes: ['websites:write', 'databases:write'] }))
  const response = await gateway.post('/mcp', rpcCall('create_database', {}))
  expect(response.status).toBe(403)
  expect(response.headers.get('www-authenticate')).toMatch(
    /^Bearer error="insufficient_scope", scope="websites:write databases:write", resource_metadata=/,
  )
  expect(gateway.fakes.executed).toHaveLength(0)
})

test('429 says how many, how long, in headers and body', async () => {
  gateway.fakes.onDecide = () => ({
    ok: false,
    denial: deny('RATE_LIMITED', { retry_after_s: 17 }),
    rate: { limit: 60, remaining: 0, reset_s: 17 },
  })
  const response = await gateway.post('/mcp', rpcCall('whoami', {}))
  expect(response.status).toBe(429)
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'retry-after': '17',
    'x-ratelimit-limit': '60',
    'x-ratelimit-remaining': '0',
    ratelimit: '"calls";r=0;t=17',
    'ratelimit-policy': '"calls";q=60;w=60',
  })
  expect((await readRpc(response)).error!.data['problem']).toMatchObject({
    code: 'RATE_LIMITED',
    limit: 60,
    remaining: 0,
    retry_after_s: 17,
  })
})

test.each([
  'AUDIT_UNAVAILABLE',
  'LIMITS_UNAVAILABLE',
  'SECRETS_UNAVAILABLE',
  'CATALOG_MISMATCH',
  'IN_FLIGHT_LIMIT',
] as const)('%s is 503 with Retry-After', async (code) => {
  refuseWith(deny(code))
  const response = await gateway.post('/mcp', rpcCall('whoami', {}))
  expect(response.status).toBe(503)
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
})

test.each([
  'AI_DEPLOY_GLOBALLY_DISABLED',
  'AI_DEPLOY_NOT_ENABLED',
  'AI_DEPLOY_TIER_TOO_LOW',
  'TOKEN_PAUSED',
  'TOOL_UNKNOWN',
  'NOT_FOUND',
  'INPUT_INVALID',
  'PREVIEW_TOKEN_USED',
  'APPROVAL_REQUIRED',
  'IDEMPOTENCY_KEY_REUSED',
  'SNAPSHOT_FAILED',
  'OUTCOME_UNKNOWN',
  'INTERNAL',
] as const)('%s is the result of the tool, as an error, with the problem object', async (code) => {
  refuseWith(deny(code, { why: 'the inner reason' }))
  const response = await gateway.post('/mcp', rpcCall('whoami', {}))
  expect(response.status).toBe(200)
  expect(response.headers.get('x-ratelimit-limit')).toBe('60')
  const text = JSON.stringify(await readRpc(response))
  expect(JSON.parse(text).result).toMatchObject({
    isError: true,
    structuredContent: { code, type: `urn:bailiwick:error:${code}` },
  })
  expect(text).not.toContain('the inner reason')
})

test('without policy nothing is decided; without the steward the operation is named', async () => {
  const operation_id = '0190a000-0000-7000-8000-00000000000a' as never
  gateway.fakes.onDecide = (request) => ({ ok: true, permit: fakePermit(request, { operation_id }), rate: FAKE_RATE })
  await gateway.fakes.stopSteward()
  const steward = await gateway.post('/mcp', rpcCall('create_database', {}))
  expect(steward.status).toBe(503)
  expect((await readRpc(steward)).error!.data['problem']).toMatchObject({ code: 'BACKEND_UNAVAILABLE', operation_id })
  await gateway.fakes.stopPolicy()
  const policy = await gateway.post('/mcp', rpcCall('whoami', {}))
  expect(policy.status).toBe(503)
  expect((await readRpc(policy)).error!.data['problem']).toMatchObject({ code: 'POLICY_UNAVAILABLE' })
  expect((await gateway.post('/mcp', { jsonrpc: '2.0', id: 1, method: 'tools/list' })).status).toBe(503)
})

test('the steward is sent what policy permitted: for a confirmation the previewed input, not the caller’s', async () => {
  gateway.fakes.onDecide = (request) => ({
    ok: true,
    permit: fakePermit(request, { tool: 'delete_database' }),
    rate: FAKE_RATE,
    input: { database_id: 'previewed', confirm: true },
  })
  await gateway.post('/mcp', rpcCall('confirm_action', { preview_token: 'x', database_id: 'smuggled' }))
  expect(gateway.fakes.executed[0]).toMatchObject({ input: { database_id: 'previewed', confirm: true } })
})

test('a replay says so in header and body, a refusal of the steward keeps its operation and receipt', async () => {
  gateway.fakes.onExecute = () => ({
    ok: true,
    output: { echo: 1, idempotent_replay: true },
    replay: true,
    receipt: 9,
    operation_id: null,
  })
  const replay = await gateway.post('/mcp', rpcCall('create_database', {}))
  expect([replay.headers.get('idempotent-replay'), replay.headers.get('bailiwick-receipt')]).toEqual(['true', '9'])
  gateway.fakes.onExecute = () => ({
    ok: false,
    denial: deny('RESOURCE_BUSY', { retry_after_s: 2 }),
    operation_id: '0190a000-0000-7000-8000-00000000000b' as never,
    receipt: 10,
  })
  const busy = await gateway.post('/mcp', rpcCall('create_database', {}))
  expect(busy.headers.get('retry-after')).toBe('2')
  expect((await readRpc(busy)).result!['structuredContent']).toMatchObject({
    code: 'RESOURCE_BUSY',
    receipt: 10,
    operation_id: '0190a000-0000-7000-8000-00000000000b',
  })
})

describe('idempotency keys', () => {
  const key = '6f1c2b1e-2d0e-4d0a-9a52-0c6a4f3c8b11'
  const other = '7f1c2b1e-2d0e-4d0a-9a52-0c6a4f3c8b11'
  const send = async (header: string | null, meta: Record<string, unknown>, input: object) => {
    const call = { ...rpcCall('create_database', input) } as { params: Record<string, unknown> }
    call.params = { ...call.params, _meta: meta }
    await gateway.post('/mcp', call, header === null ? {} : { 'idempotency-key': header })
    return gateway.fakes.decided.at(-1)!
  }
  test('are taken from header, _meta or argument, and given several times they must agree', async () => {
    expect((await send(null, {}, {})).idempotency_key).toBeNull()
    expect((await send(key, {}, {})).idempotency_key).toBe(key)
    expect((await send(null, { idempotency_key: key }, {})).idempotency_key).toBe(key)
    expect((await send(null, { 'io.bailiwick/idempotency-key': key }, {})).idempotency_key).toBe(key)
    expect((await send(key, { idempotency_key: key }, { idempotency_key: key })).idempotency_key).toBe(key)
    expect(await send(null, {}, { idempotency_key: key })).toMatchObject({
      idempotency_key: null,
      input: { idempotency_key: key },
    })
    for (const sent of [
      await send(key, { idempotency_key: other }, {}),
      await send(null, { idempotency_key: key, 'io.bailiwick/idempotency-key': other }, {}),
      await send(key, {}, { idempotency_key: other }),
    ]) {
      expect(sent.idempotency_key).toBe([key, other].join(' '))
    }
  })
})

test('200 calls at once with equal JSON-RPC ids and two tokens never cross, and nothing of one request is seen by another', async () => {
  const release = Promise.withResolvers<void>()
  let waiting = 0
  gateway.fakes.onExecute = async ({ input }) => {
    waiting += 1
    if (waiting === 100) release.resolve()
    await release.promise
    return { ok: true, output: { echo: input }, replay: false, receipt: 1, operation_id: null }
  }
  gateway.fakes.onDecide = (request) => ({
    ok: true,
    permit: fakePermit(request),
    rate: FAKE_RATE,
    input: { ...(request.input as object), token: request.credential },
  })
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const token = `mpt_${String(index % 2).repeat(64)}`
      const modern = modernCall('whoami', { index }, 1)
      const response = await (index % 4 < 2
        ? gateway.post('/mcp', rpcCall('whoami', { index }, 1), { authorization: `Bearer ${token}` })
        : gateway.post('/mcp', modern.body, { ...modern.headers, authorization: `Bearer ${token}` }))
      return { index, token, answer: await readRpc(response) }
    }),
  )
  for (const { index, token, answer } of answers) {
    expect(answer.id).toBe(1)
    expect(answer.result!['structuredContent']).toEqual({ echo: { index, token } })
  }
})
