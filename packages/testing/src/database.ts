// A database of its own per test file, copied from the migrated template, and a Valkey database number of its own.
import { randomBytes } from 'node:crypto'
import pg from 'pg'

/** Connection strings to a fresh copy of the control database: `as('policy')` logs in with that service's role, `superuser` with all rights. */
export async function freshDatabase(): Promise<{
  name: string
  superuser: string
  as(role: 'policy' | 'steward' | 'audit' | 'anomaly'): string
  drop(): Promise<void>
}> {
  const admin = process.env['TEST_POSTGRES_URL']!
  const name = `test_${randomBytes(6).toString('hex')}`
  const run = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: `${admin}/postgres` })
    await client.connect()
    // Copies of one template wait for each other, and fail when anybody is connected to it.
    await client.query('SELECT pg_advisory_lock(7)')
    await client.query(sql)
    await client.end()
  }
  await run(`CREATE DATABASE ${name} TEMPLATE bailiwick_template`)
  await run(`GRANT CONNECT ON DATABASE ${name} TO policy, steward, audit, anomaly`)
  const { host } = new URL(admin)
  return {
    name,
    superuser: `${admin}/${name}`,
    as: (role) => `postgres://${role}:test@${host}/${name}`,
    drop: () => run(`DROP DATABASE ${name} WITH (FORCE)`),
  }
}

/** A Valkey URL with a key prefix of its own for the caller to use. */
export const freshValkey = (): { url: string; prefix: string } => ({
  url: process.env['TEST_VALKEY_URL']!,
  prefix: `test_${randomBytes(6).toString('hex')}:`,
})
