// The control database's life in the embedded stack: made once, migrated at each start.
import { existsSync, renameSync, rmSync } from 'node:fs'
import { Client } from 'pg'
import { prepareControlDatabase } from '@bailiwick/kernel/control-database'
import { initCluster } from '@bailiwick/kernel/postgres-cluster'
import { syncFolder } from './files.ts'
import { ensureKeycloakDatabase } from './keycloak/database.ts'
import { USERS, type Layout } from './layout.ts'
import { recordMade, type State } from './state.ts'

const SUPERUSER = 'postgres'

/** Made beside and moved in. Until it is there no data exists, so the rest of an attempt that was cut off is thrown away. */
export async function ensureCluster(layout: Layout, state: State): Promise<void> {
  const folder = `${layout.state}/postgres`
  if (!existsSync(folder)) {
    rmSync(`${folder}.new`, { recursive: true, force: true })
    await initCluster({
      dataDir: `${folder}.new`,
      superuser: SUPERUSER,
      password: await state.secretsOf('supervisor').get('superuser_password'),
      user: { uid: USERS.postgres, gid: USERS.postgres },
    })
    renameSync(`${folder}.new`, folder)
    syncFolder(layout.state)
  }
  recordMade(layout.state, ['postgres', 'postgres/PG_VERSION'])
}

/** The superuser's URL, without a database. */
export async function controlServer(layout: Layout, state: State): Promise<string> {
  const password = await state.secretsOf('supervisor').get('superuser_password')
  return `postgres://${SUPERUSER}:${password}@127.0.0.1:${layout.ports.postgres}`
}

/** The cluster is up: its databases, roles, passwords and tables. The superuser's password is known to nobody but root. */
export async function ensureDatabase(layout: Layout, state: State): Promise<void> {
  const server = await controlServer(layout, state)
  const client = new Client({ connectionString: `${server}/postgres` })
  await client.connect()
  try {
    const { rowCount } = await client.query(`SELECT 1 FROM pg_database WHERE datname = 'bailiwick'`)
    if (rowCount === 0) await client.query('CREATE DATABASE bailiwick')
  } finally {
    await client.end()
  }
  const passwords: Record<string, string> = {}
  for (const role of ['policy', 'steward', 'audit'])
    passwords[role] = await state.secretsOf(role).get('database_password')
  await prepareControlDatabase({ url: `${server}/bailiwick`, root: layout.root, passwords })
  await ensureKeycloakDatabase(server, await state.secretsOf('supervisor').get('keycloak_database_password'))
}
