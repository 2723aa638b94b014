// The way to the control database: one statement, or a transaction that is one account's. Unreachable: Fault BACKEND_UNAVAILABLE.
import { Pool } from 'pg'
import { withPassword } from '@bailiwick/kernel/config'
import { Fault } from '@bailiwick/kernel/result'

export type Query = <R extends object>(text: string, values: readonly unknown[]) => Promise<R[]>

export type Database = {
  /** For functions that take the account as an argument, and for the resolver's; nothing else sees a row here. */
  readonly query: Query
  /** One transaction in which only `account`'s rows exist. Durable when it resolves. */
  asAccount<T>(account: string, work: (query: Query) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** A refusal by SQL (a constraint, a bug) keeps its SQLSTATE; a lost or absent server is an unavailable backend. */
const toFault = (error: unknown): unknown => {
  const state = (error as { code?: string }).code ?? ''
  if (/^[0-9A-Z]{5}$/.test(state) && !/^(08|53|57)/.test(state)) return error
  return new Fault('BACKEND_UNAVAILABLE', 'the control database does not answer', { cause: error })
}

export function openDatabase(options: {
  url: string
  password?: string
  maxConnections?: number
  onIdleError?: (error: Error) => void
}): Database {
  const pool = new Pool({
    connectionString: options.password === undefined ? options.url : withPassword(options.url, options.password),
    max: options.maxConnections ?? 16,
    connectionTimeoutMillis: 3000,
    application_name: 'steward',
  })
  // An idle connection that breaks must not end the process; the next query opens another.
  pool.on('error', options.onIdleError ?? (() => undefined))
  return {
    async query<R extends object>(text: string, values: readonly unknown[]) {
      try {
        return (await pool.query<R>(text, [...values])).rows
      } catch (error) {
        throw toFault(error)
      }
    },
    async asAccount(account, work) {
      const client = await pool.connect().catch((error: unknown) => {
        throw toFault(error)
      })
      let broken = true
      const query: Query = async <R extends object>(text: string, values: readonly unknown[]) => {
        try {
          return (await client.query<R>(text, [...values])).rows
        } catch (error) {
          throw toFault(error)
        }
      }
      try {
        await query('BEGIN', [])
        await query(`SELECT set_config('bailiwick.account', $1, true)`, [account])
        const result = await work(query)
        await query('COMMIT', [])
        broken = false
        return result
      } catch (error) {
        await query('ROLLBACK', []).then(
          () => (broken = false),
          () => undefined,
        )
        throw error
      } finally {
        client.release(broken)
      }
    },
    close: () => pool.end(),
  }
}
