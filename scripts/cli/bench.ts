// `./bailiwick bench`: what a call costs, step by step, with everything on, against the budgets of call.md.
import { randomUUID } from 'node:crypto'
import https from 'node:https'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { AccountId } from '@bailiwick/kernel/ids'
import { auditDoor } from '@bailiwick/contracts/doors/audit'
import { policyDoor } from '@bailiwick/contracts/doors/policy'
import { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { PRESETS } from '@bailiwick/contracts/scopes'
import { readArrowKey } from '@bailiwick/kernel/config'
import { connectDoor } from '@bailiwick/kernel/door'
import { ROOT } from '../embedded/config.ts'
import { askStatus } from '../embedded/control-socket.ts'
import { inState, layoutOf, type Layout } from '../embedded/layout.ts'
import { PlainError } from '../embedded/plain-error.ts'
import { requireRoot } from '../embedded/preflight.ts'
import { connectAdmin, type Admin } from './admin-client.ts'
import { readCpu } from './bench-cpu.ts'
import { runLoad, type Call, type Load } from './bench-load.ts'
import { print, readOptions, table, type Command } from './command.ts'
import { runProgram } from './run-program.ts'

const BENCH_PORT_BASE = 17400

export const bench: Command = {
  summary: 'measures calls per second and what each step costs',
  help: `
usage: ./bailiwick bench [--seconds 6]

Starts a stack of its own in a scratch folder (ports from ${BENCH_PORT_BASE}), loads it from this machine over loopback, and
prints calls per second with p50, p95 and p99 at 1, 8 and 32 clients for a read and a write, the CPU of each part per call,
and each step by itself against its budget. Then it stops and removes that stack.
`,
  async run(args) {
    const { values } = readOptions('bench', args, { seconds: { type: 'string', default: '6' } })
    requireRoot('bench')
    const state = mkdtempSync(`${tmpdir()}/bailiwick-bench-`)
    const env = { ...process.env, BAILIWICK_STATE: state, BAILIWICK_PORT_BASE: String(BENCH_PORT_BASE) }
    const layout = layoutOf({ root: ROOT, state, portBase: BENCH_PORT_BASE })
    try {
      if ((await runProgram(`${ROOT}/bailiwick`, ['up'], env)) !== 0)
        throw new PlainError('the stack to measure did not start')
      const status = await askStatus(state)
      if (!status) throw new PlainError('the stack to measure does not answer')
      const pids = new Map(status.parts.flatMap(({ name, pid }) => (pid === null ? [] : [[name, pid] as const])))
      const admin = connectAdmin(layout)
      await runBench({ layout, admin, pids, print, secondsPerRun: Number(values.seconds) }).finally(() => admin.close())
      return 0
    } finally {
      await runProgram(`${ROOT}/bailiwick`, ['down'], env)
      rmSync(state, { recursive: true, force: true })
    }
  },
}

export type BenchOptions = {
  layout: Layout
  admin: Admin
  /** Name -> pid of the running parts. */
  pids: ReadonlyMap<string, number>
  print: (line: string) => void
  secondsPerRun?: number
}

const ACCOUNTS = 8
const CLIENTS = [1, 8, 32] as const
/** Below the window of 60 calls in 60 s: the guards are on. */
const CALLS_PER_TOKEN = 55
const EXPECTED_CALLS_PER_SECOND = 900

type Owner = { account: AccountId; domainIds: string[]; tokens: { token: string; left: number }[] }

export async function runBench({ layout, admin, pids, print, secondsPerRun = 6 }: BenchOptions): Promise<void> {
  const caFile = inState.caCertificate(layout.state)
  const origin = layout.publicUrl
  print(`preparing ${ACCOUNTS} accounts …`)
  const owners: Owner[] = []
  for (let at = 0; at < ACCOUNTS; at += 1) owners.push(await makeOwner(admin, origin, caFile, at))

  const stock = async (calls: number): Promise<void> => {
    const wanted = Math.ceil(calls / ACCOUNTS / CALLS_PER_TOKEN) + 1
    for (const owner of owners) {
      owner.tokens = []
      const fresh = Array.from({ length: wanted }, () =>
        admin.tokens_create({ account: owner.account, name: 'bench', scopes: [...PRESETS.admin] }),
      )
      for (const { token } of await Promise.all(fresh)) owner.tokens.push({ token, left: CALLS_PER_TOKEN })
    }
  }
  const take = (client: number, make: (owner: Owner, client: number) => Omit<Call, 'token'>): Call | null => {
    const owner = owners[client % ACCOUNTS]!
    while (owner.tokens[0] && owner.tokens[0].left === 0) owner.tokens.shift()
    const current = owner.tokens[0]
    if (!current) return null
    current.left -= 1
    return { token: current.token, ...make(owner, client) }
  }

  const kinds = [
    {
      name: 'read (list_domains)',
      isBudgeted: true,
      expected: EXPECTED_CALLS_PER_SECOND,
      make: () => ({ tool: 'list_domains', input: {} }),
    },
    {
      name: 'write (set_dns_records)',
      isBudgeted: false,
      expected: EXPECTED_CALLS_PER_SECOND / 3,
      // A domain of its own per client: two changes of one domain would wait for each other.
      make: ({ domainIds }: Owner, client: number) => ({
        tool: 'set_dns_records',
        input: {
          domain_id: domainIds[Math.floor(client / ACCOUNTS) % domainIds.length],
          name: `h${Math.floor(Math.random() * 20)}`,
          type: 'A',
          ttl_seconds: 300,
          records: [`192.0.2.${1 + Math.floor(Math.random() * 250)}`],
        },
      }),
    },
  ] as const
  for (const kind of kinds) {
    print(`\n${kind.name}, ${secondsPerRun} s each; load generator on the same cores`)
    // Warm first: a measurement of the first second is one of the compiler.
    await stock(kind.expected)
    await runLoad({ origin, caFile, clients: 8, seconds: 2, next: (client) => take(client, kind.make) })
    const rows: string[][] = [
      ['clients', 'calls/s', 'p50 ms', 'p95 ms', 'p99 ms', 'refused', 'generator CPU ms/call', 'parts CPU ms/call'],
    ]
    let busiest: PartCpu[] | null = null
    for (const clients of CLIENTS) {
      await stock(kind.expected * secondsPerRun)
      const before = readCpu(pids)
      const load = await runLoad({
        origin,
        caFile,
        clients,
        seconds: secondsPerRun,
        next: (client) => take(client, kind.make),
      })
      const after = readCpu(pids)
      rows.push(row(clients, load, before, after))
      busiest = kind.isBudgeted ? cpuPerCall(load, before, after) : null
    }
    for (const line of table(rows)) print(`  ${line}`)
    if (busiest) printBudgets(busiest, print)
  }
  await stock(CALLS_PER_TOKEN * ACCOUNTS)
  await measureSteps({ layout, print, caFile, origin, take })
}

type PartCpu = { name: string; ms: number }
const cpuPerCall = (load: Load, before: Map<string, number>, after: Map<string, number>): PartCpu[] =>
  [...after]
    .map(([name, ms]) => ({ name, ms: (ms - (before.get(name) ?? 0)) / load.calls }))
    .filter(({ ms }) => ms >= 0.005)
    .sort((a, b) => b.ms - a.ms)

/** CPU of a read, ms (call.md, Budgets); 0.1 for its hop is in each service's figure. PostgreSQL and Valkey have none. */
const BUDGETS: Readonly<Record<string, number>> = { edge: 0.1, gateway: 0.6, policy: 0.35, steward: 0.45, audit: 0.25 }

function printBudgets(parts: readonly PartCpu[], print: (line: string) => void): void {
  const sum = parts.reduce((total, { ms }) => total + ms, 0)
  const rows = parts.map(({ name, ms }) => [name, BUDGETS[name]?.toFixed(2) ?? '-', ms.toFixed(2)])
  print(`\n  CPU ms of a read at ${CLIENTS.at(-1)} clients against the budgets of call.md`)
  for (const line of table([['part', 'budget', 'measured'], ...rows, ['all', '1.30', sum.toFixed(2)]]))
    print(`  ${line}`)
}

function row(clients: number, load: Load, before: Map<string, number>, after: Map<string, number>): string[] {
  const parts = cpuPerCall(load, before, after)
  const total = parts.reduce((sum, { ms }) => sum + ms, 0)
  const detail = parts.map(({ name, ms }) => `${name} ${ms.toFixed(2)}`).join(', ')
  return [
    String(clients),
    (load.calls / load.seconds).toFixed(0),
    load.p50.toFixed(1),
    load.p95.toFixed(1),
    load.p99.toFixed(1),
    Object.entries(load.refused)
      .map(([code, times]) => `${times} ${code}`)
      .join(', ') || '0',
    (load.generatorCpuMs / load.calls).toFixed(2),
    `${total.toFixed(2)} (${detail})`,
  ]
}

async function makeOwner(admin: Admin, origin: string, caFile: string, at: number): Promise<Owner> {
  const { id } = await admin.accounts_create({ name: `bench-${Date.now()}-${at}`, time_zone: 'UTC' })
  await admin.accounts_tier({ account: id, tier: 'full', reason: 'bench' })
  const { token } = await admin.tokens_create({ account: id, name: 'bench', scopes: [...PRESETS.admin] })
  const domainIds: string[] = []
  for (let n = 0; n < Math.max(...CLIENTS) / ACCOUNTS; n += 1) {
    const made = await ask(origin, caFile, token, 'add_domain', { name: `bench-${randomUUID()}.example` })
    domainIds.push(String(made['domain_id']))
  }
  return { account: id, domainIds, tokens: [] }
}

function ask(
  origin: string,
  caFile: string,
  token: string,
  tool: string,
  input: unknown,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      `${origin}/api/v1/tools/${tool}`,
      {
        method: 'POST',
        ca: readFileSync(caFile),
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')))
        response.on('end', () =>
          response.statusCode === 200
            ? resolve(JSON.parse(text) as Record<string, unknown>)
            : reject(new Error(`${tool}: ${response.statusCode} ${text}`)),
        )
      },
    )
    request.on('error', reject)
    request.end(JSON.stringify(input))
  })
}

const STEP_CALLS = 200

/** One step at a time, one client, over its own door with its own key. */
async function measureSteps(options: {
  layout: Layout
  print: (line: string) => void
  caFile: string
  origin: string
  take: (client: number, make: (owner: Owner, client: number) => Omit<Call, 'token'>) => Call | null
}): Promise<void> {
  const { layout, print, caFile, origin, take } = options
  const keys = inState.keys(layout.state)
  const url = (port: number): string => `http://127.0.0.1:${port}`
  const policy = connectDoor({
    door: policyDoor,
    url: url(layout.ports.policy),
    caller: 'gateway',
    key: readArrowKey(keys, 'gateway', 'policy'),
  })
  const steward = connectDoor({
    door: stewardDoor,
    url: url(layout.ports.steward),
    caller: 'gateway',
    key: readArrowKey(keys, 'gateway', 'steward'),
  })
  const audit = connectDoor({
    door: auditDoor,
    url: url(layout.ports.audit),
    caller: 'steward',
    key: readArrowKey(keys, 'steward', 'audit'),
  })
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: readFileSync(caFile) })
  const get = (address: string): Promise<void> =>
    new Promise((resolve, reject) => {
      https.get(address, { agent }, (response) => response.resume().on('end', resolve)).on('error', reject)
    })

  const decided: { permit: Parameters<typeof steward.execute>[0]['permit'] }[] = []
  const decideOnce = async (client: number): Promise<void> => {
    const call = take(client, () => ({ tool: 'list_domains', input: {} }))
    if (!call) throw new Error('no token left')
    const reply = await policy.decide({
      credential: call.token,
      door: 'rest',
      address: '127.0.0.1',
      agent: 'bench',
      request_id: randomUUID(),
      tool: call.tool,
      input: {},
      idempotency_key: null,
    })
    if (!reply.ok) throw new Error(reply.denial.code)
    decided.push({ permit: reply.permit })
  }
  const steps: { name: string; budget: number | null; run: (at: number) => Promise<unknown> }[] = [
    { name: 'edge and gateway, a static answer', budget: null, run: () => get(`${origin}/.well-known/mcp.json`) },
    { name: 'decide (policy)', budget: 0.25, run: decideOnce },
    {
      name: 'execute a read (steward, with its append)',
      budget: 0.5,
      run: (at) => steward.execute({ permit: decided[at]!.permit, input: {} }),
    },
    {
      name: 'append (audit, fsynced)',
      budget: 0.15,
      run: () =>
        audit.append({
          kind: 'call',
          account: null,
          door: 'internal',
          tool: 'bench',
          risk: null,
          decision: null,
          policy_hash: null,
          catalog_hash: null,
          status: null,
          code: null,
          operation_id: null,
          request_id: null,
          duration_ms: null,
          personal: { agent: 'bench' },
        }),
    },
  ]
  const rows = [['step, one client, wall', 'budget CPU ms', 'p50 ms', 'p99 ms']]
  for (const step of steps) {
    const took: number[] = []
    for (let at = 0; at < STEP_CALLS; at += 1) {
      const started = performance.now()
      await step.run(at)
      took.push(performance.now() - started)
    }
    took.sort((a, b) => a - b)
    rows.push([
      step.name,
      step.budget === null ? '-' : step.budget.toFixed(2),
      took[STEP_CALLS / 2]!.toFixed(2),
      took[Math.floor(STEP_CALLS * 0.99)]!.toFixed(2),
    ])
  }
  print('\nsteps (budgets are CPU; wall time holds the hop and the disk as well)')
  for (const line of table(rows)) print(`  ${line}`)
  agent.destroy()
  for (const door of [policy, steward, audit]) door.close()
}
