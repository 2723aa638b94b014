// Two accounts: nothing of one is visible to the other by any tool, id, name or error text.
import pg from 'pg'
import { loadCatalog, type CatalogTool } from '@bailiwick/contracts/catalog'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { controlDatabase, secretOf } from './backends.ts'
import { freshAccount, freshToken, sharedStack, type Account } from './shared-stack.ts'
import type { Reply } from './support.ts'

const stack = sharedStack()
const SECRET_WORD = `velvet${Date.now().toString(36)}`
const catalog = loadCatalog()
let alice: Account
let bob: Account
let ids: Record<string, string>

/** An input that satisfies a tool's schema, with `ids` where it names resources. */
const INPUTS: Readonly<Record<string, Record<string, unknown>>> = {
  describe_tables: {},
  get_database: {},
  rotate_database_password: {},
  preview_delete_database: {},
  list_dns_records: {},
  list_dns_versions: {},
  get_domain: {},
  check_domain: {},
  get_dnssec: {},
  sign_domain: {},
  unsign_domain: {},
  verify_domain: {},
  preview_delete_domain: {},
  diff_dns_versions: { from_version: 1, to_version: 2 },
  restore_dns_version: { version: 1 },
  preview_delete_dns_records: { sets: [{ name: 'www', type: 'A' }] },
  list_rows: { table: 'orders' },
  run_read_query: { sql: 'SELECT 1' },
  create_table: { table: 'mine', columns: [{ name: 'id', type: 'integer' }], primary_key: ['id'] },
  insert_rows: { table: 'orders', rows: [{ id: 9 }] },
  update_rows: { table: 'orders', updates: [{ key: { id: 1 }, values: { item: 'x' } }] },
  remove_rows: { table: 'orders', keys: [{ id: 1 }] },
  set_database_limits: { limits: { connections: 1, statement_timeout_ms: 1000 } },
  restore_database_to_new: { target_time: '2026-01-01T00:00:00Z', name: 'stolen' },
  set_dns_records: { name: 'www', type: 'A', ttl_seconds: 300, records: ['192.0.2.1'] },
}

beforeAll(async () => {
  alice = await freshAccount(stack, `${SECRET_WORD}-alice`)
  bob = await freshAccount(stack, 'isolation-bob')
  const database = await stack.must(alice.token, 'create_database', { name: `${SECRET_WORD}-db` })
  const domain = await stack.must(alice.token, 'add_domain', { name: `${SECRET_WORD}.example` })
  ids = { database: database['database_id'] as string, domain: domain['domain_id'] as string }
  await stack.must(alice.token, 'create_table', {
    database_id: ids['database'],
    table: 'orders',
    columns: [
      { name: 'id', type: 'integer' },
      { name: 'item', type: 'text' },
    ],
    primary_key: ['id'],
  })
})

/** Every call has a request, an operation and a receipt of its own; all else must be the same. */
const normal = ({ status, headers, body }: Reply): string => {
  const { request_id: _, operation_id: __, receipt: ___, ...rest } = body
  const { date: _d, 'bailiwick-receipt': _r, 'bailiwick-request-id': _i, 'content-length': _l, ...shown } = headers
  return JSON.stringify({
    status,
    rest,
    headers: Object.fromEntries(Object.entries(shown).filter(([name]) => !name.includes('ratelimit'))),
  })
}
/** Tools whose input is a resource of the account. */
const byResource: CatalogTool[] = catalog.list.filter((tool) => tool.resources.length > 0)

describe('another account’s id', () => {
  test.each(byResource.filter((tool) => tool.risk !== 'destructive').map((tool) => [tool.name, tool] as const))(
    '%s: the same bytes as an id that never was',
    async (name, tool) => {
      const { field, kind } = tool.resources[0]!
      const token = bob.token
      const rest = INPUTS[name] ?? {}
      const foreign = await stack.call(token, name, { ...rest, [field]: ids[kind] })
      const absent = await stack.call(token, name, { ...rest, [field]: uuidv7() })
      expect(foreign.body['code']).toBe(absent.body['code'])
      // A body that the schema refuses would prove nothing.
      expect(foreign.body['code']).toBe('NOT_FOUND')
      expect(normal(foreign)).toBe(normal(absent))
      expect(foreign.status).toBe(404)
    },
  )
  test.each(['get_operation', 'preview_undo', 'undo'])(
    '%s of another account’s operation: the same bytes too',
    async (name) => {
      const made = await stack.must(alice.token, 'set_dns_records', {
        domain_id: ids['domain'],
        name: `n${name.replaceAll('_', '-')}`,
        type: 'A',
        ttl_seconds: 300,
        records: ['192.0.2.1'],
      })
      const operationId = (made['undo'] as { operation_id: string }).operation_id
      const foreign = await stack.call(bob.token, name, { operation_id: operationId })
      const absent = await stack.call(bob.token, name, { operation_id: uuidv7() })
      expect(foreign.status).toBe(404)
      expect(normal(foreign)).toBe(normal(absent))
    },
  )
  test('a preview of one account is worth nothing in another', async () => {
    const preview = await stack.must(alice.token, 'preview_delete_database', { database_id: ids['database'] })
    const stolen = await stack.call(bob.token, 'delete_database', {
      database_id: ids['database'],
      preview_token: preview['preview_token'],
      confirm: true,
    })
    expect([403, 404]).toContain(stolen.status)
    expect(['PREVIEW_TOKEN_OWNERSHIP_MISMATCH', 'NOT_FOUND', 'PREVIEW_TOKEN_MISSING']).toContain(stolen.body['code'])
    await stack.must(alice.token, 'get_database', { database_id: ids['database'] })
  })
})

describe('names and lists', () => {
  // One token has 60 calls a minute, and every tool above took its share.
  beforeAll(async () => {
    bob = { ...bob, ...(await freshToken(stack, bob.id)) }
  })
  test.each(
    catalog.list
      .filter(
        (tool) =>
          tool.resources.length === 0 &&
          tool.risk === 'read' &&
          !['run_read_query', 'get_operation', 'preview_undo'].includes(tool.name),
      )
      .map((tool) => tool.name),
  )('%s shows nothing of another account', async (name) => {
    const reply = await stack.call(bob.token, name, {})
    expect(reply.status).toBe(200)
    expect(JSON.stringify(reply)).not.toContain(SECRET_WORD)
  })
  test('a name that another account uses is free here, and says nothing', async () => {
    await stack.must(bob.token, 'create_database', { name: `${SECRET_WORD}-db` })
    const domain = await stack.must(bob.token, 'add_domain', { name: `${SECRET_WORD}.example` })
    await stack.must(bob.token, 'set_dns_records', {
      domain_id: domain['domain_id'],
      name: 'www',
      type: 'A',
      ttl_seconds: 300,
      records: ['192.0.2.99'],
    })
    expect(
      JSON.stringify(await stack.must(alice.token, 'list_dns_records', { domain_id: ids['domain'] })),
    ).not.toContain('192.0.2.99')
  })
})

describe('without the account setting', () => {
  test.each(['policy', 'steward'] as const)('the %s role sees no rows of any account-owned table', async (role) => {
    const superuser = await controlDatabase(stack)
    const tables = await superuser.query<{ name: string }>(
      `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id' AND NOT a.attisdropped
       WHERE c.relkind IN ('r', 'p') AND n.nspname = $1`,
      [role],
    )
    const unforced = await superuser.query(
      `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id' AND NOT a.attisdropped
       WHERE c.relkind IN ('r', 'p') AND n.nspname = $1 AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`,
      [role],
    )
    const filled: string[] = []
    for (const { name } of tables.rows)
      if (Number((await superuser.query(`SELECT count(*) FROM ${name}`)).rows[0].count) > 0) filled.push(name)
    await superuser.end()
    expect(unforced.rows).toEqual([])
    // There is something to hide, else this test would prove nothing.
    expect(filled.length).toBeGreaterThan(1)
    const client = new pg.Client({
      host: '127.0.0.1',
      port: stack.portBase + 20,
      user: role,
      password: await secretOf(stack, role, 'database_password'),
      database: 'bailiwick',
    })
    await client.connect()
    for (const name of filled) {
      const seen = await client.query(`SELECT * FROM ${name}`).then(
        (result) => result.rowCount,
        (error: { code?: string }) => (error.code === '42501' ? 0 : Promise.reject(error)),
      )
      expect([name, seen]).toEqual([name, 0])
    }
    await client.end()
  })
})
