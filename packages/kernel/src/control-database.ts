// Prepares the control database: roles, one schema per service, migrations. Idempotent; run by the superuser at each start.
import { existsSync, readFileSync } from 'node:fs'
import pg from 'pg'
import { migrate } from './migrate.ts'

const SCHEMAS = ['policy', 'steward', 'audit'] as const

/**
 * `url` is the superuser's, to the control database itself. `passwords` maps a service role to its password.
 * `root` is the checkout (for postgres/roles.sql and services/<name>/sql).
 */
export async function prepareControlDatabase(options: {
  url: string
  root: string
  passwords: Readonly<Record<string, string>>
}): Promise<void> {
  const client = new pg.Client({ connectionString: options.url })
  await client.connect()
  try {
    const { rowCount } = await client.query(`SELECT 1 FROM pg_roles WHERE rolname = 'bailiwick_owner'`)
    if (rowCount === 0) await client.query(readFileSync(`${options.root}/postgres/roles.sql`, 'utf8'))
    for (const [role, password] of Object.entries(options.passwords)) {
      await client.query(`ALTER ROLE ${client.escapeIdentifier(role)} PASSWORD ${client.escapeLiteral(password)}`)
    }
    await client.query('REVOKE ALL ON SCHEMA public FROM PUBLIC')
    await client.query(
      `DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()); EXECUTE format('GRANT CREATE ON DATABASE %I TO bailiwick_owner', current_database()); EXECUTE format('GRANT CONNECT ON DATABASE %I TO policy, steward, audit, anomaly', current_database()); END $$`,
    )
    await client.query('GRANT CREATE, USAGE ON SCHEMA public TO bailiwick_owner')
    await client.query('SET ROLE bailiwick_owner')
    for (const schema of SCHEMAS) {
      await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`)
      const folder = `${options.root}/services/${schema}/sql`
      if (existsSync(folder)) await migrate(client, schema, folder)
    }
  } finally {
    await client.end()
  }
}
