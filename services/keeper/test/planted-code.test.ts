// Code that a handed-out password left in its database, against the keeper's own verbs: history, undo, reads, outages, rotation.
import { newAccount, newDatabase, newOperation, startBench, withSession, type Bench, type Keeper } from './harness.ts'

let bench: Bench
let keeper: Keeper
const account_id = newAccount()
beforeAll(async () => {
  bench = await startBench()
  keeper = await bench.open()
})
afterAll(async () => {
  await keeper.close()
  await bench.close()
})

async function plant(text = '') {
  const database_id = newDatabase()
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  await keeper.verb('create_database', of())
  await keeper.verb('create_table', {
    ...of(),
    table: 'kept',
    columns: [
      { name: 'id', type: 'integer', nullable: false, unique: false },
      { name: 'name', type: 'text', nullable: true, unique: false },
    ],
    primary_key: ['id'],
  })
  const { connection, password } = await keeper.verb('issue_password', { account_id, database_id })
  const query = <T>(sql: string): Promise<T[]> =>
    withSession(connection, password, async (client) => (await client.query(sql)).rows as T[])
  await query(`CREATE TABLE gold (id int PRIMARY KEY, name text); INSERT INTO gold VALUES (1, 'one'), (2, 'two');
    CREATE TABLE kid (id int PRIMARY KEY, g int REFERENCES gold ON DELETE CASCADE); INSERT INTO kid VALUES (1, 1);
    CREATE TABLE prey (id int PRIMARY KEY); INSERT INTO prey VALUES (1), (2)`)
  if (text) await query(text)
  const superuser = async (sql: string): Promise<unknown> => {
    const connections = await keeper.clusters.find(account_id)!.connections()
    return connections.use(connection.database, 'keeper', (session) => session.query(sql))
  }
  return { database_id, of, connection, password, query, superuser }
}

const trigger = (body: string, when: string): string => `
  CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $f$ BEGIN ${body}; RETURN coalesce(NEW, OLD); END $f$;
  CREATE TRIGGER planted ${when} FOR EACH ROW EXECUTE FUNCTION planted()`

const TRAP = `CREATE TABLE trap (id int PRIMARY KEY); INSERT INTO trap VALUES (1);
  CREATE FUNCTION pol(x int) RETURNS bool LANGUAGE plpgsql SET search_path = public AS $f$ BEGIN
    IF session_user LIKE 'w\\_%' THEN DELETE FROM prey; END IF; RETURN true; END $f$;
  ALTER TABLE trap ENABLE ROW LEVEL SECURITY; ALTER TABLE trap FORCE ROW LEVEL SECURITY;
  CREATE POLICY p ON trap USING (pol(id))`

test('a row policy that deletes changes nothing while the keeper reads, and the reader is told', async () => {
  const { database_id, query } = await plant(TRAP)
  const told = { ok: false, code: 'CONFLICT' }
  await expect(keeper.verb('describe_database', { account_id, database_id })).rejects.toMatchObject(told)
  const page = { account_id, database_id, table: 'trap', keys: null, after: null, limit: 5 }
  await expect(keeper.verb('read_rows', page)).rejects.toMatchObject(told)
  expect(await query('SELECT id FROM prey')).toHaveLength(2)
})

test.each([
  ['clears the operation', `PERFORM set_config('bailiwick.operation', '', true)`],
  ['claims another operation', `PERFORM set_config('bailiwick.operation', gen_random_uuid()::text, true)`],
])('a trigger that %s does not hide a cascade from the undo', async (_what, body) => {
  const { of, query } = await plant(trigger(body, 'BEFORE DELETE ON kid'))
  const removal = of()
  await keeper.verb('remove_rows', { ...removal, table: 'gold', keys: [{ id: 1 }] })
  expect(await query('SELECT FROM kid')).toHaveLength(0)
  await keeper.verb('reverse_rows', { ...of(), of_operation: removal.operation_id })
  expect(await query('SELECT * FROM gold ORDER BY id')).toEqual([
    { id: 1, name: 'one' },
    { id: 2, name: 'two' },
  ])
  expect(await query('SELECT * FROM kid')).toEqual([{ id: 1, g: 1 }])
})

test.each([
  ['bind its transaction again', `INSERT INTO bailiwick.bindings (operation_id) VALUES (gen_random_uuid())`],
  ['bind another transaction', `INSERT INTO bailiwick.bindings VALUES ('99999999', gen_random_uuid())`],
  ['unbind its transaction', `DELETE FROM bailiwick.bindings`],
  [
    'write history',
    `INSERT INTO bailiwick.history (operation_id, relation, table_name) VALUES (gen_random_uuid(), 0, 'x')`,
  ],
  [
    'write a stamp beside ours',
    `INSERT INTO bailiwick.operations (operation_id, verb, target, result) VALUES (gen_random_uuid(), 'x', 'x', '{}')`,
  ],
  [
    'switch a history off and on again',
    `ALTER TABLE prey DISABLE TRIGGER bailiwick_history; DELETE FROM prey; ALTER TABLE prey ENABLE ALWAYS TRIGGER bailiwick_history`,
  ],
  ['empty another table', `TRUNCATE prey`],
])('a trigger cannot %s', async (_what, body) => {
  const { of, query } = await plant(trigger(body, 'BEFORE DELETE ON gold'))
  await expect(keeper.verb('remove_rows', { ...of(), table: 'gold', keys: [{ id: 1 }] })).rejects.toMatchObject({
    code: 'CONFLICT',
  })
  expect(await query('SELECT FROM gold')).toHaveLength(2)
  expect(await query('SELECT FROM prey')).toHaveLength(2)
})

test('casts that would run as the historian cannot be made', async () => {
  const { query } = await plant(`CREATE TYPE bait AS ENUM ('x');
    CREATE FUNCTION bite(bait) RETURNS json LANGUAGE sql AS $f$ SELECT '1'::json $f$`)
  await expect(query('CREATE CAST (bait AS json) WITH FUNCTION bite(bait)')).rejects.toMatchObject({ code: '0A000' })
})

test('rows that the history does not have are not committed', async () => {
  const { of, query, superuser } = await plant()
  await superuser(
    'CREATE OR REPLACE FUNCTION bailiwick.record_change() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NULL; END $f$',
  )
  const verbs = [
    keeper.verb('insert_rows', { ...of(), table: 'gold', rows: [{ id: 3 }] }),
    keeper.verb('update_rows', { ...of(), table: 'gold', updates: [{ key: { id: 1 }, values: { id: 9 } }] }),
    keeper.verb('remove_rows', { ...of(), table: 'gold', keys: [{ id: 2 }] }),
  ]
  for (const verb of await Promise.allSettled(verbs)) expect(verb).toMatchObject({ reason: { code: 'CONFLICT' } })
  expect(await query('SELECT id FROM gold ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }])
})

test('an insert that a trigger swallows is refused', async () => {
  const { of, query } = await plant(trigger('RETURN NULL', 'BEFORE INSERT ON gold'))
  await expect(keeper.verb('insert_rows', { ...of(), table: 'gold', rows: [{ id: 3 }] })).rejects.toMatchObject({
    code: 'CONFLICT',
  })
  expect(await query('SELECT FROM gold')).toHaveLength(2)
})

test.each([
  ['swallows the undo', 'BEFORE INSERT ON gold', 'RETURN NULL'],
  ['writes something else', 'BEFORE INSERT ON gold', `NEW.name := 'theirs'`],
  ['takes the row away again', 'AFTER INSERT ON gold', 'DELETE FROM gold WHERE id = NEW.id'],
])('an undo whose trigger %s is a conflict and changes nothing', async (_what, when, body) => {
  const { of, query } = await plant()
  const removal = of()
  await keeper.verb('remove_rows', { ...removal, table: 'gold', keys: [{ id: 2 }] })
  await query(trigger(body, when))
  await expect(keeper.verb('reverse_rows', { ...of(), of_operation: removal.operation_id })).rejects.toMatchObject({
    code: 'UNDO_CONFLICT',
  })
  expect(await query('SELECT id FROM gold')).toEqual([{ id: 1 }])
})

test('an undone insert that a trigger puts back behind a row policy is a conflict', async () => {
  const { of, query } = await plant()
  const insert = of()
  await keeper.verb('insert_rows', { ...insert, table: 'gold', rows: [{ id: 3, name: 'x' }] })
  await query(`ALTER TABLE gold ENABLE ROW LEVEL SECURITY; ALTER TABLE gold FORCE ROW LEVEL SECURITY;
    CREATE POLICY p ON gold USING (name <> 'hidden') WITH CHECK (true);
    ${trigger(`INSERT INTO gold VALUES (OLD.id, 'hidden')`, 'AFTER DELETE ON gold')}`)
  await expect(keeper.verb('reverse_rows', { ...of(), of_operation: insert.operation_id })).rejects.toMatchObject({
    code: 'UNDO_CONFLICT',
  })
  expect(await query('SELECT id FROM gold WHERE id = 3')).toHaveLength(1)
})

test.each(['58030', '57P01', '53100', '08006', 'XX000', 'P0002', 'ZZZZZ'])(
  'a trigger that raises %s is a refusal, not an outage',
  async (state) => {
    const { of } = await plant(trigger(`RAISE 'x' USING errcode = '${state}'`, 'BEFORE DELETE ON gold'))
    await expect(keeper.verb('remove_rows', { ...of(), table: 'gold', keys: [{ id: 1 }] })).rejects.toMatchObject({
      ok: false,
      code: 'CONFLICT',
    })
  },
)

test('a session that really ends is an outage', async () => {
  const end = 'PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5)'
  const { of } = await plant(trigger(end, 'BEFORE DELETE ON gold'))
  await expect(keeper.verb('remove_rows', { ...of(), table: 'gold', keys: [{ id: 1 }] })).rejects.toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
  })
})

test.each([
  'CREATE UNLOGGED TABLE u (id int PRIMARY KEY)',
  'CREATE UNLOGGED TABLE u AS SELECT 1 AS id',
  'SELECT 1 AS id INTO UNLOGGED u',
  'ALTER TABLE prey SET UNLOGGED',
  'CREATE UNLOGGED SEQUENCE u',
])('what a crash would empty cannot be made: %s', async (statement) => {
  const { query } = await plant()
  await expect(query(statement)).rejects.toMatchObject({ code: '0A000' })
})

test('a partition key that computes cannot be made: its code would run as whoever opens the table', async () => {
  const { query } = await plant()
  await query(`CREATE FUNCTION who(n integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    IF current_user = 'keeper' THEN RAISE EXCEPTION 'ran as the superuser'; END IF; RETURN n; END $$`)
  await expect(query('CREATE TABLE computed (id integer) PARTITION BY LIST ((id + who(1)))')).rejects.toMatchObject({
    code: '0A000',
  })
  await query('CREATE TABLE plain (id integer PRIMARY KEY) PARTITION BY LIST (id)')
})

test('row verbs refuse an unlogged table that came about all the same', async () => {
  const { of, superuser } = await plant()
  await superuser('ALTER EVENT TRIGGER bailiwick_watch_new DISABLE')
  await superuser('ALTER TABLE public.prey SET UNLOGGED')
  await expect(keeper.verb('insert_rows', { ...of(), table: 'prey', rows: [{ id: 9 }] })).rejects.toMatchObject({
    code: 'CONFLICT',
  })
})

test('a new password ends the old one’s sessions and settings, and keeps the limits', async () => {
  const { database_id, of, connection, password } = await plant()
  await keeper.verb('set_database_limits', { ...of(), limits: { connections: 7, statement_timeout_ms: 5000 } })
  await withSession(connection, password, async (old) => {
    await old.query(`ALTER ROLE ${connection.username} SET statement_timeout = 0`)
    await old.query(`ALTER ROLE ${connection.username} IN DATABASE ${connection.database} SET search_path = pg_temp`)
    const next = await keeper.verb('issue_password', { account_id, database_id })
    await expect(old.query('SELECT 1')).rejects.toThrow()
    await withSession(connection, next.password, async (client) => {
      expect((await client.query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '5s' }])
      expect((await client.query('SHOW search_path')).rows).toEqual([{ search_path: '"$user", public' }])
    })
  })
})

test('the password can make and attach partitions, and their rows are undone too', async () => {
  const { of, query, database_id } =
    await plant(`CREATE TABLE parted (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
    CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10);
    CREATE TABLE high (id int PRIMARY KEY, name text);
    ALTER TABLE parted ATTACH PARTITION high FOR VALUES FROM (10) TO (20)`)
  const insert = of()
  await keeper.verb('insert_rows', { ...insert, table: 'parted', rows: [{ id: 1 }, { id: 11 }] })
  const update = of()
  await keeper.verb('update_rows', { ...update, table: 'parted', updates: [{ key: { id: 1 }, values: { id: 12 } }] })
  await keeper.verb('reverse_rows', { ...of(), of_operation: update.operation_id })
  expect(await query('SELECT id FROM parted ORDER BY id')).toEqual([{ id: 1 }, { id: 11 }])
  await keeper.verb('reverse_rows', { ...of(), of_operation: insert.operation_id })
  expect(await query('SELECT id FROM parted')).toEqual([])
  const described = await keeper.verb('describe_database', { account_id, database_id })
  expect(described.tables.map(({ name }) => name)).toContain('parted')
  await expect(
    query('CREATE TRIGGER x AFTER INSERT ON prey FOR EACH ROW EXECUTE FUNCTION bailiwick.record_change()'),
  ).rejects.toMatchObject({ code: '42501' })
})

test.each([
  'SELECT pg_export_snapshot()',
  `SELECT pg_notify('x', 'y')`,
  'SELECT pg_advisory_lock(1)',
  'SELECT pg_try_advisory_xact_lock_shared(1, 2)',
  'SELECT txid_current()',
  'SELECT pg_current_xact_id()',
  'SELECT * FROM pg_settings',
  'SELECT * FROM pg_show_all_settings()',
  `SELECT shobj_description(oid, 'pg_database') FROM pg_database`,
  'SELECT * FROM pg_shdescription',
])('a read query may not %s', async (sql) => {
  shared ??= await plant()
  const { database_id } = shared
  await expect(
    keeper.verb('run_read_query', { account_id, database_id, sql, timeout_ms: 2000, row_cap: 5 }),
  ).rejects.toMatchObject({ code: 'QUERY_REFUSED' })
})
let shared: Awaited<ReturnType<typeof plant>> | undefined
