// Two accounts use the same JSON-RPC ids at the same time: no answer may cross, whatever order the parts behind answer in.
import { FAKE_RATE, fakePermit } from '@bailiwick/testing/fake-doors'
import { modernCall, readRpc, rpcCall, startGateway, type Gateway } from './gateway.ts'

const CALLS = 600
const AT_ONCE = 48

let gateway: Gateway
beforeEach(async () => {
  gateway = await startGateway()
  // Each part answers after a while of its own, so that answers overtake each other.
  const later = <T>(value: T): Promise<T> =>
    new Promise((resolve) => setTimeout(() => resolve(value), Math.random() * 8))
  gateway.fakes.onDecide = (request) =>
    later({ ok: true, permit: fakePermit(request, { user: request.credential }), rate: FAKE_RATE })
  gateway.fakes.onExecute = ({ permit: { permit }, input }) =>
    later({ ok: true, output: { echo: { owner: permit.user, input } }, replay: false, receipt: 1, operation_id: null })
  gateway.fakes.onIdentify = ({ credential }) =>
    later({
      ok: true,
      rate: FAKE_RATE,
      principal: 'pat:x',
      tools: credential === 'alice' ? ['whoami'] : ['list_databases'],
    })
})
afterEach(() => gateway.close())

test(`${CALLS} calls of two accounts with equal ids: each gets its own answer`, async () => {
  let next = 0
  const crossed: unknown[] = []
  const work = async (): Promise<void> => {
    while (next < CALLS) {
      const number = next++
      const owner = number % 2 === 0 ? 'alice' : 'bob'
      const id = Math.floor(number / 2) % 4
      const authorization = `Bearer ${owner}`
      const { body, headers } = modernCall('whoami', { number }, id)
      const kind = Math.floor(number / 8) % 3
      const answer = await readRpc(
        kind === 0
          ? await gateway.post('/mcp', body, { ...headers, authorization })
          : kind === 1
            ? await gateway.post('/mcp', rpcCall('whoami', { number }, id), { authorization })
            : await gateway.send('tools/list', {}, { id, token: owner }),
      )
      const expected =
        kind === 2 ? (owner === 'alice' ? 'whoami' : 'list_databases') : JSON.stringify({ owner, input: { number } })
      const got =
        kind === 2
          ? (answer.result!['tools'] as { name: string }[])[0]!.name
          : JSON.stringify((answer.result!['structuredContent'] as { echo: unknown }).echo)
      if (got !== expected || answer.id !== id) crossed.push({ expected, got, id, answered: answer.id })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  expect(crossed).toEqual([])
})
