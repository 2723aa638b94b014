// The stream of subscriptions/listen: what it says, and that it ends when it must.
import { deny } from '@bailiwick/contracts/problem'
import { connectClient, readRpc, startGateway, type Gateway } from './gateway.ts'

const ID = 'io.modelcontextprotocol/subscriptionId'
const TOOLS = { notifications: { toolsListChanged: true } }
type Message = { id?: unknown; method?: string; params?: Record<string, unknown>; result?: Record<string, unknown> }

let gateway: Gateway
const start = async (options: Parameters<typeof startGateway>[0] = {}): Promise<void> => {
  gateway = await startGateway(options)
}
afterEach(() => gateway.close())

/** Messages and comments, as they arrive. */
function readStream(response: Response): { next(): Promise<Message | string | null>; cancel(): Promise<void> } {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  return {
    async next() {
      for (;;) {
        const end = rest.indexOf('\n\n')
        if (end !== -1) {
          const frame = rest.slice(0, end)
          rest = rest.slice(end + 2)
          const data = /^data: (.*)$/m.exec(frame)?.[1]
          return data === undefined ? frame : (JSON.parse(data) as Message)
        }
        const { value, done } = await reader.read()
        if (done) return null
        rest += value
      }
    },
    cancel: () => reader.cancel(),
  }
}

/** A policy whose answer the test gives when it likes. */
type Kind = 'change' | 'refuse' | 'fail'
function steerWatch(): { change(): void; refuse(): void; fail(): void; readonly waiting: number } {
  let answer: ((kind: Kind) => void) | null = null
  let count = 0
  let waiting = 0
  gateway.fakes.onWatch = ({ seen }, signal) => {
    if (seen === null) return { ok: true, seen: '0', tools: [] }
    waiting += 1
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => {
        waiting -= 1
        reject(new Error('gone'))
      })
      answer = (kind) => {
        waiting -= 1
        answer = null
        count += 1
        if (kind === 'fail') return reject(new Error('broken'))
        resolve(
          kind === 'change'
            ? { ok: true, seen: String(count), tools: [] }
            : { ok: false, denial: deny('TOKEN_PAUSED') },
        )
      }
    })
  }
  const give = async (kind: Kind): Promise<void> => {
    await until(() => answer !== null)
    answer!(kind)
  }
  return {
    change: () => void give('change'),
    refuse: () => void give('refuse'),
    fail: () => void give('fail'),
    get waiting() {
      return waiting
    },
  }
}

const until = async (isTrue: () => boolean | Promise<boolean>): Promise<void> => {
  for (let left = 300; left > 0; left -= 1) {
    if (await isTrue()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('it did not come true')
}

test('it acknowledges what it honours, tells each change under its id, and says goodbye when the credential is refused', async () => {
  await start()
  const watch = steerWatch()
  const response = await gateway.send(
    'subscriptions/listen',
    {
      notifications: { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: ['bailiwick://me'] },
    },
    { id: 'sub-1' },
  )
  expect([response.status, response.headers.get('content-type'), response.headers.get('x-accel-buffering')]).toEqual([
    200,
    'text/event-stream',
    'no',
  ])
  const stream = readStream(response)
  expect(await stream.next()).toEqual({
    jsonrpc: '2.0',
    method: 'notifications/subscriptions/acknowledged',
    params: { notifications: { toolsListChanged: true }, _meta: { [ID]: 'sub-1' } },
  })
  for (let round = 0; round < 2; round += 1) {
    watch.change()
    expect(await stream.next()).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/tools/list_changed',
      params: { _meta: { [ID]: 'sub-1' } },
    })
  }
  const refusedAt = performance.now()
  watch.refuse()
  expect(await stream.next()).toMatchObject({
    id: 'sub-1',
    result: { resultType: 'complete', _meta: { [ID]: 'sub-1' } },
  })
  expect(await stream.next()).toBeNull()
  expect(performance.now() - refusedAt).toBeLessThan(1000)
  expect(gateway.fakes.identified.map(({ method }) => method)).toEqual(['subscriptions/listen'])
})

test('the official client hears that its tools changed', async () => {
  await start()
  const watch = steerWatch()
  const client = await connectClient(gateway.url, '2026-07-28')
  const heard = new Promise<void>((resolve) => {
    client.setNotificationHandler('notifications/tools/list_changed', () => resolve())
  })
  const subscription = await client.listen({ toolsListChanged: true })
  watch.change()
  await heard
  await subscription.close()
  await client.close()
})

test('a quiet stream sends comments, so that nobody on the way closes it', async () => {
  await start({ keepAliveMs: 20 })
  const stream = readStream(await gateway.send('subscriptions/listen', TOOLS))
  await stream.next()
  expect(await stream.next()).toBe(': keep-alive')
  await stream.cancel()
})

test('when the client goes, the wait at policy goes too', async () => {
  await start()
  const watch = steerWatch()
  const stream = readStream(await gateway.send('subscriptions/listen', TOOLS))
  await stream.next()
  await until(() => watch.waiting === 1)
  await stream.cancel()
  await until(() => watch.waiting === 0)
})

test('a client that goes before it was acknowledged leaves nothing open', async () => {
  await start({ maxStreamsPerPrincipal: 1 })
  const asked = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  gateway.fakes.onWatch = async () => {
    asked.resolve()
    await held.promise
    return { ok: true, seen: '0', tools: [] }
  }
  const hangUp = new AbortController()
  const answer = gateway.send('subscriptions/listen', TOOLS, { signal: hangUp.signal })
  await asked.promise
  hangUp.abort()
  held.resolve()
  await expect(answer).rejects.toThrow()
  steerWatch()
  const stream = readStream(await gateway.send('subscriptions/listen', TOOLS))
  expect(await stream.next()).toMatchObject({ method: 'notifications/subscriptions/acknowledged' })
  await stream.cancel()
})

test('a stream takes no place among the calls in flight', async () => {
  await start({ maxInFlight: 1 })
  const stream = readStream(await gateway.send('subscriptions/listen', TOOLS))
  await stream.next()
  expect((await gateway.send('tools/list')).status).toBe(200)
  await stream.cancel()
})

test('streams are bounded for each principal and together; a place is free again when one ends', async () => {
  await start({ maxStreams: 3, maxStreamsPerPrincipal: 2 })
  gateway.fakes.onIdentify = ({ credential }) => ({
    ok: true,
    rate: { limit: 60, remaining: 1, reset_s: 1 },
    principal: `pat:${credential}`,
    tools: [],
  })
  const open = async (token: string) => {
    const response = await gateway.send('subscriptions/listen', TOOLS, { token })
    return { status: response.status, stream: readStream(response) }
  }
  const first = await open('a')
  expect([first.status, (await open('a')).status, (await open('a')).status]).toEqual([200, 200, 503])
  expect([(await open('b')).status, (await open('b')).status]).toEqual([200, 503])
  const refused = await gateway.send('subscriptions/listen', TOOLS, { token: 'a' })
  expect([refused.headers.get('retry-after'), (await readRpc(refused)).error!.data['problem']]).toEqual([
    '5',
    expect.objectContaining({ code: 'IN_FLIGHT_LIMIT', detail: 'Too many open streams.' }),
  ])
  await first.stream.next()
  await first.stream.cancel()
  await until(async () => (await open('b')).status === 200)
})

test('no policy, no stream; and one that loses its policy ends', async () => {
  await start()
  const watch = steerWatch()
  const stream = readStream(await gateway.send('subscriptions/listen', TOOLS, { id: 2 }))
  await stream.next()
  watch.fail()
  expect(await stream.next()).toMatchObject({ id: 2, result: { resultType: 'complete' } })
  expect(await stream.next()).toBeNull()
  gateway.fakes.onWatch = () => {
    throw new Error('broken')
  }
  expect((await gateway.send('subscriptions/listen', TOOLS)).status).toBeGreaterThanOrEqual(500)
})

test('shutdown ends every stream with its result, and waits for nothing', async () => {
  await start()
  const stream = readStream(await gateway.send('subscriptions/listen', TOOLS, { id: 7 }))
  await stream.next()
  const closing = gateway.close()
  expect(await stream.next()).toMatchObject({ id: 7, result: { resultType: 'complete' } })
  expect(await stream.next()).toBeNull()
  await closing
  await start()
})

test('a refused credential gets no stream; a filter that is none, -32602; one that nothing can honour ends at once', async () => {
  await start()
  for (const notifications of [undefined, [], 'all', { toolsListChanged: 'yes' }])
    expect((await readRpc(await gateway.send('subscriptions/listen', { notifications }))).error).toMatchObject({
      code: -32_602,
    })
  const tasks = await gateway.send('subscriptions/listen', { notifications: { taskIds: ['x'] } })
  expect([tasks.status, (await readRpc(tasks)).error!.code]).toEqual([400, -32_021])
  const empty = readStream(await gateway.send('subscriptions/listen', { notifications: {} }))
  expect(await empty.next()).toMatchObject({ params: { notifications: {} } })
  expect(await empty.next()).toMatchObject({ result: { resultType: 'complete' } })
  expect(await empty.next()).toBeNull()
  gateway.fakes.onWatch = () => ({ ok: false, denial: deny('UNAUTHENTICATED') })
  const refused = await gateway.send('subscriptions/listen', TOOLS)
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('Bearer')])
})

test('before 2026-07-28 there is no such method and no such promise', async () => {
  await start()
  const legacy = await gateway.post('/mcp', { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: TOOLS })
  expect((await readRpc(legacy)).error).toMatchObject({ code: -32_601 })
  const discover = await readRpc(await gateway.send('server/discover'))
  expect(discover.result).toMatchObject({ capabilities: { tools: { listChanged: true } } })
  const initialize = await gateway.post('/mcp', {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
  })
  expect((await readRpc(initialize)).result!['capabilities']).toEqual({ tools: {}, resources: {}, prompts: {} })
})
