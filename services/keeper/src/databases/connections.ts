// Connections to one account's cluster: small pools per database and role, emptied of all session state after each use,
// because code inside a database could leave traps there for the next caller.
import { Client, Pool, type ClientBase, type ClientConfig } from 'pg'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import { Refusal } from '../refusal.ts'
import { SUPERUSER } from './names.ts'
import { SESSION_OPTIONS, typesAsJson } from './values.ts'

export type Sql = ClientBase

export type Connections = {
  /** A pooled session of `role` in `database`. No such database, or one that takes no connections: Refusal NOT_FOUND. */
  use<T>(database: string, role: string, work: (sql: Sql) => Promise<T>): Promise<T>
  /** A session of its own that ends with `work`; `onBytes` sees how much the server sent. */
  once<T>(
    database: string,
    role: string,
    work: (sql: Sql) => Promise<T>,
    onBytes?: (sizeBytes: number) => void,
  ): Promise<T>
  close(): Promise<void>
}

const NO_DATABASE = '3D000'
const NOT_ACCEPTING = '55000'
const NO_CONNECT = '42501'

function asConnectError(error: unknown): Error {
  const code = (error as { code?: string }).code
  if (code === NO_DATABASE || code === NOT_ACCEPTING || code === NO_CONNECT)
    return new Refusal('NOT_FOUND', 'there is no such database')
  return new Fault('BACKEND_UNAVAILABLE', 'the account cluster does not answer', { cause: error })
}

export function openConnections(options: {
  port: number
  passwordOf: (role: string) => Promise<string>
  logger: Logger
}): Connections {
  const pools = new Map<string, Pool>()
  const settings = (database: string, user: string): ClientConfig => ({
    host: '127.0.0.1',
    port: options.port,
    database,
    user,
    password: () => options.passwordOf(user),
    options: SESSION_OPTIONS,
    types: typesAsJson,
    connectionTimeoutMillis: 10_000,
  })
  const poolOf = (database: string, role: string): Pool => {
    const key = `${database} ${role}`
    let pool = pools.get(key)
    if (!pool) {
      pool = new Pool({ ...settings(database, role), max: 3, idleTimeoutMillis: 5_000, allowExitOnIdle: true })
      // An idle session that the server ended (quarantine, restart) is replaced at the next use.
      pool.on('error', (error) => options.logger.info('session_ended', { code: (error as { code?: string }).code }))
      pools.set(key, pool)
    }
    return pool
  }
  return {
    use: async (database, role, work) => {
      const client = await poolOf(database, role)
        .connect()
        .catch((error: unknown) => {
          throw asConnectError(error)
        })
      let clean = false
      // The pool listens only to idle sessions; one that the server ends in mid use would otherwise end the process.
      const ignore = (): void => undefined
      client.on('error', ignore)
      try {
        const result = await work(client)
        if (role !== SUPERUSER) await client.query('DISCARD ALL')
        clean = true
        return result
      } finally {
        client.off('error', ignore)
        client.release(!clean)
      }
    },
    once: async (database, role, work, onBytes) => {
      const client = new Client(settings(database, role))
      client.on('error', () => undefined)
      await client.connect().catch((error: unknown) => {
        throw asConnectError(error)
      })
      const stream = (client as unknown as { connection: { stream: NodeJS.ReadableStream } }).connection.stream
      if (onBytes) stream.on('data', (chunk: Buffer | string) => onBytes(chunk.length))
      try {
        return await work(client)
      } finally {
        await client.end().catch(() => undefined)
      }
    },
    close: async () => {
      const open = [...pools.values()]
      pools.clear()
      await Promise.allSettled(open.map((pool) => pool.end()))
    },
  }
}
