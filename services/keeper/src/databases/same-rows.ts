// Whether two dumps hold the same rows of `public`: per table their number, their order and every byte.
import { spawn } from 'node:child_process'
import { createHash, type Hash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { findPostgresBin } from '@bailiwick/kernel/postgres-cluster'
import { Fault } from '@bailiwick/kernel/result'

/** `COPY` header, which names table and columns, to a hash of its rows. */
async function hashTables(dump: string): Promise<Map<string, string>> {
  const args = ['--data-only', '--schema=public', '-f', '-', dump]
  const child = spawn(`${findPostgresBin()}/pg_restore`, args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'] },
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const tables = new Map<string, string>()
  let table: { header: string; hash: Hash } | null = null
  for await (const line of createInterface({ input: child.stdout.setEncoding('latin1'), crlfDelay: Infinity })) {
    if (table && line === '\\.') {
      tables.set(table.header, table.hash.digest('hex'))
      table = null
    } else if (table) table.hash.update(`${line}\n`, 'latin1')
    else if (/^COPY public\..* FROM stdin;$/.test(line)) table = { header: line, hash: createHash('sha256') }
  }
  if ((await ended) !== 0) throw new Fault('BACKEND_UNAVAILABLE', 'a dump could not be read back')
  return tables
}

export async function haveSameRows(one: string, other: string): Promise<boolean> {
  const [these, those] = [await hashTables(one), await hashTables(other)]
  return these.size === those.size && [...these].every(([header, hash]) => those.get(header) === hash)
}
