// Policy's connection to PostgreSQL: the truth. Account-owned rows are visible only inside `inAccount`, by row-level security.
import { Pool } from 'pg'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'

export type Row = Readonly<Record<string, unknown>>
/** Runs one statement and returns its rows. */
export type Query = <R extends object = Row>(sql: string, values?: readonly unknown[]) => Promise<R[]>

export type Database = {
  /** Outside any account: tables that no account owns, and the resolver functions. */
  query: Query
  /** One transaction as `account`. An `Abort` thrown inside rolls back and comes out as it is. */
  inAccount<T>(account: string, work: (query: Query) => Promise<T>): Promise<T>
  /** One transaction that may look at several accounts, one at a time: the operator's lists. */
  acrossAccounts<T>(work: (query: Query, enter: (account: string) => Promise<void>) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export function connectDatabase(options: { url: string; logger: Logger; maxConnections?: number }): Database {
  const pool = new Pool({
    connectionString: options.url,
    max: options.maxConnections ?? 10,
    connectionTimeoutMillis: 2000,
    statement_timeout: 5000,
    idle_in_transaction_session_timeout: 10_000,
  })
  // An idle connection that dies with its server is replaced at the next query; unheard, the event would end the process.
  pool.on('error', (error) => options.logger.warn('database_connection_lost', { reason: error.message }))

  const transaction = async <T>(work: (query: Query) => Promise<T>): Promise<T> => {
    const client = await pool.connect().catch(asFault)
    // A connection that dies between two of our statements says so here too; the next statement fails in any case.
    const lost = (error: Error): void => options.logger.warn('database_connection_lost', { reason: error.message })
    client.on('error', lost)
    const release = (broken?: Error): void => {
      client.off('error', lost)
      client.release(broken)
    }
    const query: Query = async (sql, values) => (await client.query(sql, values as unknown[]).catch(asFault)).rows
    try {
      await query('BEGIN')
      const value = await work(query)
      await query('COMMIT')
      release()
      return value
    } catch (error) {
      // A connection on which even the rollback fails is thrown away, with whatever state it has.
      await client.query('ROLLBACK').then(
        () => release(),
        (broken: Error) => release(broken),
      )
      throw error
    }
  }
  const enter = async (query: Query, account: string): Promise<void> => {
    await query(`SELECT set_config('bailiwick.account', $1, true)`, [account])
  }
  return {
    query: async (sql, values) => (await pool.query(sql, values as unknown[]).catch(asFault)).rows,
    inAccount: (account, work) =>
      transaction(async (query) => {
        await enter(query, account)
        return work(query)
      }),
    acrossAccounts: (work) => transaction((query) => work(query, (account) => enter(query, account))),
    close: () => pool.end(),
  }
}

/** Connection trouble is POLICY_UNAVAILABLE: the caller may come back. Anything else is a bug of ours. */
function asFault(error: unknown): never {
  const sqlState = (error as { code?: unknown }).code
  const isOurs = typeof sqlState === 'string' && /^[0-9A-Z]{5}$/.test(sqlState) && !/^(08|53|57)/.test(sqlState)
  throw new Fault(isOurs ? 'INTERNAL' : 'POLICY_UNAVAILABLE', `database: ${String(error)}`, { cause: error })
}
