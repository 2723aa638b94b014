// Looks at the real backends from outside, as root on the host can: what a test compares is not what a tool reports.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { idHex } from '@bailiwick/kernel/ids'
import { findPostgresBin } from '@bailiwick/kernel/postgres-cluster'
import { openSealedFile } from '@bailiwick/kernel/secrets'
import { RealmAdmin } from '../../scripts/embedded/keycloak/realm-admin.ts'
import { inState, portsFrom } from '../../scripts/embedded/layout.ts'
import { sealKeyOf } from '../../scripts/embedded/state.ts'
import type { Stack } from './support.ts'

/** A secret of one service, opened with the operator's seal key. */
export async function secretOf(stack: Stack, service: string, name: string): Promise<string> {
  const master = Buffer.from(readFileSync(inState.sealKey(stack.state), 'utf8').trim(), 'hex')
  return openSealedFile(inState.secrets(stack.state, service), sealKeyOf(master, service)).get(name)
}

/** The identity provider's administration, with the operator's own client. */
export const realmAdminOf = async (stack: Stack): Promise<RealmAdmin> =>
  new RealmAdmin({
    url: `http://127.0.0.1:${portsFrom(stack.portBase).keycloak}`,
    secret: await secretOf(stack, 'supervisor', 'keycloak_operator_secret'),
  })

/** Superuser's connection to the control database. */
export async function controlDatabase(stack: Stack): Promise<pg.Client> {
  const password = await secretOf(stack, 'supervisor', 'superuser_password')
  const client = new pg.Client({
    host: '127.0.0.1',
    port: stack.portBase + 20,
    user: 'postgres',
    password,
    database: 'bailiwick',
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

export type ClusterLogin = { host: string; port: number; database: string; username: string; password: string }

/** Superuser's login to the cluster of an account; `sample` is any handed-out login there, for host and port. */
export async function clusterSuperuser(
  stack: Stack,
  accountId: string,
  sample: { host: string; port: number },
): Promise<{ host: string; port: number; user: string; password: string }> {
  return {
    host: sample.host,
    port: sample.port,
    user: 'keeper',
    password: await secretOf(stack, 'keeper', `cluster:${accountId}`),
  }
}

/**
 * All of one database as text: schema, rows, sequences' positions, owners, grants, extensions; and its roles. Without the
 * keeper's own bookkeeping (schema `bailiwick`), which grows with every operation by design.
 */
export async function snapshotDatabase(
  login: { host: string; port: number; user: string; password: string },
  databaseId: string,
): Promise<string> {
  const name = `db_${idHex(databaseId)}`
  const dump = execFileSync(
    `${findPostgresBin()}/pg_dump`,
    [
      '-h',
      login.host,
      '-p',
      String(login.port),
      '-U',
      login.user,
      '-d',
      name,
      '--exclude-schema=bailiwick',
      '--exclude-schema=bailiwick_trash*',
      '--inserts',
    ],
    { env: { PATH: process.env['PATH'], PGPASSWORD: login.password }, maxBuffer: 64 * 1024 * 1024 },
  ).toString('utf8')
  const client = new pg.Client({ ...login, database: name })
  await client.connect()
  try {
    const roles = await client.query(
      `SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolconfig::text FROM pg_roles WHERE rolname LIKE '%' || $1 ORDER BY 1`,
      [idHex(databaseId)],
    )
    const database = await client.query(
      `SELECT datallowconn, datconnlimit, datacl::text, pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = $1`,
      [name],
    )
    const extensions = await client.query('SELECT extname, extversion FROM pg_extension ORDER BY 1')
    // pg_dump writes a random token into its output since its 2025 security releases.
    const lines = dump.split('\n').filter((line) => !/^\\(un)?restrict /.test(line))
    // Rows have no order: an updated row moves to the end of its table's pages.
    const stable = [
      ...lines.filter((line) => !line.startsWith('INSERT INTO ')),
      ...lines.filter((line) => line.startsWith('INSERT INTO ')).sort(),
    ].join('\n')
    return `${stable}\n${JSON.stringify({ roles: roles.rows, database: database.rows, extensions: extensions.rows }, null, 1)}`
  } finally {
    await client.end()
  }
}

/** All record sets of the zone that belongs to `zoneId`, wherever it is served; null when PowerDNS has none. */
export async function snapshotZone(stack: Stack, zoneId: string, name: string): Promise<string | null> {
  const key = await secretOf(stack, 'keeper', 'powerdns_api_key')
  const base = `http://127.0.0.1:${stack.portBase + 23}/api/v1/servers/localhost/zones`
  for (const zone of [`z${idHex(zoneId)}.staged.invalid.`, `${name}.`]) {
    const response = await fetch(`${base}/${zone}`, { headers: { 'x-api-key': key } })
    if (response.status !== 200) continue
    const found = (await response.json()) as {
      name: string
      account: string
      rrsets: { name: string; type: string; ttl: number; records: { content: string; disabled: boolean }[] }[]
    }
    const sets = found.rrsets
      .filter((set) => set.type !== 'SOA')
      .map(
        (set) =>
          `${set.name} ${set.ttl} ${set.type} ${set.records
            .map((record) => `${record.content}${record.disabled ? ' disabled' : ''}`)
            .sort()
            .join(' | ')}`,
      )
    return `${found.name} account=${found.account}\n${sets.sort().join('\n')}`
  }
  return null
}

/** A served zone's keys, the private halves too, and their state: all that must be the same after an undo. */
export async function snapshotKeys(stack: Stack, name: string): Promise<string> {
  const key = await secretOf(stack, 'keeper', 'powerdns_api_key')
  const base = `http://127.0.0.1:${stack.portBase + 23}/api/v1/servers/localhost/zones/${name}./cryptokeys`
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`${base}${path}`, { headers: { 'x-api-key': key } })
    return response.ok ? response.json() : null
  }
  type Key = { id: number; active: boolean; published: boolean; keytype: string; dnskey: string; privatekey: string }
  const keys = await get('')
  if (!Array.isArray(keys)) return 'absent'
  const full = (await Promise.all((keys as Key[]).map(({ id }) => get(`/${id}`)))) as Key[]
  return full
    .map(({ active, published, keytype, dnskey, privatekey }) =>
      JSON.stringify({ active, published, keytype, dnskey, privatekey: privatekey.trim() }),
    )
    .join('\n')
}
