// Drives a whole embedded stack from outside, as an operator and as agents would: `./bailiwick up`, `admin`, HTTPS.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'

export const ROOT = new URL('../..', import.meta.url).pathname.replace(/\/$/, '')

export type Ran = { code: number; out: string; err: string }

/** Runs `./bailiwick ...args` to its end. */
export function bailiwick(env: Readonly<Record<string, string>>, args: readonly string[], root = ROOT): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(`${root}/bailiwick`, args, {
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')))
    child.on('error', reject)
    child.on('exit', (code) => resolve({ code: code ?? -1, out, err }))
  })
}

export type Reply = {
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Record<string, unknown>
}

export type StatusPart = {
  name: string
  pid: number | null
  port: number | null
  health: string
  restarts: number
  memory_mb: number | null
}

export class Stack {
  readonly state: string
  readonly portBase: number
  readonly env: Readonly<Record<string, string>>
  /** What `up` printed; holds the demo account's token on the first run. */
  printed = ''
  private readonly root: string
  private agent: https.Agent | undefined

  constructor(portBase: number, state: string = mkdtempSync(`${tmpdir()}/bailiwick-stack-`), root = ROOT) {
    this.state = state
    this.portBase = portBase
    this.root = root
    // The world outside is the stack's own name server, into which tests put what a registrar's would hold.
    this.env = {
      BAILIWICK_STATE: state,
      BAILIWICK_PORT_BASE: String(portBase),
      BAILIWICK_DNS_RESOLVER: `127.0.0.1:${portBase + 22}`,
      BAILIWICK_SECURITY_CONTACT: 'mailto:security@agents.example',
    }
  }

  get origin(): string {
    return `https://localhost:${this.portBase + 43}`
  }
  get caFile(): string {
    return `${this.state}/edge/tls/ca.pem`
  }

  async up(): Promise<Ran> {
    const ran = await bailiwick(this.env, ['up'], this.root)
    this.printed += ran.out
    if (ran.code !== 0) throw new Error(`up failed (${ran.code}):\n${ran.out}\n${ran.err}`)
    return ran
  }

  down(): Promise<Ran> {
    this.agent?.destroy()
    this.agent = undefined
    return bailiwick(this.env, ['down'], this.root)
  }

  /** Ends the stack and removes its state folder. */
  async destroy(): Promise<void> {
    await this.down()
    if (existsSync(this.state)) rmSync(this.state, { recursive: true, force: true })
  }

  async status(): Promise<StatusPart[]> {
    const ran = await bailiwick(this.env, ['status', '--json'], this.root)
    return (JSON.parse(ran.out) as { parts: StatusPart[] }).parts
  }

  async admin<T = Record<string, unknown>>(...args: string[]): Promise<T> {
    const ran = await bailiwick(this.env, ['admin', ...args, '--json'], this.root)
    if (ran.code !== 0) throw new Error(`admin ${args.join(' ')} failed (${ran.code}): ${ran.out}${ran.err}`)
    return JSON.parse(ran.out) as T
  }

  /** The key of one arrow, as whoever broke into the caller would have it. */
  key(caller: string, callee: string): Buffer {
    return Buffer.from(readFileSync(`${this.state}/keys/${caller}-${callee}.key`, 'utf8').trim(), 'hex')
  }

  url(offset: number): string {
    return `http://127.0.0.1:${this.portBase + offset}`
  }

  /** One REST call through nginx. */
  call(
    token: string | null,
    tool: string,
    input: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Reply> {
    this.agent ??= new https.Agent({ keepAlive: true, ca: readFileSync(this.caFile), maxSockets: 64 })
    return new Promise((resolve, reject) => {
      const body = Buffer.from(JSON.stringify(input))
      const request = https.request(
        `${this.origin}/api/v1/tools/${tool}`,
        {
          agent: this.agent,
          method: 'POST',
          headers: {
            ...(token === null ? {} : { authorization: `Bearer ${token}` }),
            'content-type': 'application/json',
            'content-length': body.length,
            ...headers,
          },
          timeout: 100_000,
        },
        (response) => {
          let text = ''
          response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')))
          response.on('error', reject)
          response.on('end', () => {
            const parsed = parseObject(text)
            if (parsed) resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed })
            else reject(new Error(`${tool}: ${response.statusCode} is not JSON: ${text.slice(0, 200)}`))
          })
        },
      )
      request.on('timeout', () => request.destroy(new Error(`${tool}: no answer in 100 s`)))
      request.on('error', reject)
      request.end(body)
    })
  }

  /** As `call`, and throws the problem when it is not a success. */
  async must(
    token: string,
    tool: string,
    input: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Record<string, unknown>> {
    const reply = await this.call(token, tool, input, headers)
    if (reply.status !== 200) throw new Error(`${tool}: ${reply.status} ${JSON.stringify(reply.body)}`)
    return reply.body
  }
}

/** Until `holds` is true; fails with `what` after `withinMs`. */
export async function eventually(what: string, holds: () => Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = Date.now() + withinMs
  for (;;) {
    if (await holds().catch(() => false)) return
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return null
  }
}
