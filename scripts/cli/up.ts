// ./bailiwick up: checks, installs, starts the supervisor, follows it until everything answers, shows the way in.
import { readJson } from '../embedded/files.ts'
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { readLayout } from '../embedded/config.ts'
import { askStatus, runningSupervisor, type StackStatus, type SupervisorRecord } from '../embedded/control-socket.ts'
import { makeFolder } from '../embedded/files.ts'
import { inState, type Layout } from '../embedded/layout.ts'
import { endLeftovers } from '../embedded/leftovers.ts'
import { lastLines, MAX_LOG_BYTES, rotate } from '../embedded/log-file.ts'
import { ensureDistribution } from '../embedded/keycloak/distribution.ts'
import { NEEDS, installMissing, keycloakNeeds } from '../embedded/packages.ts'
import { PlainError } from '../embedded/plain-error.ts'
import { requireDisk, requireFreePorts, requireRoot, requireShortPath } from '../embedded/preflight.ts'
import { isAlive, nameOf, type ProcessName } from '../embedded/processes.ts'
import { choosePlace } from '../embedded/reachable.ts'
import { checkStateFolder } from '../embedded/state.ts'
import { readOptions, print, usageError, type Command } from './command.ts'
import { showConnection } from './connection.ts'
import { makeFirstToken } from './first-token.ts'

/** Keycloak's first start is the longest; a small machine takes its time. */
const READY_WITHIN_MS = 300_000

export const up: Command = {
  summary: 'starts everything, in the background',
  help: `
usage: ./bailiwick up

Starts the embedded stack in the background: PostgreSQL, Valkey, PowerDNS, Keycloak, Bailiwick's services and nginx, on this
machine only, each under a user of its own. What the system lacks is installed from its packages first; Keycloak is fetched and
built once, into .cache/. All state is in .bailiwick/.

The first run makes a demo account with a first personal token and shows the token once. Needs root.

Settings (environment):
  BAILIWICK_PORT_BASE     first of the ports, 8400 if not set: agents connect to base + 43
  BAILIWICK_STATE         the state folder, .bailiwick in the checkout if not set
  BAILIWICK_DNS_RESOLVER  host:port of the resolver that domain verification asks; the system's if not set
  BAILIWICK_SECURITY_CONTACT
                          mailto:... or https://...: where to report a hole; served as /.well-known/security.txt
`,
  async run(args) {
    const { positionals } = readOptions('up', args, {})
    if (positionals.length > 0) throw usageError(`"up" takes no arguments (${positionals[0]})`)
    requireRoot('up')
    const layout = readLayout()
    const running = runningSupervisor(layout)
    if (running) return welcomeBack(layout, running)
    const startedAt = Date.now()
    requireShortPath(layout)
    checkStateFolder(layout.state)
    requireDisk(layout.state)
    makeFolder(layout.state, 0o711)
    makeFolder(`${layout.state}/run`, 0o700)
    makeFolder(inState.logs(layout.state), 0o700)
    const unlock = lock(layout)
    let status: StackStatus
    try {
      await endLeftovers(layout.state, step)
      await requireFreePorts(layout)
      await installMissing(step, [...NEEDS, ...keycloakNeeds(layout.root)])
      const keycloak = await ensureDistribution(layout.root, step)
      status = await follow(layout, startSupervisor(layout, keycloak))
    } finally {
      unlock()
    }
    const token = await makeFirstToken(layout)
    showConnection(status, token, (Date.now() - startedAt) / 1000)
    return 0
  },
}

async function welcomeBack(layout: Layout, supervisor: SupervisorRecord): Promise<number> {
  print(`Bailiwick is already running (supervisor pid ${supervisor.pid}).`)
  if (existsSync(inState.firstToken(layout.state))) {
    const status = await askStatus(layout.state)
    if (status) print(`Agents connect to ${status.endpoint}; ./bailiwick status shows its parts.`)
    return 0
  }
  // The run that started it was cut off before it showed a token, or still waits for a part.
  const status = await follow(layout, supervisor)
  showConnection(status, await makeFirstToken(layout), (Date.now() - status.started_at) / 1000)
  return 0
}

const step = (line: string): void => print(`· ${line}`)

/** One `up` at a time on a state folder. A lock whose holder is gone is nobody's. */
function lock({ state }: Layout): () => void {
  const file = `${state}/run/up.lock`
  const holder = readJson(file) as ProcessName | null
  if (holder && isAlive(holder))
    throw new PlainError(`another ./bailiwick up is at work (pid ${holder.pid}): wait for it`)
  rmSync(file, { force: true })
  try {
    writeFileSync(file, JSON.stringify(nameOf(process.pid)), { flag: 'wx', mode: 0o600 })
  } catch {
    throw new PlainError('another ./bailiwick up has just started: wait for it')
  }
  return () => rmSync(file, { force: true })
}

function startSupervisor(layout: Layout, keycloak: string): ProcessName {
  const place = choosePlace(layout)
  const file = inState.log(layout.state, 'supervisor')
  if (existsSync(file) && statSync(file).size > MAX_LOG_BYTES) rotate(file)
  rmSync(inState.failure(layout.state), { force: true })
  const log = openSync(file, 'a', 0o600)
  const resolver = process.env['BAILIWICK_DNS_RESOLVER']
  const contact = process.env['BAILIWICK_SECURITY_CONTACT']
  const command = [
    ...place.prefix,
    `${place.root}/node_modules/.bin/node`,
    `${place.root}/scripts/embedded/supervisor.ts`,
    '--root',
    place.root,
    '--state',
    place.state,
    '--shown-state',
    layout.state,
    '--port-base',
    String(layout.portBase),
    '--keycloak',
    keycloak,
    ...(resolver ? ['--dns-resolver', resolver] : []),
    ...(contact ? ['--security-contact', contact] : []),
    ...(place.mounted ? ['--mounted'] : []),
  ]
  if (place.mounted)
    step('this checkout is closed to other users: the services see it below /run, in a mount namespace of their own')
  const child = spawn(command[0]!, command.slice(1), {
    // A session of its own: it outlives this terminal.
    detached: true,
    cwd: '/',
    stdio: ['ignore', log, log],
    // What is in the operator's environment is not the services' business.
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
  })
  closeSync(log)
  child.unref()
  const name = child.pid === undefined ? null : nameOf(child.pid)
  if (!name) throw new PlainError('the supervisor could not be started')
  return name
}

/** Prints what the supervisor reports until everything answers. */
async function follow(layout: Layout, supervisor: ProcessName): Promise<StackStatus> {
  const deadline = Date.now() + READY_WITHIN_MS
  let shown = 0
  for (;;) {
    const status = await askStatus(layout.state)
    for (const line of status?.progress.slice(shown) ?? []) step(line)
    shown = status?.progress.length ?? shown
    if (status?.phase === 'ready') return status
    if (!isAlive(supervisor)) throw whyItEnded(layout)
    const looping = status?.parts.filter((part) => part.health === 'crash loop') ?? []
    if (looping.length > 0 || Date.now() > deadline)
      throw notReady(
        layout,
        status,
        looping.map(({ name }) => name),
      )
    await wait(150)
  }
}

function whyItEnded(layout: Layout): PlainError {
  const failure = readJson(inState.failure(layout.state)) as { message: string; expected: boolean } | null
  if (failure?.expected) return new PlainError(failure.message)
  const log = inState.log(layout.state, 'supervisor')
  const why = failure?.message ?? lastLines(log, 3).join(' / ')
  return new PlainError(`the start failed: ${why}. Everything was stopped again; the whole story is in ${log}`)
}

function notReady(layout: Layout, status: StackStatus | null, looping: string[]): PlainError {
  const names =
    looping.length > 0 ? looping : (status?.parts ?? []).filter((part) => part.health !== 'up').map(({ name }) => name)
  const lines = names.flatMap((name) =>
    lastLines(inState.log(layout.state, name), 5).map((line) => `  ${name} | ${line}`),
  )
  return new PlainError(
    `${names.join(', ') || 'the supervisor'} did not come up${looping.length > 0 ? ' (crash loop)' : ''}; what it last said:\n${lines.join('\n')}\nThe rest keeps running and it is tried again: ./bailiwick status; ./bailiwick down stops everything`,
  )
}
