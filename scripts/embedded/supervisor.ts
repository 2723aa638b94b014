// The embedded stack's supervisor: root, detached, one per state folder. Prepares the state, starts the parts in order, keeps
// them running, stops them in reverse on SIGTERM. If it is killed its children die with it (pdeathsig) and the next `up` mends.
import { existsSync, lstatSync, rmSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { superviseChild, type Supervised } from './child.ts'
import { ensureCertificates } from './certificates.ts'
import { controlServer, ensureCluster, ensureDatabase } from './control-postgres.ts'
import { serveStatus, type StackStatus, type SupervisorRecord } from './control-socket.ts'
import { writeWhole } from './files.ts'
import { prepareRealms, settleRealm } from './keycloak/realms.ts'
import { USERS, inState, layoutOf, mountFolder, type Layout } from './layout.ts'
import { MAX_LOG_BYTES, removeOldLogs, rotate } from './log-file.ts'
import { PlainError, messageOf } from './plain-error.ts'
import { planParts, stopOrder } from './plan.ts'
import { nameOf } from './processes.ts'
import { checkReadable } from './reachable.ts'
import { ensureState } from './state.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
/** A part whose needs are not well by then is started all the same: it must bear that its peers are down. */
const NEEDS_WITHIN_MS = 20_000

const { values } = parseArgs({
  options: {
    root: { type: 'string' },
    state: { type: 'string' },
    'shown-state': { type: 'string' },
    'port-base': { type: 'string' },
    'dns-resolver': { type: 'string' },
    'security-contact': { type: 'string' },
    keycloak: { type: 'string' },
    mounted: { type: 'boolean', default: false },
  },
})
const layout: Layout = layoutOf({
  root: values.root!,
  state: values.state!,
  shownState: values['shown-state']!,
  portBase: Number(values['port-base']),
})

const startedAt = Date.now()
const progress: string[] = []
let phase: StackStatus['phase'] = 'preparing'
let supervised: Supervised[] = []
let stopping: Promise<void> | null = null

const say = (line: string): void => {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`)
}
const progressed = (line: string): void => {
  progress.push(line)
  say(line)
}

const status = (): StackStatus => ({
  phase,
  progress,
  pid: process.pid,
  started_at: startedAt,
  state: layout.shownState,
  port_base: layout.portBase,
  endpoint: `${layout.publicUrl}/mcp`,
  ca_file: inState.caCertificate(layout.shownState),
  parts: supervised.map((each) => each.status()),
})

/** Who is alive is on disk before anybody may die: the next `up` or `down` ends exactly these, should this process be killed. */
function recordChildren(): void {
  const running = supervised.map((each) => each.running()).filter((each) => each !== null)
  writeWhole(inState.children(layout.state), JSON.stringify(running), 0o600)
}

async function run(): Promise<void> {
  const own: SupervisorRecord = {
    ...nameOf(process.pid)!,
    port_base: layout.portBase,
    mount: values.mounted ? mountFolder(layout.shownState) : null,
  }
  writeWhole(inState.supervisorRecord(layout.state), JSON.stringify(own), 0o600)
  await serveStatus(inState.supervisorSocket(layout.state), status)

  progressed('preparing the state folder')
  const state = await ensureState(layout.state, layout.shownState)
  checkReadable(layout)
  removeOldLogs(inState.logs(layout.state))
  progressed('preparing the control database')
  await ensureCluster(layout, state)

  const parts = await planParts(layout, state, {
    dnsResolver: values['dns-resolver'],
    securityContact: values['security-contact'],
    keycloak: values.keycloak!,
  })
  supervised = parts.map((part) =>
    superviseChild({ part, logFile: inState.log(layout.state, part.name), say, onChange: recordChildren }),
  )
  const of = new Map(supervised.map((each) => [each.part.name, each]))
  phase = 'starting'
  progressed('starting the parts')
  const postgres = of.get('postgres')!
  postgres.start()
  const prepared = postgres.healthy.then(async () => {
    await ensureDatabase(layout, state)
    if (await prepareRealms(layout, state, await controlServer(layout, state)))
      progressed('keycloak makes its tables and the realm: its first start takes half a minute')
  })
  // Awaited below; a rejection in between is not an unhandled one.
  prepared.catch(() => undefined)

  const starts = supervised
    .filter((each) => each !== postgres)
    .map(async (each) => {
      const { needs } = each.part
      if (needs.includes('postgres')) await prepared
      const needed = Promise.all(needs.map((name) => of.get(name)!.healthy))
      await Promise.race([needed, new Promise((resolve) => setTimeout(resolve, NEEDS_WITHIN_MS).unref())])
      each.start()
      await each.healthy
      if (each.part.name === 'keycloak') await settleRealm(layout, state, progressed)
      progressed(`${each.part.name} is up`)
    })
  await prepared
  progressed('postgres is up, its tables are current')
  // A part that never gets well keeps being tried, and is named in the status; the others serve meanwhile.
  await Promise.all(starts)
  phase = 'ready'
  say(`ready after ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)

  setInterval(() => {
    ensureCertificates(inState.tls(layout.state), { uid: USERS.edge, gid: USERS.edge })
      .then((renewed) => renewed && of.get('edge')!.signal('SIGHUP'))
      .catch((error: unknown) => say(`the certificate could not be renewed: ${messageOf(error)}`))
  }, DAY_MS).unref()
  setInterval(() => rotateAccessLog(of.get('edge')!), MINUTE_MS).unref()
}

/** nginx writes its access log itself; everything else goes through child.ts. */
function rotateAccessLog(edge: Supervised): void {
  const file = inState.accessLog(layout.state)
  if (!existsSync(file) || lstatSync(file).size < MAX_LOG_BYTES) return
  rotate(file)
  edge.signal('SIGUSR1')
}

async function stopAll(): Promise<void> {
  phase = 'stopping'
  const of = new Map(supervised.map((each) => [each.part.name, each]))
  for (const group of stopOrder(supervised.map((each) => each.part))) {
    say(`stopping ${group.map((part) => part.name).join(', ')}`)
    await Promise.all(group.map((part) => of.get(part.name)!.stop()))
  }
  for (const file of [inState.children, inState.supervisorSocket, inState.supervisorRecord])
    rmSync(file(layout.state), { force: true })
  say('stopped')
}

/** Ends this process; a failure is left in a file for the `up` that waits. */
function end(failure: unknown): Promise<void> {
  stopping ??= (async () => {
    if (failure !== null) {
      const plain = failure instanceof PlainError
      say(failure instanceof Error && !plain ? (failure.stack ?? failure.message) : messageOf(failure))
      const text = JSON.stringify({ message: messageOf(failure), expected: plain })
      writeFileSync(inState.failure(layout.state), text, { mode: 0o600 })
    }
    await stopAll()
    process.exit(failure === null ? 0 : 1)
  })()
  return stopping
}

process.on('SIGTERM', () => void end(null))
process.on('SIGINT', () => void end(null))
process.on('SIGHUP', () => undefined)
process.on('uncaughtException', (error) => void end(error))
// The supervisor lives as long as it is not told to stop, whatever its parts do.
setInterval(() => undefined, DAY_MS)
run().catch((error: unknown) => void end(error))
