// Keeps one part running: starts it, writes its log, asks for its health, starts it again with back-off when it dies.
import { spawn, type ChildProcess } from 'node:child_process'
import { connect } from 'node:net'
import { countDeath, NO_DEATHS } from './backoff.ts'
import { endSession } from './leftovers.ts'
import { openLog, lastLines } from './log-file.ts'
import { memoryMb, nameOf, type ProcessName } from './processes.ts'

export type Health =
  | { kind: 'http'; ports: readonly number[]; path?: string }
  | { kind: 'tcp'; port: number }
  | { kind: 'alive' }
  | { kind: 'asked'; isUp: () => boolean }

export type Part = {
  readonly name: string
  readonly uid: number
  /** What listens where, for the table of `status`. */
  readonly ports: readonly number[]
  readonly health: Health
  /** Parts that must have been healthy once before this one is started, and that are stopped after it. */
  readonly needs: readonly string[]
  /** The whole command, `setpriv` included; asked anew at each start. May prepare files. */
  readonly command: () => readonly [string, readonly string[]]
  readonly env: Readonly<Record<string, string>>
  /** Handed over on file descriptor 3, and nowhere else. */
  readonly unsealKey?: string
  readonly stopSignal: NodeJS.Signals
  readonly stopWithinMs: number
}

export type PartHealth = 'waiting' | 'starting' | 'up' | 'not answering' | 'restarting' | 'crash loop' | 'stopped'
export type PartStatus = {
  readonly name: string
  readonly ports: readonly number[]
  readonly health: PartHealth
  readonly pid: number | null
  readonly memory_mb: number | null
  readonly restarts: number
  readonly last_exit: string | null
  /** In a crash loop: the end of its log. */
  readonly last_lines?: readonly string[]
}

export type Supervised = {
  readonly part: Part
  start(): void
  /** Resolves at the first healthy answer. */
  readonly healthy: Promise<void>
  status(): PartStatus
  running(): { name: string; uid: number; process: ProcessName } | null
  signal(signal: NodeJS.Signals): void
  /** Ends it and everything that belongs to it; resolves when it is gone. */
  stop(): Promise<void>
}

const STEADY_POLL_MS = 2_000
const FIRST_POLL_MS = 100

export function superviseChild(options: {
  part: Part
  logFile: string
  /** A line for the supervisor's own log. */
  say: (line: string) => void
  /** Called whenever `running()` changed, before anything else happens. */
  onChange: () => void
}): Supervised {
  const { part, logFile, say, onChange } = options
  const log = openLog(logFile)
  let child: ChildProcess | null = null
  let processName: ProcessName | null = null
  let bornAt = 0
  let health: PartHealth = 'waiting'
  let deaths = NO_DEATHS
  let restarts = 0
  let lastExit: string | null = null
  let stopping = false
  let timer: NodeJS.Timeout | undefined
  let gone: Promise<void> = Promise.resolve()
  const firstHealthy = Promise.withResolvers<void>()

  const start = (): void => {
    if (stopping) return
    health = health === 'crash loop' ? 'crash loop' : 'starting'
    bornAt = Date.now()
    let started: ChildProcess
    try {
      const [command, args] = part.command()
      started = spawn(command, args, {
        // A session of its own, so that everything it starts can be found again and ended with it.
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe', part.unsealKey === undefined ? 'ignore' : 'pipe'],
        env: part.env,
        cwd: '/',
      })
    } catch (error) {
      log.write(`bailiwick: ${part.name} could not be started: ${String(error)}\n`)
      return died('could not be started')
    }
    child = started
    processName = started.pid === undefined ? null : nameOf(started.pid)
    onChange()
    started.stdout!.on('data', (chunk: Buffer) => log.write(chunk))
    started.stderr!.on('data', (chunk: Buffer) => log.write(chunk))
    const keyPipe = started.stdio[3]
    if (part.unsealKey !== undefined && keyPipe && 'end' in keyPipe) {
      // A child that dies before it has read: its death is told by 'exit'.
      keyPipe.on('error', () => undefined)
      keyPipe.end(part.unsealKey)
    }
    gone = new Promise((resolve) => {
      // Once nothing is left that could hold them, the pipes end, and with them the last log lines are in.
      const drained = new Promise((done) => started.once('close', done))
      const ended = (how: string): void => {
        clearTimeout(timer)
        if (health !== 'crash loop') health = 'restarting'
        const atMost = new Promise((done) => setTimeout(done, 500))
        void endSession(processName, part.uid)
          .then(() => Promise.race([drained, atMost]))
          .then(() => {
            child = null
            processName = null
            onChange()
            resolve()
            died(how)
          })
      }
      started.once('error', (error) => ended(`could not be started: ${error.message}`))
      started.once('exit', (code, signal) => {
        if (started.pid !== undefined) ended(signal ? `killed by ${signal}` : `exit ${code}`)
      })
    })
    scheduleCheck(FIRST_POLL_MS)
  }

  const died = (how: string): void => {
    clearTimeout(timer)
    lastExit = how
    if (stopping) {
      health = 'stopped'
      return
    }
    const counted = countDeath(deaths, bornAt, Date.now())
    if (counted.deaths.loop && !deaths.loop) {
      say(`${part.name} is in a crash loop (${how}); its last log lines:`)
      for (const line of lastLines(logFile, 8)) say(`  ${part.name} | ${line}`)
    } else say(`${part.name} died (${how}); again in ${counted.delayMs / 1000} s`)
    deaths = counted.deaths
    health = deaths.loop ? 'crash loop' : 'restarting'
    timer = setTimeout(() => {
      restarts += 1
      start()
    }, counted.delayMs)
  }

  const scheduleCheck = (delayMs: number): void => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      const asked = child
      void isHealthy(part.health).then((answer) => {
        if (child !== asked || child === null || stopping) return
        if (answer) {
          // In a crash loop an answer proves little: it must stay for a minute first.
          if (!deaths.loop || Date.now() - bornAt > 60_000) {
            if (health === 'not answering') say(`${part.name} answers again`)
            health = 'up'
            deaths = deaths.loop ? NO_DEATHS : deaths
          }
          firstHealthy.resolve()
        } else if (health === 'up') {
          health = 'not answering'
          say(`${part.name} does not answer`)
        }
        scheduleCheck(health === 'up' ? STEADY_POLL_MS : FIRST_POLL_MS)
      })
    }, delayMs)
  }

  return {
    part,
    start,
    healthy: firstHealthy.promise,
    status: () => ({
      name: part.name,
      ports: part.ports,
      health,
      pid: child?.pid ?? null,
      memory_mb: child?.pid === undefined ? null : memoryMb(child.pid),
      restarts,
      last_exit: lastExit,
      ...(health === 'crash loop' ? { last_lines: lastLines(logFile, 8) } : {}),
    }),
    running: () => processName && { name: part.name, uid: part.uid, process: processName },
    signal: (signal) => void child?.kill(signal),
    async stop() {
      stopping = true
      clearTimeout(timer)
      if (child) {
        child.kill(part.stopSignal)
        const hard = setTimeout(() => {
          say(`${part.name} did not stop within ${part.stopWithinMs / 1000} s: killed`)
          child?.kill('SIGKILL')
        }, part.stopWithinMs)
        await gone
        clearTimeout(hard)
      }
      health = 'stopped'
      log.close()
    },
  }
}

async function isHealthy(health: Health): Promise<boolean> {
  if (health.kind === 'alive') return true
  if (health.kind === 'asked') return health.isUp()
  if (health.kind === 'tcp') return canConnect(health.port)
  const answers = await Promise.all(
    health.ports.map((port) =>
      fetch(`http://127.0.0.1:${port}${health.path ?? '/health'}`, { signal: AbortSignal.timeout(2_000) }).then(
        async (response) => {
          await response.body?.cancel()
          return response.ok
        },
        () => false,
      ),
    ),
  )
  return answers.every(Boolean)
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 2_000 })
    const answer = (yes: boolean) => (): void => {
      socket.destroy()
      resolve(yes)
    }
    socket.once('connect', answer(true)).once('error', answer(false)).once('timeout', answer(false))
  })
}
