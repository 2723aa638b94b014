// One PostgreSQL cluster per account, each a child of the keeper: made, started, restarted when it dies, stopped.
// Trusted with nothing of another account: each has its own files, port, superuser password and archive.
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Logger } from '@bailiwick/kernel/logger'
import {
  findPostgresBin,
  initCluster,
  runToEnd,
  startCluster,
  stopCluster,
  type RunAs,
} from '@bailiwick/kernel/postgres-cluster'
import { Fault } from '@bailiwick/kernel/result'
import type { SecretStore } from '@bailiwick/kernel/secrets'
import type { ArchiveSettings } from './archive-wal.ts'
import {
  archiveSettings,
  CLUSTER_SETTINGS,
  prepareCluster,
  shellWord,
  writeHba,
  writePrivate,
} from './cluster-settings.ts'
import { openConnections, type Connections } from './databases/connections.ts'
import { SUPERUSER } from './databases/names.ts'
import { createLimit } from './limit.ts'

export type Cluster = {
  readonly accountId: string
  readonly folder: string
  readonly dataDir: string
  readonly host: string
  readonly port: number
  /** PostgreSQL's own identity of this cluster; part of the names of what it archives. */
  readonly systemId: string
  /** Sessions; waits a little for a cluster that is just starting. */
  connections(): Promise<Connections>
  /** A role's password; derived, except the superuser's and the handed-out ones. */
  passwordOf(role: string): Promise<string>
}

export type Clusters = {
  /** The account's cluster, or null where it never had one. */
  find(accountId: string): Cluster | null
  /** Makes the account's cluster first where there is none. */
  ensure(accountId: string): Promise<Cluster>
  all(): Cluster[]
  /** Ends after every cluster has shut down cleanly. */
  close(): Promise<void>
}

export type ClusterSettings = {
  stateDir: string
  secrets: SecretStore
  ports: { first: number; last: number }
  /** Where clients reach the clusters; only loopback is listened on. */
  host: string
  /** The user that runs the clusters; null: the keeper's own. */
  runAs: RunAs | null
  vault: { url: string; key: Buffer }
  logger: Logger
  onReady?: (cluster: Cluster) => void
}

type Saved = { port: number; system_id: string }
type Running = Cluster & { start(): void; stop(): Promise<void> }

const ARCHIVER = fileURLToPath(new URL('archive-wal.ts', import.meta.url))
const READY_WITHIN_MS = 10_000
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 30_000
const SETTLED_MS = 60_000
const STARTS_AT_ONCE = 3

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })

export async function openClusters(settings: ClusterSettings): Promise<Clusters> {
  const { secrets, runAs, logger } = settings
  const root = `${settings.stateDir}/clusters`
  mkdirSync(root, { recursive: true, mode: 0o711 })
  const running = new Map<string, Running>()
  const making = new Map<string, Promise<Running>>()
  const starts = createLimit(STARTS_AT_ONCE)
  if (!(await secrets.has('cluster_roles'))) await secrets.put('cluster_roles', randomBytes(32).toString('hex'))

  const passwordOf = async (accountId: string, role: string): Promise<string> =>
    role === SUPERUSER
      ? secrets.get(`cluster:${accountId}`)
      : (await secrets.mac('cluster_roles', Buffer.from(`${accountId} ${role}`))).toString('hex')

  const superviseFrom = (accountId: string, folder: string): Running => {
    const saved = JSON.parse(readFileSync(`${folder}/cluster.json`, 'utf8')) as Saved
    const cluster = supervise({
      settings,
      accountId,
      folder,
      saved,
      starts,
      passwordOf: (role) => passwordOf(accountId, role),
    })
    running.set(accountId, cluster)
    cluster.start()
    return cluster
  }

  const choosePort = async (): Promise<number> => {
    const taken = new Set([...running.values()].map(({ port }) => port))
    for (let port = settings.ports.first; port <= settings.ports.last; port += 1)
      if (!taken.has(port) && (await isFree(port))) return port
    throw new Fault('BACKEND_UNAVAILABLE', 'BAILIWICK_CLUSTER_PORTS has no free port left')
  }

  const make = async (accountId: string): Promise<Running> => {
    const folder = `${root}/${accountId}`
    const draft = `${root}/.new-${accountId}`
    // What an earlier attempt left half made was never in use: no name but this one ever pointed at it.
    rmSync(draft, { recursive: true, force: true })
    mkdirSync(draft, { mode: 0o700 })
    if (runAs) chownSync(draft, runAs.uid, runAs.gid)
    const password = randomBytes(32).toString('hex')
    await secrets.put(`cluster:${accountId}`, password)
    const dataDir = `${draft}/data`
    await initCluster({ dataDir, superuser: SUPERUSER, password, user: runAs, walSegmentMb: 1 })
    const control = await runToEnd(`${findPostgresBin()}/pg_controldata`, ['-D', dataDir], { LC_ALL: 'C' })
    const systemId = /^Database system identifier:\s+(\d+)$/m.exec(control)?.[1]
    if (!systemId) throw new Fault('BACKEND_UNAVAILABLE', 'a new cluster has no system identifier')
    const saved: Saved = { port: await choosePort(), system_id: systemId }
    writeFileSync(`${draft}/cluster.json`, JSON.stringify(saved), { mode: 0o600 })
    renameSync(draft, folder)
    logger.info('cluster_made', { account_id: accountId, port: saved.port })
    return superviseFrom(accountId, folder)
  }

  for (const name of readdirSync(root)) {
    if (existsSync(`${root}/${name}/cluster.json`) && !name.startsWith('.')) superviseFrom(name, `${root}/${name}`)
  }

  let last: Promise<unknown> = Promise.resolve()
  return {
    find: (accountId) => running.get(accountId) ?? null,
    ensure: async (accountId) => {
      const found = running.get(accountId)
      if (found) return found
      // One after the other, so that no two choose the same port.
      const mine =
        making.get(accountId) ??
        last
          .then(
            () => make(accountId),
            () => make(accountId),
          )
          .finally(() => making.delete(accountId))
      making.set(accountId, mine)
      last = mine
      return mine
    },
    all: () => [...running.values()],
    close: async () => {
      await Promise.allSettled(making.values())
      await Promise.all([...running.values()].map((cluster) => cluster.stop()))
    },
  }
}

/** Keeps one cluster running until `stop`. */
function supervise(options: {
  settings: ClusterSettings
  accountId: string
  folder: string
  saved: Saved
  starts: <T>(work: () => Promise<T>) => Promise<T>
  passwordOf: (role: string) => Promise<string>
}): Running {
  const { settings, accountId, folder, saved, starts, passwordOf } = options
  const { logger, runAs } = settings
  const dataDir = `${folder}/data`
  const connections = openConnections({ port: saved.port, passwordOf, logger })
  let child: ChildProcess | null = null
  let stopping = false
  let pauseMs = FIRST_PAUSE_MS
  let timer: NodeJS.Timeout | undefined
  let ready = Promise.withResolvers<void>()
  let isReady = false
  let starting: Promise<void> = Promise.resolve()

  const archive: ArchiveSettings = {
    vault_url: settings.vault.url,
    key: settings.vault.key.toString('hex'),
    account_id: accountId,
    system_id: saved.system_id,
  }

  const startOnce = async (): Promise<void> => {
    if (stopping) return
    try {
      writeHba(dataDir, runAs)
      // Beside the data folder, not in it: a base backup must not carry the key.
      writePrivate(`${folder}/archive.json`, JSON.stringify(archive), runAs)
      const command = [process.execPath, ARCHIVER, `${folder}/archive.json`].map(shellWord).join(' ')
      const started = await startCluster({
        dataDir,
        port: saved.port,
        user: runAs,
        settings: [...CLUSTER_SETTINGS, ...archiveSettings(`${command} %p %f`)],
      })
      child = started
      const since = Date.now()
      started.once('exit', () => {
        if (stopping) return
        // Who already waits keeps waiting on the same promise, for the next start.
        if (isReady) ready = Promise.withResolvers()
        isReady = false
        if (Date.now() - since > SETTLED_MS) pauseMs = FIRST_PAUSE_MS
        logger.warn('cluster_died', { account_id: accountId, restart_in_ms: pauseMs })
        again()
      })
      await prepareCluster(connections, passwordOf)
      isReady = true
      ready.resolve()
      settings.onReady?.(cluster)
    } catch (error) {
      logger.error('cluster_not_started', { account_id: accountId, retry_in_ms: pauseMs }, error)
      if (child?.exitCode === null && child.signalCode === null) child.kill('SIGQUIT')
      else again()
    }
  }
  const start = (): void => {
    starting = starts(startOnce)
  }
  const again = (): void => {
    if (stopping) return
    timer = setTimeout(start, pauseMs)
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }

  const cluster: Running = {
    accountId,
    folder,
    dataDir,
    host: settings.host,
    port: saved.port,
    systemId: saved.system_id,
    passwordOf,
    connections: async () => {
      let late: NodeJS.Timeout | undefined
      const timeout = new Promise<never>((_resolve, reject) => {
        late = setTimeout(
          () => reject(new Fault('BACKEND_UNAVAILABLE', 'the account cluster is not ready')),
          READY_WITHIN_MS,
        )
      })
      try {
        await Promise.race([ready.promise, timeout])
      } finally {
        clearTimeout(late)
      }
      return connections
    },
    start,
    stop: async () => {
      stopping = true
      clearTimeout(timer)
      await starting
      await connections.close()
      if (child) await stopCluster(child)
    },
  }
  return cluster
}
