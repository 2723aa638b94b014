import { CODES, type Code } from '@bailiwick/contracts/codes'
import { deny } from '@bailiwick/contracts/problem'
import { FAKE_RATE } from '@bailiwick/testing/fake-doors'
import { startGateway, TOKEN, type Gateway } from './gateway.ts'

let gateway: Gateway
beforeEach(async () => {
  gateway = await startGateway()
})
afterEach(() => gateway.close())

test('a call answers with the output as it is, its receipt, request id and rate', async () => {
  const response = await gateway.post('/api/v1/tools/whoami', { a: 1 }, { 'idempotency-key': 'k' })
  expect(response.status).toBe(200)
  expect(await response.json()).toEqual({ echo: { a: 1 } })
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'bailiwick-receipt': '7',
    'x-ratelimit-limit': '60',
    'x-ratelimit-remaining': '59',
    'content-type': 'application/json',
    'bailiwick-request-id': gateway.fakes.decided[0]!.request_id,
  })
  expect(gateway.fakes.decided[0]).toMatchObject({
    door: 'rest',
    tool: 'whoami',
    idempotency_key: 'k',
    credential: TOKEN,
  })
})

test('no body is an empty input; a body that is no object is refused', async () => {
  const empty = await fetch(`${gateway.url}/api/v1/tools/whoami`, { method: 'POST' })
  expect(await empty.json()).toEqual({ echo: {} })
  for (const body of ['null', '7', '"x"']) expect((await gateway.post('/api/v1/tools/whoami', body)).status).toBe(400)
})

test('a replay says so in a header', async () => {
  gateway.fakes.onExecute = () => ({
    ok: true,
    output: { idempotent_replay: true },
    replay: true,
    receipt: 3,
    operation_id: null,
  })
  expect((await gateway.post('/api/v1/tools/create_database', {})).headers.get('idempotent-replay')).toBe('true')
})

test.each(Object.keys(CODES) as Code[])('%s keeps its status, as a problem without its why', async (code) => {
  gateway.fakes.onDecide = () => ({
    ok: false,
    denial: deny(code, { why: 'inner reason', extra: { more: 1 } }),
    rate: FAKE_RATE,
  })
  const response = await gateway.post('/api/v1/tools/delete_database', {})
  expect(response.status).toBe(CODES[code].status)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const text = await response.text()
  expect(JSON.parse(text)).toMatchObject({ code, status: CODES[code].status, title: CODES[code].title, more: 1 })
  expect(text).not.toContain('inner reason')
  expect(response.headers.has('retry-after')).toBe([429, 503].includes(CODES[code].status))
  expect(gateway.fakes.executed).toHaveLength(0)
})

test('the list shows what the token may call, with schemas', async () => {
  gateway.fakes.onIdentify = () => ({ ok: true, rate: FAKE_RATE, principal: 'pat:x', tools: ['list_databases'] })
  const get = () => fetch(`${gateway.url}/api/v1/tools`, { headers: { authorization: `Bearer ${TOKEN}` } })
  const response = await get()
  expect(await response.json()).toMatchObject({ tools: [{ name: 'list_databases', risk: 'read', input_schema: {} }] })
  gateway.fakes.onIdentify = () => ({ ok: false, denial: deny('UNAUTHENTICATED'), rate: null })
  expect((await get()).status).toBe(401)
})

test('an unknown path is a 404 problem, a wrong method 405', async () => {
  for (const path of ['/', '/mcp/', '/MCP', '/api/v1/tools/', '/api/v1/tools/a/b', '/api/v2/tools', '/%ff', '//mcp']) {
    const response = await fetch(`${gateway.url}${path}`)
    expect([path, response.status]).toEqual([path, 404])
    expect(response.headers.get('content-type')).toBe('application/problem+json')
  }
  expect((await fetch(`${gateway.url}/api/v1/tools/whoami`)).status).toBe(405)
  expect((await fetch(`${gateway.url}/api/v1/tools`, { method: 'DELETE' })).status).toBe(405)
})
