// A real PowerDNS from the template in powerdns/, a proxy before it that fails as told, a real vault, and zone verbs on them.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import http from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { buffer } from 'node:stream/consumers'
import type { RecordSet } from '@bailiwick/contracts/dns'
import { vaultDoor } from '@bailiwick/contracts/doors/vault'
import { fakeClock } from '@bailiwick/kernel/clock'
import { connectDoor } from '@bailiwick/kernel/door'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { silentLogger } from '@bailiwick/kernel/logger'
import { startVault } from '../../vault/src/service.ts'
import { openOperations } from '../src/operations.ts'
import { createZoneVerbs } from '../src/zones/zones.ts'

const ROOT = new URL('../../..', import.meta.url).pathname
const SCHEMA = '/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql'
const USER = process.getuid!() === 0 ? { uid: 61901, gid: 61901 } : null

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

/** PowerDNS as a child, as a user of its own, with an empty database. */
export async function startPowerDns() {
  const folder = mkdtempSync(`${tmpdir()}/bailiwick-pdns-`)
  const apiKey = randomBytes(32).toString('hex')
  const [dnsPort, apiPort] = [await freePort(), await freePort()]
  const database = `${folder}/pdns.sqlite3`
  const db = new DatabaseSync(database)
  db.exec(readFileSync(SCHEMA, 'utf8'))
  db.close()
  const values: Record<string, string> = {
    DATABASE: database,
    SOCKET_DIR: folder,
    DNS_ADDRESS: '127.0.0.1',
    DNS_PORT: String(dnsPort),
    API_PORT: String(apiPort),
    API_KEY: apiKey,
  }
  const template = readFileSync(`${ROOT}/powerdns/pdns.conf.template`, 'utf8')
  const body = template.replace(/^[^#\n].*$/gm, (line) =>
    line.replace(/@([A-Z_]+)@/g, (_, name: string) => values[name]!),
  )
  writeFileSync(`${folder}/pdns.conf`, body, { mode: 0o400 })
  if (USER) for (const path of [folder, database, `${folder}/pdns.conf`]) chownSync(path, USER.uid, USER.gid)
  const identity = USER ? [`--reuid=${USER.uid}`, `--regid=${USER.gid}`, '--clear-groups'] : []
  let child: ChildProcess
  const start = async (): Promise<void> => {
    child = spawn('setpriv', [...identity, '--pdeathsig=KILL', '/usr/sbin/pdns_server', `--config-dir=${folder}`], {
      stdio: 'ignore',
    })
    // There is no event for "answers now" but an answer.
    for (;;) {
      const answers = await call('GET', '/zones').then(
        () => true,
        () => false,
      )
      if (answers) return
      if (child.exitCode !== null) throw new Error('PowerDNS does not start')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${apiPort}/api/v1/servers/localhost${path}`, {
      method,
      headers: { 'x-api-key': apiKey, connection: 'close' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? null : JSON.parse(text)
  }
  const kill = (signal: NodeJS.Signals): Promise<void> => {
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill(signal)
    return signal === 'SIGKILL' ? gone : Promise.resolve()
  }
  await start()
  return {
    url: `http://127.0.0.1:${apiPort}`,
    apiKey,
    dnsPort,
    database,
    call,
    start,
    kill,
    async stop() {
      await kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
export type TestPowerDns = Awaited<ReturnType<typeof startPowerDns>>

/** Passes everything on, until told to fail one request: before it takes effect, or after. */
export async function startFailingProxy(upstream: string) {
  let plan: { mode: 'failsBefore' | 'failsAfterEffect'; request: number } | null = null
  let seen = 0
  let fired = false
  const pass = async (request: http.IncomingMessage): Promise<{ status: number; bytes: Buffer }> => {
    const body = await buffer(request)
    const { host: _, connection: __, ...headers } = request.headers
    const options = { method: request.method, headers, agent: false } as const
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const forwarded = http.request(`${upstream}${request.url}`, options, resolve)
      forwarded.on('error', reject)
      forwarded.end(body)
    })
    return { status: answer.statusCode!, bytes: await buffer(answer) }
  }
  const server = http.createServer((request, response) => {
    seen += 1
    const mode = plan?.request === seen ? plan.mode : 'passes'
    if (mode !== 'passes') fired = true
    if (mode === 'failsBefore') {
      request.socket.destroy()
      return
    }
    pass(request).then(
      ({ status, bytes }) => {
        if (mode === 'failsAfterEffect') request.socket.destroy()
        else response.writeHead(status, { 'content-length': bytes.length }).end(bytes)
      },
      () => request.socket.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    /** The n-th request from now fails so. */
    plan(mode: 'failsBefore' | 'failsAfterEffect', request: number) {
      plan = { mode, request }
      seen = 0
      fired = false
    },
    /** Ends the plan; true if it happened. */
    unplan(): boolean {
      plan = null
      return fired
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

/** Everything that the zone verbs need, real. `restart` forgets all that a dying keeper would forget. */
export async function zonesWorld(settings: { timeoutMs?: number; resolver?: string } = {}) {
  const powerDns = await startPowerDns()
  const proxy = await startFailingProxy(powerDns.url)
  const home = mkdtempSync(`${tmpdir()}/bailiwick-zones-`)
  mkdirSync(`${home}/vault`)
  const clock = fakeClock(Date.now())
  const vaultKey = randomBytes(32)
  const vaultServer = await startVault({
    stateDir: `${home}/vault`,
    atRestKey: randomBytes(32),
    keys: { keeper: vaultKey, steward: randomBytes(32), reaper: randomBytes(32) },
    listen: { host: '127.0.0.1', port: 0 },
    listenSecond: { host: '127.0.0.1', port: 0 },
    clock,
    logger: silentLogger,
  })
  const vault = connectDoor({
    door: vaultDoor,
    url: `http://127.0.0.1:${vaultServer.port}`,
    caller: 'keeper',
    key: vaultKey,
  })
  let stateDirs = 0
  const open = (changes: Partial<Parameters<typeof createZoneVerbs>[0]> = {}, stateDir = `${home}/state0`) => {
    mkdirSync(stateDir, { recursive: true })
    const operations = openOperations({ file: `${stateDir}/operations.log` })
    const zones = createZoneVerbs({
      powerdnsUrl: proxy.url,
      apiKey: powerDns.apiKey,
      vault,
      operations,
      resolver: settings.resolver ?? null,
      // Nothing listens there: no test reads a real registry.
      egress: 'http://127.0.0.1:1',
      stateDir,
      logger: silentLogger,
      clock,
      timeoutMs: settings.timeoutMs ?? 5000,
      ...changes,
    })
    return { zones, operations, stateDir }
  }
  return {
    powerDns,
    proxy,
    vault,
    clock,
    home,
    open,
    newStateDir: () => `${home}/state${(stateDirs += 1)}`,
    async close() {
      vault.close()
      await vaultServer.close()
      await proxy.close()
      await powerDns.stop()
      rmSync(home, { recursive: true, force: true })
    },
  }
}
export type ZonesWorld = Awaited<ReturnType<typeof zonesWorld>>

export const newOperation = (): string => uuidv7()
let names = 0
/** An account's new domain. */
export const newDomain = (name = `example${(names += 1)}.test`) => ({
  account_id: uuidv7(),
  zone_id: uuidv7(),
  name,
})

/** One set of every type, with what is hard to quote. */
export const everyType: RecordSet[] = [
  { name: '@', type: 'A', ttl_seconds: 300, records: ['192.0.2.1', '192.0.2.2'] },
  { name: '@', type: 'AAAA', ttl_seconds: 300, records: ['2001:db8::1', '::ffff:c000:201'] },
  { name: '@', type: 'CAA', ttl_seconds: 3600, records: ['0 issue "letsencrypt.org"', '128 iodef "mailto:ca@é.test"'] },
  { name: '@', type: 'MX', ttl_seconds: 3600, records: ['10 mx1.mail.test.', '20 mx2.mail.test.'] },
  { name: '*', type: 'A', ttl_seconds: 60, records: ['192.0.2.3'] },
  { name: '*.apps', type: 'CNAME', ttl_seconds: 60, records: ['edge.host.test.'] },
  { name: 'www', type: 'CNAME', ttl_seconds: 30, records: ['edge.host.test.'] },
  { name: 'child', type: 'NS', ttl_seconds: 86_400, records: ['ns1.elsewhere.test.', 'ns2.elsewhere.test.'] },
  { name: 'child', type: 'DS', ttl_seconds: 86_400, records: [`12345 13 2 ${'ab'.repeat(32)}`] },
  { name: '1.ptr', type: 'PTR', ttl_seconds: 604_800, records: ['host.example.test.'] },
  { name: '_sip._tcp', type: 'SRV', ttl_seconds: 600, records: ['10 60 5060 sip.voice.test.', '20 0 0 .'] },
  {
    name: '@',
    type: 'TXT',
    ttl_seconds: 600,
    records: [
      'v=spf1 include:_spf.mail.test -all',
      'with "quotes", a back\\slash; and a semicolon',
      'häßlich – 日本語 🙂',
      '',
    ],
  },
  { name: 'long._domainkey', type: 'TXT', ttl_seconds: 600, records: [`v=DKIM1; p=${'é"\\A'.repeat(250)}`] },
]
export const sorted = (sets: readonly RecordSet[]): RecordSet[] =>
  sets
    .map((set) => ({ ...set, records: [...set.records].sort() }))
    .sort((a, b) => (`${a.name} ${a.type}` < `${b.name} ${b.type}` ? -1 : 1))

/** The files in the trash of a state folder. */
export const trashFiles = (stateDir: string): string[] => {
  const folder = `${stateDir}/zones-quarantined`
  return existsSync(folder) ? readdirSync(folder).map((file) => `${folder}/${file}`) : []
}
