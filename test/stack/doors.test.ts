// Every door that an agent's call can reach, driven directly with stolen keys: the keeper's and vault's first doors with the
// steward's keys, and a database password that was handed out.
import { createHash } from 'node:crypto'
import http from 'node:http'
import pg from 'pg'
import { keeperDoor, keeperPurgeDoor } from '@bailiwick/contracts/doors/keeper'
import { vaultDoor, vaultExpiryDoor } from '@bailiwick/contracts/doors/vault'
import { connectDoor } from '@bailiwick/kernel/door'
import { idHex, uuidv7, type AccountId, type OperationId, type ResourceId } from '@bailiwick/kernel/ids'
import { clusterSuperuser, snapshotDatabase, type ClusterLogin } from './backends.ts'
import { freshAccount, sharedStack, type Account } from './shared-stack.ts'
import { eventually } from './support.ts'

const stack = sharedStack()
const stewardKey = (callee: string): Buffer => stack.key('steward', callee)

type Database = { id: ResourceId; login: ClusterLogin }
async function createDatabase(account: Account, name: string): Promise<Database> {
  const made = await stack.must(account.token, 'create_database', { name })
  return { id: made['database_id'] as ResourceId, login: made['secret'] as ClusterLogin }
}
const connect = async (login: ClusterLogin, database = login.database): Promise<pg.Client> => {
  const client = new pg.Client({
    host: login.host,
    port: login.port,
    user: login.username,
    password: login.password,
    database,
  })
  await client.connect()
  return client
}
const operation = (): OperationId => uuidv7() as OperationId

let alice: Account
let bob: Account
let shop: Database
let other: Database
beforeAll(async () => {
  alice = await freshAccount(stack, 'doors-alice')
  bob = await freshAccount(stack, 'doors-bob')
  shop = await createDatabase(alice, 'shop')
  other = await createDatabase(alice, 'other')
  await stack.must(alice.token, 'create_table', {
    database_id: shop.id,
    table: 'orders',
    columns: [
      { name: 'id', type: 'integer', nullable: false },
      { name: 'item', type: 'text' },
    ],
    primary_key: ['id'],
  })
  await stack.must(alice.token, 'insert_rows', {
    database_id: shop.id,
    table: 'orders',
    rows: [
      { id: 1, item: 'one' },
      { id: 2, item: 'two' },
    ],
  })
})

describe('a handed-out database password', () => {
  const refused = [
    'DROP TABLE orders',
    'TRUNCATE orders',
    'ALTER TABLE orders DROP COLUMN item',
    'ALTER TABLE orders DISABLE TRIGGER ALL',
    'ALTER TABLE orders OWNER TO CURRENT_USER',
    'CREATE TRIGGER mine BEFORE INSERT ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'DROP SCHEMA bailiwick CASCADE',
    'SELECT * FROM bailiwick.history',
    'DELETE FROM bailiwick.history',
    'DELETE FROM bailiwick.operations',
    'DROP SCHEMA public CASCADE',
    'CREATE DATABASE mine',
    'CREATE ROLE mine LOGIN',
    'CREATE EXTENSION dblink',
    'CREATE LANGUAGE plpython3u',
    "COPY orders TO PROGRAM 'cat'",
    "COPY orders FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    'SELECT * FROM pg_authid',
    'SELECT pg_switch_wal()',
    'SELECT pg_reload_conf()',
    "ALTER SYSTEM SET archive_command = ''",
    'SET session_replication_role = replica',
    'SET ROLE keeper',
    'SET SESSION AUTHORIZATION keeper',
    'CHECKPOINT',
    'ALTER EVENT TRIGGER ALL DISABLE',
    "LOAD '/tmp/x.so'",
  ]
  test.each(refused)('may not: %s', async (sql) => {
    const client = await connect(shop.login)
    await expect(client.query(sql)).rejects.toThrow()
    await client.end()
  })
  test('cannot drop, rename or enter its own or any other database from the outside', async () => {
    const client = await connect(shop.login)
    const own = `db_${idHex(shop.id)}`
    for (const sql of [
      `DROP DATABASE ${own}`,
      `ALTER DATABASE ${own} RENAME TO mine`,
      `ALTER DATABASE ${own} CONNECTION LIMIT 0`,
      `DROP DATABASE db_${idHex(other.id)}`,
    ]) {
      await expect(client.query(sql)).rejects.toThrow()
    }
    await client.end()
    for (const database of [`db_${idHex(other.id)}`, 'postgres', 'template1', 'template0'])
      await expect(connect(shop.login, database)).rejects.toThrow()
  })
  test('works for what an application does', async () => {
    const client = await connect(shop.login)
    await client.query('CREATE TABLE own (id serial PRIMARY KEY, note text)')
    await client.query("INSERT INTO own (note) VALUES ('a')")
    await client.query("INSERT INTO orders VALUES (3, 'three')")
    await client.query('DELETE FROM orders WHERE id = 3')
    await client.query('TRUNCATE own')
    await client.query('DROP TABLE own')
    await client.end()
  })
  test('dies with its rotation', async () => {
    const rotated = await stack.must(alice.token, 'rotate_database_password', { database_id: other.id })
    await expect(connect(other.login)).rejects.toThrow()
    await (await connect(rotated['secret'] as ClusterLogin)).end()
  })
  test('emptying a table comes back by point-in-time restore', async () => {
    const client = await connect(shop.login)
    await client.query("INSERT INTO orders SELECT n, 'bulk ' || n FROM generate_series(100, 199) n")
    const whole = (await client.query('SELECT * FROM orders ORDER BY id')).rows
    const { rows } = await client.query('SELECT clock_timestamp() AS at')
    const target = (rows[0].at as Date).toISOString()
    // A second apart, so that the target is between the two.
    await eventually(
      'the clock moved on',
      async () =>
        (await client.query("SELECT clock_timestamp() > $1::timestamptz + interval '1 second' AS past", [target]))
          .rows[0].past as boolean,
    )
    await client.query('DELETE FROM orders')
    await client.end()
    const name = `rescued-${Date.now().toString(36)}`
    const restored = await stack.must(alice.token, 'restore_database_to_new', {
      database_id: shop.id,
      target_time: target,
      name,
    })
    const rescued = await connect(restored['secret'] as ClusterLogin)
    expect((await rescued.query('SELECT * FROM orders ORDER BY id')).rows).toEqual(whole)
    await rescued.end()
  }, 120_000)
})

describe('the keeper’s first door, driven with the steward’s keys', () => {
  const keeper = connectDoor({ door: keeperDoor, url: stack.url(4), caller: 'steward', key: stewardKey('keeper') })
  afterAll(() => keeper.close())

  test('has no route that destroys', () => {
    expect(
      Object.keys(keeperDoor.routes).filter((name) =>
        /drop|delete|destroy|purge|truncate|exec|prune|expire/.test(name),
      ),
    ).toEqual([])
  })
  test('cannot be used for another account’s things', async () => {
    for (const reply of [
      await keeper.describe_database({ account_id: bob.id, database_id: shop.id }),
      await keeper.quarantine_database({
        account_id: bob.id,
        database_id: shop.id,
        operation_id: operation(),
      }),
    ]) {
      expect(reply.ok && 'state' in reply ? reply.state : reply).toEqual(
        reply.ok ? 'absent' : expect.objectContaining({ ok: false }),
      )
    }
    expect(await keeper.describe_database({ account_id: alice.id, database_id: shop.id })).toMatchObject({
      ok: true,
      state: 'active',
    })
  })
  test('the worst it can do to a database is undone whole', async () => {
    const login = await clusterSuperuser(stack, alice.id, shop.login)
    const before = await snapshotDatabase(login, shop.id)
    const target = { account_id: alice.id as AccountId, database_id: shop.id }
    expect(await keeper.quarantine_table({ ...target, table: 'orders', operation_id: operation() })).toMatchObject({
      ok: true,
    })
    expect(await keeper.restore_table({ ...target, table: 'orders', operation_id: operation() })).toMatchObject({
      ok: true,
    })
    expect(await keeper.quarantine_database({ ...target, operation_id: operation() })).toMatchObject({ ok: true })
    expect(await keeper.restore_database({ ...target, operation_id: operation() })).toMatchObject({ ok: true })
    expect(await snapshotDatabase(login, shop.id)).toBe(before)
  })
  test.each([
    '1; DROP TABLE orders',
    'DROP TABLE orders',
    'WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone',
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity',
    'SET TRANSACTION READ WRITE',
    "SELECT set_config('default_transaction_read_only', 'off', false); DELETE FROM orders",
    "COPY orders TO '/tmp/x'",
    'SELECT * FROM pg_authid',
    'SELECT pg_sleep(20)',
    'SELECT lo_create(0)',
    'COMMIT',
  ])('its query verb only reads: %s', async (sql) => {
    const reply = await keeper.run_read_query({
      account_id: alice.id,
      database_id: shop.id,
      sql,
      timeout_ms: 1000,
      row_cap: 10,
    })
    if (reply.ok) expect(JSON.stringify(reply.rows)).not.toMatch(/true/)
    else expect(reply.code).toBe('QUERY_REFUSED')
    expect(await keeper.describe_database({ account_id: alice.id, database_id: shop.id })).toMatchObject({
      ok: true,
      tables: expect.arrayContaining([expect.objectContaining({ name: 'orders' })]),
    })
  })
  test('identifiers cannot carry SQL', async () => {
    await expect(
      keeper.create_table({
        account_id: alice.id,
        database_id: shop.id,
        operation_id: operation(),
        table: 'x"; DROP TABLE orders; --',
        columns: [{ name: 'id', type: 'integer' }],
        primary_key: ['id'],
      }),
    ).rejects.toMatchObject({ code: 'MESSAGE_INVALID' })
  })
  test('does not open the second door', async () => {
    for (const callee of ['keeper', 'vault', 'audit', 'policy']) {
      for (const caller of ['steward', 'reaper']) {
        const purge = connectDoor({ door: keeperPurgeDoor, url: stack.url(5), caller, key: stewardKey(callee) })
        await expect(purge.list_quarantined({})).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
        purge.close()
        const expiry = connectDoor({ door: vaultExpiryDoor, url: stack.url(7), caller, key: stewardKey(callee) })
        await expect(expiry.list_all({})).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
        expiry.close()
      }
    }
  })
})

describe('the vault’s first door, driven with the steward’s keys', () => {
  const vault = connectDoor({ door: vaultDoor, url: stack.url(6), caller: 'steward', key: stewardKey('vault') })
  afterAll(() => vault.close())
  const bytes = Buffer.from('a restore point')
  const point = {
    account_id: uuidv7() as AccountId,
    kind: 'snapshot' as const,
    name: `${uuidv7()}.test`,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }
  const read = async (): Promise<string> => {
    const chunks: Buffer[] = []
    for await (const chunk of await vault.read(point)) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString()
  }

  test('creates once and never overwrites', async () => {
    expect(await vault.create(point, bytes)).toMatchObject({ created: true })
    expect(await vault.create(point, bytes)).toMatchObject({ created: false })
    await expect(vault.create(point, Buffer.from('something else'))).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
    expect(await read()).toBe('a restore point')
  })
  test.each(['PUT', 'DELETE', 'PATCH', 'POST'])('%s on anything else changes nothing', async (method) => {
    for (const path of [
      '/expire',
      '/delete',
      '/create/../expire',
      `/objects/${point.account_id}/snapshot/${point.name}.${point.sha256}`,
    ]) {
      const status = await new Promise<number>((resolve, reject) => {
        const request = http.request(
          `${stack.url(6)}${path}`,
          {
            method,
            headers: { 'x-bailiwick-caller': 'steward', 'x-bailiwick-key': stewardKey('vault').toString('hex') },
          },
          (response) => {
            response.resume()
            resolve(response.statusCode ?? 0)
          },
        )
        request.on('error', reject)
        request.end()
      })
      expect([400, 403, 404]).toContain(status)
    }
    expect(await read()).toBe('a restore point')
  })
})
