// Keycloak's database and the files of its first start, with a real PostgreSQL; the Keycloak itself is in test/stack.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { Client } from 'pg'
import { freshDatabase } from '@bailiwick/testing/database'
import { ensureKeycloakDatabase } from '../keycloak/database.ts'
import { forgetRealmFiles, importFolder, prepareRealms } from '../keycloak/realms.ts'
import { layoutOf, USERS, type Layout } from '../layout.ts'
import { ensureState, type State } from '../state.ts'

const server = process.env['TEST_POSTGRES_URL']!
const asKeycloak = (database: string): string => {
  const url = new URL(`${server}/${database}`)
  url.username = 'keycloak'
  url.password = 'keycloak-password'
  return url.href
}

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

let control: Awaited<ReturnType<typeof freshDatabase>>
beforeAll(async () => {
  control = await freshDatabase()
  await ask(control.superuser, `REVOKE ALL ON DATABASE ${control.name} FROM PUBLIC`)
  await ensureKeycloakDatabase(server, 'an-earlier-password')
})
afterAll(async () => {
  await ask(`${server}/bailiwick_template`, 'DROP DATABASE IF EXISTS keycloak WITH (FORCE)')
  await control.drop()
})
beforeEach(async () => {
  await ensureKeycloakDatabase(server, 'keycloak-password')
  await ask(`${server}/keycloak`, 'DROP TABLE IF EXISTS realm')
})

test('Keycloak makes its tables in its own database and can enter no other', async () => {
  await ask(asKeycloak('keycloak'), 'CREATE TABLE realm (name text)')
  for (const name of [control.name, 'postgres', 'template1'])
    await expect(ask(asKeycloak(name), 'SELECT 1')).rejects.toThrow(/permission denied for database/)
})

test('no service can enter Keycloak’s database', async () => {
  for (const role of ['policy', 'steward', 'audit', 'anomaly'] as const) {
    const url = new URL(control.as(role))
    await expect(ask(url.href, 'SELECT 1')).resolves.toHaveLength(1)
    url.pathname = '/keycloak'
    await expect(ask(url.href, 'SELECT 1')).rejects.toThrow(/permission denied for database/)
  }
})

test('Keycloak’s role makes no role and no database, and is nobody’s member', async () => {
  const rows = await ask(
    `${server}/postgres`,
    `SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
       (SELECT count(*)::int FROM pg_auth_members WHERE member = pg_roles.oid) AS memberships
     FROM pg_roles WHERE rolname = 'keycloak'`,
  )
  expect(rows).toEqual([
    {
      rolsuper: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolreplication: false,
      rolbypassrls: false,
      memberships: 0,
    },
  ])
})

// Files of other users can only be made by root; ./bailiwick test runs as root wherever it matters.
const describeAsRoot = process.getuid!() === 0 ? describe : describe.skip
describeAsRoot('the files of a first start', () => {
  let folder: string
  let layout: Layout
  let state: State
  beforeEach(async () => {
    folder = mkdtempSync(`${tmpdir()}/bailiwick-realms-`)
    mkdirSync(`${folder}/keycloak`)
    writeFileSync(
      `${folder}/keycloak/realm.json`,
      '{\n"url": "@MCP_URL@",\n"of": "@PUBLIC_URL@",\n"secrets": ["@POLICY_SECRET@", "@OPERATOR_SECRET@", "@CONSOLE_SECRET@"]\n}',
    )
    layout = layoutOf({ root: folder, state: `${folder}/state`, portBase: 29_500 })
    state = await ensureState(layout.state)
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const files = (): string[] => readdirSync(importFolder(layout.state)).sort()

  test('an empty database gets both realms, filled in, readable by root and Keycloak alone', async () => {
    expect(await prepareRealms(layout, state, server)).toBe(true)
    expect(files()).toEqual(['bailiwick-realm.json', 'master-realm.json'])
    const inside = importFolder(layout.state)
    for (const path of [inside, ...files().map((name) => `${inside}/${name}`)]) {
      const { uid, gid, mode } = statSync(path)
      expect([path, uid, gid, mode & 0o027]).toEqual([path, 0, USERS.keycloak, 0])
    }
    const realm = JSON.parse(readFileSync(`${inside}/bailiwick-realm.json`, 'utf8')) as Record<string, unknown>
    const supervisor = state.secretsOf('supervisor')
    expect(realm).toEqual({
      url: 'https://localhost:29543/mcp',
      of: 'https://localhost:29543',
      secrets: [
        await state.secretsOf('policy').get('keycloak_client_secret'),
        await supervisor.get('keycloak_operator_secret'),
        await supervisor.get('keycloak_console_secret'),
      ],
    })
    const master = JSON.parse(readFileSync(`${inside}/master-realm.json`, 'utf8')) as object
    expect(master).toEqual({
      realm: 'master',
      enabled: false,
      users: [{ username: 'nobody', enabled: false }],
    })
  })

  test('a start that died between the two realms imports again, with master’s file', async () => {
    await prepareRealms(layout, state, server)
    await ask(asKeycloak('keycloak'), `CREATE TABLE realm AS SELECT 'master' AS name`)
    expect(await prepareRealms(layout, state, server)).toBe(true)
    expect(files()).toEqual(['bailiwick-realm.json', 'master-realm.json'])
  })

  test('a start that died after the import leaves no file beyond the next start', async () => {
    await prepareRealms(layout, state, server)
    writeFileSync(`${importFolder(layout.state)}/bailiwick-realm.json.new`, 'cut off')
    await ask(asKeycloak('keycloak'), `CREATE TABLE realm AS SELECT unnest(ARRAY['master', 'bailiwick']) AS name`)
    expect(await prepareRealms(layout, state, server)).toBe(false)
    expect(files()).toEqual([])
  })

  test('once Keycloak runs, the files are gone', async () => {
    await prepareRealms(layout, state, server)
    forgetRealmFiles(layout.state)
    expect(files()).toEqual([])
    expect(existsSync(importFolder(layout.state))).toBe(true)
  })
})
