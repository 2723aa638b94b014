// The Tasks extension against a policy and a steward that keep two accounts' operations.
import { deny } from '@bailiwick/contracts/problem'
import { FAKE_RATE, fakePermit } from '@bailiwick/testing/fake-doors'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { readRpc, startGateway, TOKEN, type Gateway } from './gateway.ts'

type State = 'running' | 'done' | 'refused' | 'unknown'
type Kept = {
  owner: string
  tool: string
  state: State
  code: string | null
  receipt?: number | null
  finish: () => void
}

let gateway: Gateway
let kept: Map<string, Kept>
beforeEach(async () => {
  gateway = await startGateway({ taskAfterMs: 150 })
  kept = new Map()
  const { fakes } = gateway
  fakes.onDecide = (request) => {
    if (request.credential === 'revoked') return { ok: false, denial: deny('UNAUTHENTICATED'), rate: null }
    const tool = request.tool === 'confirm_action' ? 'delete_database' : request.tool
    const operation_id = tool === 'get_operation' ? null : (uuidv7() as never)
    return { ok: true, permit: fakePermit(request, { operation_id, tool, user: request.credential }), rate: FAKE_RATE }
  }
  fakes.onExecute = async ({ permit: { permit }, input }) => {
    if (permit.tool === 'get_operation') {
      const id = (input as { operation_id: string }).operation_id
      const found = kept.get(id)
      if (!found || found.owner !== permit.user)
        return { ok: false, denial: deny('NOT_FOUND'), operation_id: null, receipt: 3 }
      return { ok: true, output: view(id, found), replay: false, receipt: 3, operation_id: null }
    }
    const done = Promise.withResolvers<void>()
    kept.set(permit.operation_id!, {
      owner: permit.user!,
      tool: permit.tool,
      state: 'running',
      code: null,
      finish: done.resolve,
    })
    await done.promise
    const operation_id = permit.operation_id
    return { ok: true, output: { echo: 'late' }, replay: false, receipt: 9, operation_id }
  }
})
afterEach(async () => {
  for (const { finish } of kept.values()) finish()
  await gateway.close()
})

const view = (operation_id: string, { tool, state, code, receipt = 9 }: Kept) => ({
  operation_id,
  tool,
  state,
  started_at: '2026-11-21T10:00:00.000Z',
  finished_at: state === 'running' ? null : '2026-11-21T10:00:09.000Z',
  undo_until: null,
  undone_by: null,
  code,
  detail: null,
  progress: state === 'running' ? 0.5 : 1,
  answer: state === 'done' ? { echo: 'late' } : null,
  receipt: state === 'running' ? null : receipt,
})

const tasks = true
const callLong = (options = {}) =>
  gateway.send('tools/call', { name: 'delete_database', arguments: {} }, { tasks, ...options })
const begin = async (options = {}): Promise<{ taskId: string; operation: Kept }> => {
  const { result } = await readRpc(await callLong(options))
  const taskId = result!['taskId'] as string
  return { taskId, operation: kept.get(taskId)! }
}
const look = async (taskId: string, options = {}) =>
  readRpc(await gateway.send('tasks/get', { taskId }, { tasks, ...options }))

test('the extension is declared to 2026-07-28 clients', async () => {
  const { result } = await readRpc(await gateway.send('server/discover'))
  expect(result).toMatchObject({ capabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } })
})

test('a long call becomes a task with its operation as id, can be looked at until it is done, and then has the answer of the call', async () => {
  const response = await callLong({ id: 'c' })
  expect(response.status).toBe(200)
  const { result, id } = await readRpc(response)
  expect(id).toBe('c')
  expect(result).toMatchObject({ resultType: 'task', status: 'working', createdAt: '2026-11-21T10:00:00.000Z' })
  expect(result!['pollIntervalMs']).toBeGreaterThanOrEqual(1000)
  const taskId = result!['taskId'] as string
  expect((await look(taskId)).result).toMatchObject({ resultType: 'complete', taskId, status: 'working' })
  const operation = kept.get(taskId)!
  operation.state = 'done'
  operation.finish()
  expect((await look(taskId)).result).toMatchObject({
    resultType: 'complete',
    status: 'completed',
    result: { structuredContent: { echo: 'late' }, _meta: { 'io.bailiwick/receipt': { index: 9 } } },
  })
})

test('a task that is done before its entry can be seen names no receipt', async () => {
  const { taskId, operation } = await begin()
  Object.assign(operation, { state: 'done', receipt: null })
  expect((await look(taskId)).result).toMatchObject({
    result: { content: [{ text: 'Done.' }, {}], _meta: { 'io.bailiwick/receipt': { index: null } } },
  })
})

test('done soon enough: the plain answer. Not asked for tasks, not a long tool, or an older revision: waited for', async () => {
  const finishAll = setInterval(() => kept.forEach(({ finish }) => finish()), 5)
  const soon = await readRpc(await callLong())
  clearInterval(finishAll)
  expect(soon.result).toMatchObject({ resultType: 'complete', structuredContent: { echo: 'late' } })
  const waiting = [
    callLong({ tasks: false }),
    gateway.send('tools/call', { name: 'create_database', arguments: {} }, { tasks }),
    gateway.post('/mcp', {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'delete_database', arguments: {} },
    }),
  ]
  await new Promise((resolve) => setTimeout(resolve, 400))
  kept.forEach(({ finish }) => finish())
  for (const answer of await Promise.all(waiting))
    expect((await readRpc(answer)).result).toMatchObject({ structuredContent: { echo: 'late' } })
})

test('a confirmation of a long tool becomes a task too', async () => {
  const { result } = await readRpc(
    await gateway.send('tools/call', { name: 'confirm_action', arguments: {} }, { tasks }),
  )
  expect(result).toMatchObject({ resultType: 'task' })
})

test('a task is not promised before it can be looked at', async () => {
  const { onExecute } = gateway.fakes
  gateway.fakes.onExecute = (request) =>
    request.permit.permit.tool === 'get_operation'
      ? { ok: false, denial: deny('NOT_FOUND'), operation_id: null, receipt: 3 }
      : onExecute(request)
  const answer = callLong()
  await new Promise((resolve) => setTimeout(resolve, 400))
  kept.forEach(({ finish }) => finish())
  expect((await readRpc(await answer)).result).toMatchObject({ resultType: 'complete' })
})

test('work that goes on behind a task keeps its place among what is in flight', async () => {
  await gateway.close()
  const { onDecide, onExecute } = gateway.fakes
  gateway = await startGateway({ taskAfterMs: 10, maxInFlight: 2 })
  Object.assign(gateway.fakes, { onDecide, onExecute })
  const { operation } = await begin()
  const second = callLong()
  await new Promise((resolve) => setTimeout(resolve, 100))
  // One place is the first task's, the other the second call's, which therefore cannot become a task.
  expect((await gateway.send('tools/list')).status).toBe(503)
  kept.forEach((other) => other !== operation && other.finish())
  expect((await readRpc(await second)).result).toMatchObject({ resultType: 'complete' })
  expect((await gateway.send('tools/list')).status).toBe(200)
})

test('another account, an absent id, no id and an operation that is no task get the same answer', async () => {
  const { taskId } = await begin()
  const plain = uuidv7()
  kept.set(plain, { owner: TOKEN, tool: 'create_database', state: 'done', code: null, finish: () => undefined })
  const answers = [
    await look(taskId, { token: 'another' }),
    await look(uuidv7()),
    await look('no-uuid-at-all'),
    await look(plain),
  ]
  for (const answer of answers)
    expect(answer).toEqual({ jsonrpc: '2.0', id: 1, error: { code: -32_602, message: 'Task not found' } })
})

test('a revoked token gets 401, like every call', async () => {
  const { taskId } = await begin()
  const response = await gateway.send('tasks/get', { taskId }, { tasks, token: 'revoked' })
  expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('Bearer')])
})

test('a refusal is a result of the task; what would have been an error of HTTP’s is its error; unknown stays an answer', async () => {
  const { taskId, operation } = await begin()
  Object.assign(operation, { state: 'refused', code: 'SNAPSHOT_FAILED' })
  expect((await look(taskId)).result).toMatchObject({
    status: 'completed',
    result: { isError: true, structuredContent: { code: 'SNAPSHOT_FAILED', operation_id: taskId } },
  })
  Object.assign(operation, { state: 'refused', code: 'BACKEND_UNAVAILABLE' })
  expect((await look(taskId)).result).toMatchObject({
    status: 'failed',
    error: { code: 503, data: { problem: { code: 'BACKEND_UNAVAILABLE' } } },
  })
  Object.assign(operation, { state: 'unknown', code: null })
  expect((await look(taskId)).result).toMatchObject({
    status: 'completed',
    result: { isError: true, structuredContent: { code: 'OUTCOME_UNKNOWN' } },
  })
})

test('cancelling and updating are acknowledged and stop nothing; of an unknown task they are refused', async () => {
  const { taskId, operation } = await begin()
  for (const [method, more] of [
    ['tasks/cancel', {}],
    ['tasks/update', { inputResponses: { a: { action: 'accept' } } }],
  ] as const) {
    const { result } = await readRpc(await gateway.send(method, { taskId, ...more }, { tasks }))
    expect(result).toMatchObject({ resultType: 'complete' })
    expect(result).not.toHaveProperty('status')
    const unknown = await readRpc(await gateway.send(method, { taskId: uuidv7(), ...more }, { tasks }))
    expect(unknown.error).toMatchObject({ code: -32_602 })
  }
  expect((await look(taskId)).result).toMatchObject({ status: 'working' })
  expect(operation.state).toBe('running')
})

test('whoever did not declare the extension is told what is missing; bad params and a foreign Mcp-Name are refused', async () => {
  for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
    const response = await gateway.send(method, { taskId: 'x', inputResponses: {} })
    expect(response.status).toBe(400)
    expect((await readRpc(response)).error).toMatchObject({
      code: -32_021,
      data: { requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } },
    })
  }
  expect((await readRpc(await gateway.send('tasks/get', {}, { tasks }))).error).toMatchObject({ code: -32_602 })
  expect((await readRpc(await gateway.send('tasks/update', { taskId: 'x' }, { tasks }))).error).toMatchObject({
    code: -32_602,
  })
  const mismatch = await gateway.post(
    '/mcp',
    {
      jsonrpc: '2.0',
      id: 1,
      method: 'tasks/get',
      params: {
        taskId: 'a',
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    },
    { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tasks/get', 'mcp-name': 'b' },
  )
  expect([mismatch.status, (await readRpc(mismatch)).error!.code]).toEqual([400, -32_020])
})
