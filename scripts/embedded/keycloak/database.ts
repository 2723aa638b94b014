// Keycloak's own database in the control cluster: its role owns it and can enter no other; nobody else can enter it.
import { Client } from 'pg'

/** `server` is the superuser's URL without a database. Idempotent; run at each start, before Keycloak. */
export async function ensureKeycloakDatabase(server: string, password: string): Promise<void> {
  const client = new Client({ connectionString: `${server}/postgres` })
  await client.connect()
  try {
    const role = await client.query(`SELECT 1 FROM pg_roles WHERE rolname = 'keycloak'`)
    if (role.rowCount === 0) await client.query('CREATE ROLE keycloak LOGIN')
    await client.query(`ALTER ROLE keycloak PASSWORD ${client.escapeLiteral(password)}`)
    const database = await client.query(`SELECT 1 FROM pg_database WHERE datname = 'keycloak'`)
    if (database.rowCount === 0) await client.query('CREATE DATABASE keycloak OWNER keycloak')
    await client.query('REVOKE ALL ON DATABASE keycloak FROM PUBLIC')
    // PostgreSQL opens these two to every role; they hold nothing, and what nobody needs nobody has.
    await client.query('REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC')
  } finally {
    await client.end()
  }
}

/** The realms that Keycloak has in its database: none before its first start. */
export async function readRealms(server: string): Promise<string[]> {
  const client = new Client({ connectionString: `${server}/keycloak` })
  await client.connect()
  try {
    const table = await client.query<{ found: boolean }>(`SELECT to_regclass('public.realm') IS NOT NULL AS found`)
    if (!table.rows[0]!.found) return []
    const realms = await client.query<{ name: string }>('SELECT name FROM realm')
    return realms.rows.map(({ name }) => name)
  } finally {
    await client.end()
  }
}
