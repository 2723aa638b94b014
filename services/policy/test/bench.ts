// By hand: `node services/policy/test/bench.ts` under a started test PostgreSQL and Valkey (TEST_POSTGRES_URL, TEST_VALKEY_URL), or
// alone: it starts its own. Prints CPU and wall time of one decision against the budget of call.md (a read: 0.25 ms CPU); the
// clients run in a thread of their own, whose CPU is not counted.
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { policyDoor } from '@bailiwick/contracts/doors/policy'
import { connectDoor } from '@bailiwick/kernel/door'
import globalSetup from '@bailiwick/testing/global-setup'
import globalTeardown from '@bailiwick/testing/global-teardown'
import { decide } from '../src/decide.ts'
import { makeCatalog } from './support/catalog.ts'
import { asked, openStand } from './support/stand.ts'

const TOKENS = 100
const CONCURRENCY = 8

const request = (credential: string, tool: string, input: { [key: string]: string }) => ({
  ...asked(credential),
  tool,
  input,
  idempotency_key: null,
  parse_error: null,
})
type Client = { url: string; key: Uint8Array; tokens: string[]; calls: number }
type Reply = { ok: boolean }

/** Makes `calls` calls, a few at a time, and returns how long each took, in ms. */
async function run(calls: number, tokens: readonly string[], work: (token: string, n: number) => Promise<Reply>) {
  const times: number[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let n = next++; n < calls; n = next++) {
      const started = performance.now()
      const reply = await work(tokens[n % tokens.length]!, n)
      if (!reply.ok) throw new Error(JSON.stringify(reply))
      times.push(performance.now() - started)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  return times.sort((a, b) => a - b)
}

async function measure(name: string, calls: number, work: () => Promise<number[]>): Promise<void> {
  const cpu = process.threadCpuUsage()
  const started = performance.now()
  const times = await work()
  const { user, system } = process.threadCpuUsage(cpu)
  const seconds = (performance.now() - started) / 1000
  const at = (part: number): string => times[Math.floor(part * (times.length - 1))]!.toFixed(2)
  process.stdout.write(
    `${name.padEnd(30)} ${((user + system) / 1000 / calls).toFixed(3)} ms CPU  p50 ${at(0.5)}  p99 ${at(0.99)} ms  ${Math.round(calls / seconds)}/s\n`,
  )
}

async function callOverHttp({ url, key, tokens, calls }: Client): Promise<number[]> {
  const gateway = connectDoor({ door: policyDoor, url, caller: 'gateway', key: Buffer.from(key) })
  const times = await run(calls, tokens, (token, n) =>
    gateway.decide(request(token, 'list_databases', { cursor: String(n) })),
  )
  gateway.close()
  return times
}

async function main(): Promise<void> {
  const startsServers = process.env['TEST_POSTGRES_URL'] === undefined
  if (startsServers) await globalSetup()
  const stand = await openStand(makeCatalog(), { withIssuer: true })
  await stand.ready()
  const account = await stand.account()
  const make = async (): Promise<string[]> =>
    (await Promise.all(Array.from({ length: TOKENS }, () => stand.token(account)))).map(({ token }) => token)
  const readers = await make()
  const read = (token: string, n: number) => decide(stand.deps, request(token, 'list_databases', { cursor: String(n) }))
  // At most 60 calls of a token fit into a window: 20 warm it up, 20 go through the function, 20 over HTTP.
  const calls = 20 * TOKENS
  await measure('warm-up', calls, () => run(calls, readers, read))
  await measure('a read, the function', calls, () => run(calls, readers, read))
  await measure('a read, the service over HTTP', calls, async () => {
    const workerData: Client = { url: stand.url, key: stand.keys.gateway, tokens: readers, calls }
    const worker = new Worker(new URL(import.meta.url), { workerData })
    const [times] = (await once(worker, 'message')) as [number[]]
    return times
  })
  const subs: string[] = []
  for (let count = 0; count < TOKENS; count += 1) subs.push(await stand.member(account))
  const apps = await Promise.all(subs.map((sub) => stand.issuer.token({ sub })))
  // Until the first poll has told what was revoked.
  while (!(await read(apps[0]!, 0)).ok) await new Promise((resolve) => setTimeout(resolve, 50))
  await measure('warm-up, access tokens', calls, () => run(calls, apps, read))
  await measure('a read with an access token', calls, () => run(calls, apps, read))
  const writers = await make()
  await measure('a change, the function', calls, () =>
    run(calls, writers, (token, n) => decide(stand.deps, request(token, 'create_database', { name: `n${n}` }))),
  )
  await stand.close()
  if (startsServers) await globalTeardown()
}

if (isMainThread) await main()
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, no window
else parentPort!.postMessage(await callOverHttp(workerData as Client))
