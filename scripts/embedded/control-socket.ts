// The supervisor's own door: a unix socket in a folder of root's. It answers what the stack looks like; it takes no orders.
import { rmSync } from 'node:fs'
import http from 'node:http'
import type { PartStatus } from './child.ts'
import { readJson } from './files.ts'
import { inState, type Layout } from './layout.ts'
import { isAlive, type ProcessName } from './processes.ts'

export type StackStatus = {
  readonly phase: 'preparing' | 'starting' | 'ready' | 'stopping'
  /** What has been done so far, for whoever waits. */
  readonly progress: readonly string[]
  readonly pid: number
  readonly started_at: number
  readonly state: string
  readonly port_base: number
  readonly endpoint: string
  readonly ca_file: string
  readonly parts: readonly PartStatus[]
}

export type SupervisorRecord = ProcessName & { readonly port_base: number; readonly mount: string | null }

export async function serveStatus(socket: string, status: () => StackStatus): Promise<http.Server> {
  // The caller holds the supervisor's record: a socket that is still here is a dead one's.
  rmSync(socket, { force: true })
  const server = http.createServer((_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(status()))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socket, resolve)
  })
  server.unref()
  return server
}

/** Null when nobody answers. */
export function askStatus(state: string): Promise<StackStatus | null> {
  return new Promise((resolve) => {
    const request = http.get({ socketPath: inState.supervisorSocket(state), path: '/', timeout: 10_000, agent: false })
    request.on('error', () => resolve(null))
    request.on('timeout', () => request.destroy())
    request.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('error', () => resolve(null))
      response.on('end', () => resolve(JSON.parse(text) as StackStatus))
    })
  })
}

/** The supervisor that runs on this state folder, or null. Its record alone proves nothing: the process must be that one. */
export function runningSupervisor(layout: Pick<Layout, 'state'>): SupervisorRecord | null {
  const record = readJson(inState.supervisorRecord(layout.state)) as SupervisorRecord | null
  return record && isAlive(record) ? record : null
}
