// CPU and latency of the gateway alone: `node services/gateway/test/bench.ts [calls] [clients]`. The gateway runs in a process
// of its own; policy and steward are fakes in this one, which also makes the load. Loopback only.
import { fork } from 'node:child_process'
import http from 'node:http'
import { policyDoor } from '@bailiwick/contracts/doors/policy'
import { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { connectDoor } from '@bailiwick/kernel/door'
import { silentLogger } from '@bailiwick/kernel/logger'
import { startFakeDoors } from '@bailiwick/testing/fake-doors'
import { createApp, listen } from '../src/http.ts'
import { catalog, modernCall, PUBLIC_URL, rpcCall, TOKEN } from './gateway.ts'

const BUDGET_MS = 0.5

type Where = { policyUrl: string; stewardUrl: string; policyKey: string; stewardKey: string }

async function runGateway({ policyUrl, stewardUrl, policyKey, stewardKey }: Where): Promise<void> {
  const connect = <D extends typeof policyDoor | typeof stewardDoor>(door: D, url: string, key: string) =>
    connectDoor({ door, url, caller: 'gateway', key: Buffer.from(key, 'hex') })
  const app = createApp({
    doors: {
      policy: connect(policyDoor, policyUrl, policyKey),
      watcher: connect(policyDoor, policyUrl, policyKey),
      steward: connect(stewardDoor, stewardUrl, stewardKey),
      logger: silentLogger,
    },
    catalog,
    publicUrl: new URL(PUBLIC_URL),
    localNames: ['127.0.0.1'],
    trustedHops: ['127.0.0.1'],
    maxInFlight: 128,
    version: '0',
  })
  const { port } = await listen(app, { host: '127.0.0.1', port: 0 })
  process.on('message', () => process.send!({ cpu: process.cpuUsage() }))
  process.once('disconnect', () => process.exit(0))
  process.send!({ port })
}

async function runBench(calls: number, clients: number): Promise<void> {
  const fakes = await startFakeDoors()
  const child = fork(new URL(import.meta.url).pathname, ['gateway'])
  const next = <T>(): Promise<T> => new Promise((resolve) => child.once('message', (message) => resolve(message as T)))
  child.send({
    policyUrl: fakes.policyUrl,
    stewardUrl: fakes.stewardUrl,
    policyKey: fakes.gatewayPolicyKey.toString('hex'),
    stewardKey: fakes.gatewayStewardKey.toString('hex'),
  } satisfies Where)
  const { port } = await next<{ port: number }>()
  const cpuMs = async (): Promise<number> => {
    child.send('cpu')
    const { cpu } = await next<{ cpu: NodeJS.CpuUsage }>()
    return (cpu.user + cpu.system) / 1000
  }
  const agent = new http.Agent({ keepAlive: true, maxSockets: clients })
  const send = (path: string, body: object, headers: Record<string, string>): Promise<void> =>
    new Promise((resolve, reject) => {
      const bytes = Buffer.from(JSON.stringify(body))
      const all = {
        ...headers,
        authorization: `Bearer ${TOKEN}`,
        'content-type': 'application/json',
        'content-length': bytes.length,
      }
      http
        .request({ agent, port, host: '127.0.0.1', method: 'POST', path, headers: all }, (response) => {
          response
            .resume()
            .on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(String(response.statusCode)))))
        })
        .on('error', reject)
        .end(bytes)
    })
  const modern = modernCall('whoami', { database_id: '0190a000-0000-7000-8000-000000000001' })
  const legacy = rpcCall('whoami', { database_id: '0190a000-0000-7000-8000-000000000001' })
  const kinds: readonly [string, () => Promise<void>][] = [
    ['MCP 2026-07-28', () => send('/mcp', modern.body, modern.headers)],
    ['MCP 2025-11-25', () => send('/mcp', legacy, { 'mcp-protocol-version': '2025-11-25' })],
    ['REST', () => send('/api/v1/tools/whoami', { database_id: 'x' }, {})],
  ]
  const run = async (call: () => Promise<void>, count: number): Promise<number[]> => {
    const took: number[] = []
    let left = count
    await Promise.all(
      Array.from({ length: clients }, async () => {
        while (left > 0) {
          left -= 1
          const start = performance.now()
          await call()
          took.push(performance.now() - start)
        }
      }),
    )
    return took.sort((a, b) => a - b)
  }
  for (const [name, call] of kinds) {
    await run(call, Math.ceil(calls / 2))
    fakes.decided.length = 0
    fakes.executed.length = 0
    const [cpuBefore, start] = [await cpuMs(), performance.now()]
    const took = await run(call, calls)
    const cpu = ((await cpuMs()) - cpuBefore) / calls
    const at = (share: number): string => took[Math.floor(took.length * share)]!.toFixed(2)
    const rate = Math.round(calls / ((performance.now() - start) / 1000))
    process.stdout.write(
      `${name}: ${cpu.toFixed(3)} ms CPU per call (budget ${BUDGET_MS}), ${rate} calls/s, p50 ${at(0.5)} p95 ${at(0.95)} p99 ${at(0.99)} ms\n`,
    )
  }
  agent.destroy()
  child.disconnect()
  await fakes.close()
}

if (process.argv[2] === 'gateway') process.once('message', (where) => void runGateway(where as Where))
else await runBench(Number(process.argv[2] ?? 4000), Number(process.argv[3] ?? 8))
