// One read query of an agent's own wording, as the reader role: a role that can write nothing, in a read-only transaction, behind a
// cursor declaration that admits exactly one SELECT, within limits of time, rows and bytes.
import { Fault } from '@bailiwick/kernel/result'
import { Refusal, type JsonRow } from '../refusal.ts'
import type { Sql } from './connections.ts'
import { hasEnded, sqlState } from './errors.ts'
import { SUPERUSER } from './names.ts'
import { requirePlace, type Hands } from './step.ts'

/** One field may hold a gigabyte; what is read into memory stays below this. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024
/** The server's own timeout comes first; this ends a session that evades it. */
const GRACE_MS = 2_000

type Json = JsonRow[string]
/** The extended protocol; the client's types do not name this option. */
const ONE_STATEMENT = { queryMode: 'extended' }

export async function runReadQuery(
  hands: Hands,
  input: { account_id: string; database_id: string; sql: string; timeout_ms: number; row_cap: number },
): Promise<{ columns: string[]; rows: Json[][]; truncated: boolean }> {
  const place = await requirePlace(hands, input.account_id, input.database_id)
  const { names, connections } = place
  if (input.sql.includes('\0')) throw new Refusal('QUERY_REFUSED', 'the query holds a zero byte')
  let received = 0
  let session: { pid: number; ended: boolean } | null = null
  const end = (): void => {
    if (!session || session.ended) return
    session.ended = true
    const { pid } = session
    connections
      .use('postgres', SUPERUSER, (sql) => sql.query('SELECT pg_terminate_backend($1)', [pid]))
      .catch((error: unknown) => hands.logger.error('query_not_ended', {}, error))
  }
  // A session of its own: nothing that the query leaves behind in it meets another caller.
  return connections.once(
    names.database,
    names.reader,
    async (sql) => {
      const { rows } = await sql.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
      session = { pid: rows[0]!.pid, ended: false }
      const timer = setTimeout(end, input.timeout_ms + GRACE_MS)
      try {
        return await select(sql, input)
      } catch (error) {
        throw session.ended
          ? new Refusal('QUERY_REFUSED', 'the query took too long or answered too much')
          : asQueryError(error)
      } finally {
        clearTimeout(timer)
      }
    },
    (sizeBytes) => {
      received += sizeBytes
      if (received > MAX_ANSWER_BYTES) end()
    },
  )
}

async function select(
  sql: Sql,
  { sql: text, timeout_ms, row_cap }: { sql: string; timeout_ms: number; row_cap: number },
): Promise<{ columns: string[]; rows: Json[][]; truncated: boolean }> {
  await sql.query(
    `BEGIN READ ONLY; SET LOCAL search_path = public; SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = ${Math.max(1, timeout_ms)}`,
  )
  // The extended protocol takes one statement, and DECLARE CURSOR takes only SELECT or VALUES without data-modifying WITH: no
  // SET, COPY, DO, CALL or second statement can be written after it.
  await sql.query<never[]>({ text: `DECLARE answer NO SCROLL CURSOR FOR ${text}`, rowMode: 'array', ...ONE_STATEMENT })
  const fetched = await sql.query<Json[]>({ text: `FETCH FORWARD ${row_cap + 1} FROM answer`, rowMode: 'array' })
  const rows = fetched.rows.slice(0, row_cap)
  return { columns: fetched.fields.map(({ name }) => name), rows, truncated: fetched.rows.length > row_cap }
}

/** The query is the caller's own, so its mistakes are told; the server's text stays here all the same. */
function asQueryError(error: unknown): Error {
  if (error instanceof Refusal || error instanceof Fault) return error
  const state = sqlState(error)
  if (hasEnded(error)) return new Fault('BACKEND_UNAVAILABLE', `server said ${state}`, { cause: error })
  switch (state) {
    case '57014':
      return new Refusal('QUERY_REFUSED', 'the query took longer than its time limit')
    case '42601':
      return new Refusal('QUERY_REFUSED', 'not a single SELECT statement, or a syntax error')
    case '42P11':
    case '0A000':
      return new Refusal('QUERY_REFUSED', 'only a SELECT without changes is run')
    case '42501':
      return new Refusal('QUERY_REFUSED', 'the query reads or calls what the read-only role may not')
    case '25006':
      return new Refusal('QUERY_REFUSED', 'the query would change something')
    case '42P01':
      return new Refusal('QUERY_REFUSED', 'the query names a table that does not exist')
    case '42703':
      return new Refusal('QUERY_REFUSED', 'the query names a column that does not exist')
    default:
  }
  return new Refusal('QUERY_REFUSED', `the server refused the query (SQLSTATE ${state})`)
}
