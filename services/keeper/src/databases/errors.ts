// What a PostgreSQL error means to the caller. The server's text stays here: it quotes rows and names that are not the caller's.
import { Fault } from '@bailiwick/kernel/result'
import { Refusal } from '../refusal.ts'

type ServerError = { code?: string; constraint?: string; column?: string; table?: string }

/** A name made through a handed-out password may hold anything; only plain ones are repeated. */
const plain = (name: string | undefined): string => (name && /^[A-Za-z0-9_]{1,63}$/.test(name) ? ` (${name})` : '')

export const sqlState = (error: unknown): string => (error as ServerError).code ?? ''

/** Refusal for what the caller can mend; a Fault for a backend that failed; anything else as it came. */
export function asRefusal(error: unknown): Error {
  if (error instanceof Refusal || error instanceof Fault) return error
  const { constraint, column, table } = error as ServerError
  const state = sqlState(error)
  if (!/^[0-9A-Z]{5}$/.test(state))
    return new Fault('BACKEND_UNAVAILABLE', 'the account cluster broke off', { cause: error })
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
  if (/^(08|53|57|58|XX)/.test(state)) return new Fault('BACKEND_UNAVAILABLE', `server said ${state}`, { cause: error })
  return new Fault('INTERNAL', `server said ${state}`, { cause: error })
}
