// What a PostgreSQL error means to the caller. The server's text stays here: it quotes rows and names that are not the caller's.
import { Fault } from '@bailiwick/kernel/result'
import { Refusal } from '../refusal.ts'
import type { Sql } from './connections.ts'

type ServerError = { code?: string; severity?: string; constraint?: string; column?: string; table?: string }

/** A name made through a handed-out password may hold anything; only plain ones are repeated. */
const plain = (name: string | undefined): string => (name && /^[A-Za-z0-9_]{1,63}$/.test(name) ? ` (${name})` : '')

export const sqlState = (error: unknown): string => (error as ServerError).code ?? ''

/**
 * Whether the server ended the session. Not the SQLSTATE tells: code in the database raises whichever it likes, and an outage
 * is retried, with locks held, for as long as it lasts. The severity does: only the server itself says FATAL or PANIC.
 */
export const hasEnded = (error: unknown): boolean =>
  !/^[0-9A-Z]{5}$/.test(sqlState(error)) || (error as ServerError).severity !== 'ERROR'

/** Ends the transaction that `error` broke. A session that cannot do even that is gone, whatever the error said. */
export async function rollBack(sql: Sql, error: unknown): Promise<Error> {
  try {
    await sql.query('ROLLBACK')
  } catch (cause) {
    return new Fault('BACKEND_UNAVAILABLE', 'the account cluster broke off', { cause })
  }
  return asRefusal(error)
}

/** A Refusal for what the server refused in a living session; a Fault for a backend that failed. */
export function asRefusal(error: unknown): Error {
  if (error instanceof Refusal || error instanceof Fault) return error
  const { constraint, column, table } = error as ServerError
  const state = sqlState(error)
  if (hasEnded(error))
    return new Fault('BACKEND_UNAVAILABLE', `the account cluster broke off ${state}`, { cause: error })
  switch (state) {
    case '23505':
      return new Refusal('CONFLICT', `a row with the same unique value exists${plain(constraint)}`)
    case '23503':
      return new Refusal('CONFLICT', `a reference to another row does not hold${plain(constraint)}`)
    case '23502':
      return new Refusal('INPUT_INVALID', `a column that must have a value has none${plain(column)}`)
    case '23514':
    case '23P01':
      return new Refusal('CONFLICT', `a constraint of the table does not hold${plain(constraint)}`)
    case '42703':
      return new Refusal('INPUT_INVALID', 'there is no such column')
    case '428C9':
      return new Refusal('INPUT_INVALID', 'the value of a generated column cannot be given')
    case '42P01':
    case '3F000':
      return new Refusal('NOT_FOUND', 'there is no such table')
    case '42P07':
      return new Refusal('CONFLICT', 'something of that name exists')
    case '42501':
      return new Refusal('CONFLICT', `the database's own rules do not allow this${plain(table)}`)
    case '25006':
      return new Refusal('CONFLICT', 'code of the database’s own would change something while this reads')
    case 'P0001':
      return new Refusal('CONFLICT', "a trigger of the database's own refused this")
    case '40001':
    case '40P01':
    case '55P03':
    case '55006':
      return new Refusal('RESOURCE_BUSY', 'another session holds what this needs; try again')
    case '57014':
      return new Refusal('RESOURCE_BUSY', 'this took too long and was stopped')
    default:
  }
  if (state.startsWith('22')) return new Refusal('INPUT_INVALID', 'a value does not fit the type of its column')
  // Whatever else, also what looks like a full disk or a bug: nothing was changed, and a repeat is the caller's to decide.
  return new Refusal('CONFLICT', `the database refused this (SQLSTATE ${state})`)
}
