// What must be so before anything is started; each failure is one sentence that says how to mend it.
import { createSocket } from 'node:dgram'
import { existsSync, statfsSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { MAX_SOCKET_PATH, inState, type Layout, type Ports } from './layout.ts'
import { PlainError } from './plain-error.ts'
import { portHolder } from './processes.ts'

const MIN_FREE_BYTES = 1024 ** 3

export function requireRoot(command: string): void {
  if (process.getuid!() !== 0)
    throw new PlainError(
      `"${command}" needs root, because each service runs under a user of its own: sudo ./bailiwick ${command}`,
    )
}

export function requireShortPath({ state }: Layout): void {
  const sockets = [
    inState.adminSocket(state),
    inState.supervisorSocket(state),
    `${inState.powerdnsFolder(state)}/pdns.controlsocket`,
  ]
  const longest = Math.max(...sockets.map((path) => Buffer.byteLength(path)))
  if (longest > MAX_SOCKET_PATH)
    throw new PlainError(
      `the path ${state} is ${longest - MAX_SOCKET_PATH} characters too long for the sockets in it: set BAILIWICK_STATE to a shorter one, such as /var/lib/bailiwick`,
    )
}

export function requireDisk(state: string, freeBytes = freeBytesAt(state)): void {
  if (freeBytes < MIN_FREE_BYTES)
    throw new PlainError(
      `only ${Math.floor(freeBytes / 1024 ** 2)} MB are free on the disk of ${state}; at least 1024 MB are needed: free some, or set BAILIWICK_STATE to a folder on another disk`,
    )
}

function freeBytesAt(path: string): number {
  let folder = path
  while (!existsSync(folder)) folder = dirname(folder)
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

const WHOSE: Readonly<Partial<Record<keyof Ports, string>>> = {
  https: 'the agents’ endpoint',
  http: 'the redirect to https',
  keeperPurge: 'keeper',
  vaultExpiry: 'vault',
  dns: 'PowerDNS',
  powerdns: 'PowerDNS’ API',
}

export async function requireFreePorts({ ports, portBase }: Layout): Promise<void> {
  for (const [name, port] of Object.entries(ports) as [keyof Ports, number][]) {
    if (name === 'firstCluster' || name === 'lastCluster') continue
    if ((await isFree(port)) && (name !== 'dns' || (await isFreeForDatagrams(port)))) continue
    const holder = portHolder(port)
    throw new PlainError(
      `port ${port} (${WHOSE[name] ?? name}) is taken${holder ? ` by ${holder}` : ''}: end that, or choose other ports: BAILIWICK_PORT_BASE=${portBase + 1000 > 64936 ? 20000 : portBase + 1000} ./bailiwick up`,
    )
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

function isFreeForDatagrams(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', () => resolve(false))
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)))
  })
}
