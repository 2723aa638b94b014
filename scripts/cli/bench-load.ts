// A small closed-loop load generator: N clients, each sends its next call when the last is answered. Loopback only.
import { readFileSync } from 'node:fs'
import https from 'node:https'

export type Call = { token: string; tool: string; input: unknown; headers?: Readonly<Record<string, string>> }
export type Load = {
  calls: number
  /** Problem code -> how often. */
  refused: Readonly<Record<string, number>>
  seconds: number
  p50: number
  p95: number
  p99: number
  generatorCpuMs: number
}

/** Runs `clients` clients for `seconds`; `next` gives each call, or null when there is no token left. Latencies in ms. */
export async function runLoad(options: {
  origin: string
  caFile: string
  clients: number
  seconds: number
  next: (client: number) => Call | null
}): Promise<Load> {
  const { origin, caFile, clients, seconds, next } = options
  const agent = new https.Agent({ keepAlive: true, maxSockets: clients, ca: readFileSync(caFile) })
  const latencies: number[] = []
  const refused: Record<string, number> = {}
  const started = performance.now()
  const deadline = started + seconds * 1000
  const cpuBefore = process.cpuUsage()
  const client = async (number: number): Promise<void> => {
    while (performance.now() < deadline) {
      const call = next(number)
      if (!call) return
      const sent = performance.now()
      const refusal = await post(agent, origin, call)
      latencies.push(performance.now() - sent)
      if (refusal) refused[refusal] = (refused[refusal] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)))
  const cpu = process.cpuUsage(cpuBefore)
  const took = (performance.now() - started) / 1000
  agent.destroy()
  latencies.sort((a, b) => a - b)
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
  return {
    calls: latencies.length,
    refused,
    seconds: took,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    generatorCpuMs: (cpu.user + cpu.system) / 1000,
  }
}

/** Null for an answer, the problem's code for a refusal. */
function post(agent: https.Agent, origin: string, call: Call): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const body = Buffer.from(JSON.stringify(call.input))
    const request = https.request(
      `${origin}/api/v1/tools/${call.tool}`,
      {
        agent,
        method: 'POST',
        headers: {
          authorization: `Bearer ${call.token}`,
          'content-type': 'application/json',
          'content-length': body.length,
          ...call.headers,
        },
      },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => {
          if (response.statusCode !== 200) text += chunk.toString('utf8')
        })
        response.on('end', () => resolve(response.statusCode === 200 ? null : codeOf(text)))
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

const codeOf = (text: string): string => /"code":"([A-Z_]+)"/.exec(text)?.[1] ?? 'unknown'
