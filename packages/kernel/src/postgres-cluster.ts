// Makes and runs a PostgreSQL cluster as a direct child under a numeric user. Used for the control database, for account
// clusters and in tests.
import { spawn, type ChildProcess } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  chownSync,
  writeFileSync,
} from 'node:fs'
import { Fault } from './result.ts'

/** The newest installed server's folder of programs, from Debian's layout. */
export function findPostgresBin(root = '/usr/lib/postgresql'): string {
  const versions = existsSync(root) ? readdirSync(root).filter((name) => existsSync(`${root}/${name}/bin/initdb`)) : []
  const newest = versions.map(Number).sort((a, b) => b - a)[0]
  if (newest === undefined) throw new Fault('BACKEND_UNAVAILABLE', 'PostgreSQL is not installed')
  return `${root}/${newest}/bin`
}

export type RunAs = { uid: number; gid: number }

/** The command and arguments that run `command` as `user`, without groups, dying with its parent. */
export function asUser(
  user: RunAs | null,
  command: string,
  args: readonly string[],
  deathSignal = 'TERM',
): [string, string[]] {
  const identity = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : []
  return ['setpriv', [...identity, `--pdeathsig=${deathSignal}`, '--no-new-privs', command, ...args]]
}

const WRAPPER_PATHS = [
  '/usr/lib/x86_64-linux-gnu/libnss_wrapper.so',
  '/usr/lib/aarch64-linux-gnu/libnss_wrapper.so',
  '/usr/lib/libnss_wrapper.so',
]

/**
 * initdb with SCRAM for everybody. `dataDir` must not exist or be empty; its parent must be writable for `user`.
 * initdb alone refuses a user without a name, so it alone runs under nss_wrapper.
 */
export async function initCluster(options: {
  dataDir: string
  superuser: string
  password: string
  user: RunAs | null
  walSegmentMb?: number
  settings?: readonly string[]
}): Promise<void> {
  const { dataDir, superuser, password, user, walSegmentMb = 16, settings = [] } = options
  const id = user ?? { uid: process.getuid!(), gid: process.getgid!() }
  const wrapper = WRAPPER_PATHS.find((path) => existsSync(path))
  if (!wrapper) throw new Fault('BACKEND_UNAVAILABLE', 'libnss-wrapper is not installed')
  // Beside the data: what a kill leaves behind, the password among it, stays in the folder that is guarded anyway.
  const scratch = mkdtempSync(`${dataDir}.initdb-`)
  try {
    writeFileSync(`${scratch}/passwd`, `bailiwick:x:${id.uid}:${id.gid}::/nonexistent:/bin/false\n`)
    writeFileSync(`${scratch}/group`, `bailiwick:x:${id.gid}:\n`)
    writeFileSync(`${scratch}/password`, password, { mode: 0o600 })
    if (user) for (const file of ['', '/passwd', '/group', '/password']) chownSync(`${scratch}${file}`, id.uid, id.gid)
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    if (user) chownSync(dataDir, id.uid, id.gid)
    const [command, args] = asUser(user, `${findPostgresBin()}/initdb`, [
      '-D',
      dataDir,
      '-U',
      superuser,
      `--pwfile=${scratch}/password`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C.UTF-8',
      `--wal-segsize=${walSegmentMb}`,
      '--no-instructions',
      '--data-checksums',
    ])
    await runToEnd(command, args, {
      LD_PRELOAD: wrapper,
      NSS_WRAPPER_PASSWD: `${scratch}/passwd`,
      NSS_WRAPPER_GROUP: `${scratch}/group`,
      PATH: process.env['PATH'],
    })
    if (settings.length > 0) writeFileSync(`${dataDir}/postgresql.auto.conf`, `${settings.join('\n')}\n`)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

export type ClusterOptions = {
  dataDir: string
  port: number
  user: RunAs | null
  host?: string
  settings?: readonly string[]
  deathSignal?: string
}

/** The command that runs the cluster in the foreground. Removes a lock file that a killed server left, so run it soon. */
export function clusterCommand(options: ClusterOptions): [string, string[]] {
  const { dataDir, port, user, host = '127.0.0.1', settings = [], deathSignal = 'QUIT' } = options
  removeStaleLock(dataDir)
  const all = [`listen_addresses=${host}`, `port=${port}`, 'unix_socket_directories=', ...settings]
  const args = ['-D', dataDir, ...all.flatMap((setting) => ['-c', setting])]
  return asUser(user, `${findPostgresBin()}/postgres`, args, deathSignal)
}

/** True once the postmaster takes connections; with `pid`, once that very process does. */
export const isClusterReady = (dataDir: string, pid?: number): boolean => readPostmasterStatus(dataDir, pid) === 'ready'

/** Starts `postgres` as a direct child; ready when the returned promise resolves. */
export async function startCluster(options: ClusterOptions & { readyWithinMs?: number }): Promise<ChildProcess> {
  const { dataDir, readyWithinMs = 60_000 } = options
  const [command, args] = clusterCommand(options)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] } })
  let log = ''
  const keep = (chunk: Buffer): void => {
    log = (log + chunk.toString('utf8')).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const deadline = Date.now() + readyWithinMs
  while (!isClusterReady(dataDir, child.pid)) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Fault('BACKEND_UNAVAILABLE', `postgres did not start: ${log.slice(-1000)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return child
}

/** `fast`: no new work, open transactions rolled back, a clean shutdown. */
export async function stopCluster(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGINT')
  await gone
}

/**
 * The last line of postmaster.pid, which the postmaster sets to `ready` when it takes connections. A caller that knows its
 * child's `pid` takes only that child's word: a predecessor that is still shutting down has left a `ready` there too.
 */
function readPostmasterStatus(dataDir: string, pid?: number): string {
  try {
    const lines = readFileSync(`${dataDir}/postmaster.pid`, 'utf8').split('\n')
    return pid === undefined || Number(lines[0]) === pid ? (lines[7]?.trim() ?? '') : ''
  } catch {
    return ''
  }
}

/** A killed postmaster whose parent died first stays a zombie: its lock file names a process that answers `kill -0` and runs nothing. */
function removeStaleLock(dataDir: string): void {
  const file = `${dataDir}/postmaster.pid`
  if (!existsSync(file)) return
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
  const alive = existsSync(`/proc/${pid}/stat`) && !/^\d+ \(.*\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  if (!alive || !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dataDir)) rmSync(file, { force: true })
}

/** Runs a program to its end; a non-zero exit is a Fault with the end of its stderr. */
export function runToEnd(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
    let out = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')))
    child.on('error', (cause) => reject(new Fault('BACKEND_UNAVAILABLE', `${command} could not run`, { cause })))
    child.on('exit', (code) =>
      code === 0
        ? resolve(out)
        : reject(
            new Fault(
              'BACKEND_UNAVAILABLE',
              `${args.find((arg) => arg.startsWith('/')) ?? command} failed: ${errors.slice(-600)}`,
            ),
          ),
    )
  })
}
