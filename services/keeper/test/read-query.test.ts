// run_read_query under attack.
import { newAccount, newDatabase, newOperation, startBench, withSession, type Bench, type Keeper } from './harness.ts'

let bench: Bench
let keeper: Keeper
const account_id = newAccount()
const database_id = newDatabase()
const of = () => ({ account_id, database_id, operation_id: newOperation() })
const run = (sql: string, more: { timeout_ms?: number; row_cap?: number } = {}) =>
  keeper.verb('run_read_query', { account_id, database_id, sql, timeout_ms: 2000, row_cap: 100, ...more })

beforeAll(async () => {
  bench = await startBench()
  keeper = await bench.open()
  await keeper.verb('create_database', of())
  await keeper.verb('create_table', {
    ...of(),
    table: 'items',
    columns: [
      { name: 'id', type: 'bigint', nullable: false, unique: false },
      { name: 'name', type: 'text', nullable: true, unique: false },
    ],
    primary_key: ['id'],
  })
  await keeper.verb('insert_rows', { ...of(), table: 'items', rows: [{ id: 1, name: 'one' }, { id: 2 }] })
  const { connection, password } = await keeper.verb('issue_password', { account_id, database_id })
  await withSession(connection, password, (client) =>
    client.query(`CREATE TABLE own (id int); INSERT INTO own VALUES (7);
      CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN DELETE FROM items; RETURN 1; END $$`),
  )
})
afterAll(async () => {
  await keeper.close()
  await bench.close()
})

test('answers with typed values, capped rows and columns', async () => {
  expect(await run('SELECT id, name, true AS yes, 1.5::float8 AS half FROM items ORDER BY id;')).toMatchObject({
    columns: ['id', 'name', 'yes', 'half'],
    rows: [
      ['1', 'one', true, 1.5],
      ['2', null, true, 1.5],
    ],
    truncated: false,
  })
  expect(await run('SELECT * FROM generate_series(1, 500)', { row_cap: 3 })).toMatchObject({
    rows: [[1], [2], [3]],
    truncated: true,
  })
  expect((await run('SELECT id FROM own')).rows).toEqual([[7]])
})

test.each([
  `DELETE FROM items`,
  `SELECT 1; DELETE FROM items`,
  `SELECT 1; COMMIT; DELETE FROM items`,
  `SELECT 1) ; DELETE FROM items --`,
  `WITH gone AS (DELETE FROM items RETURNING *) SELECT * FROM gone`,
  `SELECT * INTO stolen FROM items`,
  `SELECT * FROM items FOR UPDATE`,
  `SELECT wipe()`,
  `SET default_transaction_read_only = off`,
  `SELECT set_config('transaction_read_only', 'off', false)`,
  `SELECT set_config('statement_timeout', '0', false)`,
  `COPY items TO '/tmp/x'`,
  `COPY (SELECT 1) TO PROGRAM 'true'`,
  `DO $$ BEGIN DELETE FROM items; END $$`,
  `CALL x()`,
  `SELECT pg_read_file('/etc/passwd')`,
  `SELECT pg_ls_dir('.')`,
  `SELECT lo_import('/etc/passwd')`,
  `SELECT lo_create(1)`,
  `SELECT pg_logical_emit_message(false, 'x', repeat('x', 100000))`,
  `SELECT rolpassword FROM pg_authid`,
  `SELECT * FROM pg_shadow`,
  `SELECT * FROM bailiwick.history`,
  `SELECT * FROM bailiwick.operations`,
  `SELECT nextval('own_id_seq')`,
  `SELECT dblink('x', 'y')`,
  `SELECT pg_switch_wal()`,
  `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE false OR pg_reload_conf()`,
  `SELECT query_to_xml('DELETE FROM items', true, false, '')`,
  `EXPLAIN ANALYZE DELETE FROM items`,
  ``,
  `SELECT 1 \u0000`,
])('refuses %s', async (sql) => {
  await expect(run(sql)).rejects.toMatchObject({ ok: false, code: 'QUERY_REFUSED' })
  expect((await run('SELECT count(*) FROM items')).rows).toEqual([['2']])
})

test('a query that sleeps or computes too long is stopped in time', async () => {
  for (const sql of ['SELECT pg_sleep(60)', 'SELECT count(*) FROM generate_series(1, 1e12)']) {
    const start = Date.now()
    await expect(run(sql, { timeout_ms: 300 })).rejects.toMatchObject({ code: 'QUERY_REFUSED' })
    expect(Date.now() - start).toBeLessThan(4000)
  }
})

test('an answer of too many bytes is cut off', async () => {
  await expect(run(`SELECT repeat('x', 1000000) FROM generate_series(1, 100)`)).rejects.toMatchObject({
    code: 'QUERY_REFUSED',
  })
})
