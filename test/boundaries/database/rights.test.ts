// What the migrations made, asked of the database itself. (Needs the test servers, so `./bailiwick check` leaves it to `test`.)
import { Client } from 'pg'
import { freshDatabase } from '@bailiwick/testing/database'

let database: Awaited<ReturnType<typeof freshDatabase>>
let client: Client
beforeAll(async () => {
  database = await freshDatabase()
  client = new Client({ connectionString: database.superuser })
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

const names = async (sql: string): Promise<string[]> =>
  (await client.query<{ name: string }>(sql)).rows.map(({ name }) => name)
const OURS = `n.nspname IN ('policy', 'steward', 'audit')`

test('every account-owned table of policy and steward forces row-level security and has a policy', async () => {
  const tables = `FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('policy', 'steward') AND c.relkind IN ('r', 'p')
      AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'account_id' AND NOT a.attisdropped)`
  expect((await names(`SELECT c.oid::regclass::text AS name ${tables}`)).length).toBeGreaterThan(3)
  const open = `AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid))`
  expect(await names(`SELECT c.oid::regclass::text AS name ${tables} ${open}`)).toEqual([])
})

test('every SECURITY DEFINER function pins its search_path and is closed to PUBLIC', async () => {
  const functions = `FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${OURS} AND p.prosecdef`
  expect(await names(`SELECT p.oid::regprocedure::text AS name ${functions}`)).not.toEqual([])
  const unpinned = `AND NOT EXISTS (SELECT 1 FROM unnest(p.proconfig) AS s WHERE s LIKE 'search_path=%')`
  expect(await names(`SELECT p.oid::regprocedure::text AS name ${functions} ${unpinned}`)).toEqual([])
  const open = `AND (p.proacl IS NULL OR EXISTS (SELECT 1 FROM aclexplode(p.proacl) a WHERE a.grantee = 0))`
  expect(await names(`SELECT p.oid::regprocedure::text AS name ${functions} ${open}`)).toEqual([])
})

test.each(['policy', 'steward', 'audit'])(
  '%s owns nothing, cannot make anything, and reads no other service’s tables',
  async (role) => {
    const owned =
      await names(`SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE ${OURS} AND pg_get_userbyid(c.relowner) = '${role}'`)
    expect(owned).toEqual([])
    const makes = await names(`SELECT n.nspname AS name FROM pg_namespace n
    WHERE (${OURS} OR n.nspname = 'public') AND has_schema_privilege('${role}', n.oid, 'CREATE')`)
    expect(makes).toEqual([])
    const foreign =
      await names(`SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE ${OURS} AND n.nspname <> '${role}' AND c.relkind IN ('r', 'p', 'v', 'm')
      AND has_schema_privilege('${role}', n.oid, 'USAGE') AND has_table_privilege('${role}', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')`)
    expect(foreign).toEqual([])
    const { rows } = await client.query(
      `SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = '${role}'`,
    )
    expect(rows).toEqual([
      { rolsuper: false, rolcreatedb: false, rolcreaterole: false, rolreplication: false, rolbypassrls: false },
    ])
  },
)

test('nobody but the owner may empty a table of ours', async () => {
  const may =
    await names(`SELECT r.rolname || ' ' || c.oid::regclass::text AS name FROM pg_roles r, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE ${OURS} AND c.relkind IN ('r', 'p') AND r.rolname IN ('policy', 'steward', 'audit', 'anomaly', 'bailiwick_resolver') AND has_table_privilege(r.oid, c.oid, 'TRUNCATE')`)
  expect(may).toEqual([])
})

test('the log’s leaves can be neither changed nor deleted by the service that writes them', async () => {
  const may =
    await names(`SELECT c.oid::regclass::text || ' ' || p AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
      unnest(ARRAY['UPDATE', 'DELETE']) AS p
    WHERE n.nspname = 'audit' AND c.relname = 'leaves' AND has_table_privilege('audit', c.oid, p)`)
  expect(may).toEqual([])
})
