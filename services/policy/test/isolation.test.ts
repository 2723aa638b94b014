import { Client } from 'pg'
import { freshDatabase } from '@bailiwick/testing/database'
import { uuidv7 } from '@bailiwick/kernel/ids'

const OWNED = [
  'accounts',
  'members',
  'tokens',
  'tier_history',
  'freezes',
  'operations',
  'idempotency',
  'previews',
  'daily_counts',
  'apps',
]

/** Of no account: what holds for all, and facts of the identity provider. */
const SHARED = ['epoch', 'settings', 'not_before', 'consents', 'revoked_clients', 'identity_polls', 'taken_events']

describe('the role that policy logs in as', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>
  let policy: Client
  let superuser: Client
  const [one, other] = [uuidv7(), uuidv7()]
  beforeAll(async () => {
    database = await freshDatabase()
    superuser = new Client({ connectionString: database.superuser })
    policy = new Client({ connectionString: database.as('policy') })
    await superuser.connect()
    await policy.connect()
    for (const id of [one, other]) {
      await superuser.query(`INSERT INTO policy.accounts VALUES ($1, 'acme', 'full', now(), 'UTC', now())`, [id])
      await superuser.query(`INSERT INTO policy.members VALUES ($1::uuid, $1::text, 'owner', now())`, [id])
      await superuser.query(
        `INSERT INTO policy.tokens (id, account_id, hmac, name, scopes, created_at, expires_at)
         VALUES ($1::uuid, $1::uuid, sha256($1::text::bytea), 'agent', '{}', now(), now())`,
        [id],
      )
      await superuser.query(`INSERT INTO policy.tier_history VALUES ($1, $1, now(), 'none', 'full', 'test', 0)`, [id])
      await superuser.query(
        `INSERT INTO policy.freezes (id, account_id, since, reason) VALUES ($1, $1, now(), 'test')`,
        [id],
      )
      await superuser.query(
        `INSERT INTO policy.operations VALUES ($1, $1, 'p', 't', 'd', '{}', '{}', 'h', NULL, now(), now())`,
        [id],
      )
      await superuser.query(`INSERT INTO policy.idempotency VALUES ($1, 'p', 'k', 't', 'h', $1, now())`, [id])
      await superuser.query(
        `INSERT INTO policy.previews (id, account_id, token_sha256, principal, tool, resource_kind, resource_id,
           resource_version, input, input_hash, created_at, expires_at)
         VALUES ($1::uuid, $1::uuid, sha256($1::text::bytea), 'p', 't', 'k', $1::uuid, 1, '{}', 'h', now(), now())`,
        [id],
      )
      await superuser.query(`INSERT INTO policy.daily_counts VALUES ($1, current_date, 1)`, [id])
      await superuser.query(
        `INSERT INTO policy.apps (account_id, sub, client, scopes, first_used_at, last_used_at)
         VALUES ($1::uuid, $1::text, 'agent', '{}', now(), now())`,
        [id],
      )
    }
  })
  afterAll(async () => {
    await policy.end()
    await superuser.end()
    await database.drop()
  })
  const inAccount = async <T>(account: string, work: () => Promise<T>): Promise<T> => {
    await policy.query('BEGIN')
    await policy.query(`SELECT set_config('bailiwick.account', $1, true)`, [account])
    try {
      return await work()
    } finally {
      await policy.query('ROLLBACK')
    }
  }

  test.each(OWNED)('sees no row of %s without an account, and only its own with one', async (table) => {
    const count = async () => Number((await policy.query(`SELECT count(*) FROM policy.${table}`)).rows[0].count)
    expect(await count()).toBe(0)
    expect(await inAccount(one, count)).toBe(1)
    // The setting ended with its transaction, also on a connection that is used again.
    expect(await count()).toBe(0)
  })

  test.each(OWNED)('has forced row-level security on %s, for the tables’ owner too', async (table) => {
    const { rows } = await superuser.query(
      `SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = $1::regclass`,
      [`policy.${table}`],
    )
    expect(rows).toEqual([{ relrowsecurity: true, relforcerowsecurity: true }])
  })

  test('every table of the schema is either account-owned or known not to be', async () => {
    const { rows } = await superuser.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'policy' ORDER BY 1`)
    expect(rows.map((row) => row.tablename)).toEqual([...OWNED, ...SHARED].sort())
  })

  test('cannot write a row into another account, nor change or delete what is only added', async () => {
    await expect(
      inAccount(one, () => policy.query(`INSERT INTO policy.daily_counts VALUES ($1, '2020-01-01', 1)`, [other])),
    ).rejects.toMatchObject({ code: '42501' })
    const forbidden = [
      'UPDATE policy.operations SET principal = NULL',
      'DELETE FROM policy.operations',
      'DELETE FROM policy.tokens',
      'UPDATE policy.tokens SET scopes = NULL',
      'UPDATE policy.tokens SET hmac = NULL',
      'DELETE FROM policy.accounts',
      'DELETE FROM policy.tier_history',
      'DELETE FROM policy.previews',
      'UPDATE policy.previews SET expires_at = NULL',
      'TRUNCATE policy.freezes',
    ]
    for (const sql of forbidden)
      await expect(inAccount(one, () => policy.query(sql))).rejects.toMatchObject({ code: '42501' })
  })

  test('cannot look into other services’ schemas or create in its own', async () => {
    const { rows } = await policy.query(
      `SELECT nspname FROM pg_namespace WHERE nspname IN ('steward', 'audit', 'public') AND has_schema_privilege('policy', oid, 'USAGE')`,
    )
    expect(rows).toEqual([])
    await superuser.query('CREATE TABLE steward.probe (x int)')
    await superuser.query('CREATE TABLE audit.probe (x int)')
    for (const schema of ['steward', 'audit'])
      await expect(policy.query(`SELECT * FROM ${schema}.probe`)).rejects.toMatchObject({ code: '42501' })
    await expect(policy.query('CREATE TABLE policy.mine (x int)')).rejects.toMatchObject({ code: '42501' })
    await expect(policy.query('SET ROLE bailiwick_resolver')).rejects.toMatchObject({ code: '42501' })
    await expect(policy.query('SET ROLE bailiwick_owner')).rejects.toMatchObject({ code: '42501' })
  })

  test('finds rows before their account only through the resolver’s functions, which policy alone may call', async () => {
    const { rows } = await superuser.query(
      `SELECT p.proname, r.rolname AS owner, p.prosecdef, p.proconfig::text AS settings, has_function_privilege('policy', p.oid, 'EXECUTE') AS policy,
         has_function_privilege('steward', p.oid, 'EXECUTE') AS steward, has_function_privilege('audit', p.oid, 'EXECUTE') AS audit
       FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE p.pronamespace = 'policy'::regnamespace ORDER BY 1`,
    )
    const expected = { owner: 'bailiwick_resolver', prosecdef: true, policy: true, steward: false, audit: false }
    expect(rows).toMatchObject(
      ['account_ids', 'find_app', 'find_member', 'find_token', 'is_grant_revoked', 'is_preview_known', 'sweep'].map(
        (proname) => ({ proname, ...expected }),
      ),
    )
    for (const { settings } of rows) expect(settings).toContain('search_path=pg_catalog, pg_temp')
    const found = await policy.query('SELECT account_id FROM policy.find_token(sha256($1::text::bytea), NULL)', [other])
    expect(found.rows).toEqual([{ account_id: other }])
  })
})
