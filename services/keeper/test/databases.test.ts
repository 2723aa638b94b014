// Databases and tables as wholes, on real clusters.
import {
  fingerprint,
  newAccount,
  newDatabase,
  newOperation,
  startBench,
  withSession,
  type Bench,
  type Keeper,
} from './harness.ts'

let bench: Bench
let keeper: Keeper
beforeAll(async () => {
  bench = await startBench()
  keeper = await bench.open()
})
afterAll(async () => {
  await keeper.close()
  await bench.close()
})

/** A database with tables of the keeper's and of the handed-out password's making. */
async function furnished(account_id = newAccount()) {
  const database_id = newDatabase()
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  await keeper.verb('create_database', of())
  await keeper.verb('create_table', {
    ...of(),
    table: 'customers',
    columns: [
      { name: 'id', type: 'bigint', nullable: false, unique: false },
      { name: 'email', type: 'text', nullable: false, unique: true },
      { name: 'balance', type: 'numeric', nullable: true, unique: false },
      { name: 'extra', type: 'jsonb', nullable: true, unique: false },
    ],
    primary_key: ['id'],
  })
  await keeper.verb('insert_rows', {
    ...of(),
    table: 'customers',
    rows: [
      {
        id: '9223372036854775807',
        email: 'a@example.com',
        balance: '12345678901234567890.123456789',
        extra: { a: [1] },
      },
      { id: 2, email: "o'b\\r@example.com", balance: null },
    ],
  })
  const { connection, password } = await keeper.verb('issue_password', { account_id, database_id })
  await withSession(connection, password, async (client) => {
    await client.query(`CREATE TYPE mood AS ENUM ('glad', 'sad')`)
    await client.query(`CREATE TABLE notes (id serial PRIMARY KEY, customer bigint REFERENCES customers ON DELETE CASCADE,
      text text DEFAULT 'none' CHECK (text <> ''), mood mood, twice int GENERATED ALWAYS AS (2) STORED, at timestamptz DEFAULT now())`)
    await client.query(`CREATE INDEX notes_by_mood ON notes (mood)`)
    await client.query(`INSERT INTO notes (customer, text, mood) VALUES (2, 'first', 'glad'), (2, 'second', 'sad')`)
    await client.query(`CREATE VIEW glad_notes AS SELECT * FROM notes WHERE mood = 'glad'`)
    await client.query(`CREATE FUNCTION greet(name text) RETURNS text LANGUAGE sql AS $$ SELECT 'hello ' || name $$`)
  })
  return { account_id, database_id, of, connection, password }
}

test('a quarantined database comes back with its rows, sequences, grants, owners and extensions', async () => {
  const { account_id, database_id, of, connection, password } = await furnished()
  const connections = await keeper.clusters.find(account_id)!.connections()
  await connections.use(connection.database, 'keeper', (sql) => sql.query('CREATE EXTENSION citext SCHEMA public'))
  const before = await fingerprint(keeper, account_id, connection.database)
  await withSession(connection, password, async (open) => {
    await keeper.verb('quarantine_database', of())
    await expect(open.query('SELECT 1')).rejects.toThrow()
  })
  await expect(withSession(connection, password, async () => null)).rejects.toThrow('does not exist')
  expect(await keeper.verb('describe_database', { account_id, database_id })).toMatchObject({
    state: 'quarantined',
    connection: null,
  })
  await expect(keeper.verb('insert_rows', { ...of(), table: 'customers', rows: [{ id: 5 }] })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  })
  await keeper.verb('restore_database', of())
  expect(await fingerprint(keeper, account_id, connection.database)).toEqual(before)
  await withSession(connection, password, async (client) => {
    const { rows } = await client.query(`INSERT INTO notes (text) VALUES ('third') RETURNING id`)
    expect(rows).toEqual([{ id: 3 }])
  })
})

test('a quarantined table comes back with everything that hangs on it, and a new table of its name is not overwritten', async () => {
  const { account_id, of, connection, password } = await furnished()
  await withSession(connection, password, (client) => client.query('DROP VIEW glad_notes'))
  const before = await fingerprint(keeper, account_id, connection.database)
  await keeper.verb('quarantine_table', { ...of(), table: 'notes' })
  await withSession(connection, password, async (client) => {
    await expect(client.query('SELECT * FROM notes')).rejects.toThrow('does not exist')
    const { rows } = await client.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'bailiwick_trash%'`)
    const schema = (rows as { nspname: string }[])[0]!.nspname
    await expect(client.query(`SELECT * FROM ${schema}.notes`)).rejects.toThrow('permission denied')
    await expect(client.query(`DROP TABLE ${schema}.notes`)).rejects.toThrow('permission denied')
    await client.query('CREATE TABLE notes (id int PRIMARY KEY)')
  })
  await expect(keeper.verb('restore_table', { ...of(), table: 'notes' })).rejects.toMatchObject({ code: 'CONFLICT' })
  await withSession(connection, password, (client) => client.query('DROP TABLE notes'))
  await keeper.verb('restore_table', { ...of(), table: 'notes' })
  expect(await fingerprint(keeper, account_id, connection.database)).toEqual(before)
})

test('a table that others refer to is not quarantined', async () => {
  const { of } = await furnished()
  await expect(keeper.verb('quarantine_table', { ...of(), table: 'customers' })).rejects.toMatchObject({
    code: 'CONFLICT',
  })
})

test('the same table name can be quarantined twice', async () => {
  const { of, account_id, database_id } = await furnished()
  const columns = [{ name: 'id', type: 'integer' as const, nullable: false, unique: true }]
  for (const value of [1, 2]) {
    await keeper.verb('create_table', { ...of(), table: 'again', columns, primary_key: ['id'] })
    await keeper.verb('insert_rows', { ...of(), table: 'again', rows: [{ id: value }] })
    await keeper.verb('quarantine_table', { ...of(), table: 'again' })
  }
  await keeper.verb('restore_table', { ...of(), table: 'again' })
  const { rows } = await keeper.verb('read_rows', {
    account_id,
    database_id,
    table: 'again',
    keys: null,
    after: null,
    limit: 10,
  })
  expect(rows).toEqual([{ id: 2 }])
})

test('a description names tables, columns, keys, counts, limits and size', async () => {
  const { account_id, database_id, of } = await furnished()
  await keeper.verb('set_database_limits', { ...of(), limits: { connections: 7, statement_timeout_ms: 1234 } })
  const described = await keeper.verb('describe_database', { account_id, database_id })
  expect(described.limits).toEqual({ connections: 7, statement_timeout_ms: 1234 })
  expect(described.size_bytes).toBeGreaterThan(1_000_000)
  expect(described.tables.map(({ name, rows, primary_key }) => ({ name, rows, primary_key }))).toEqual([
    { name: 'customers', rows: 2, primary_key: ['id'] },
    { name: 'notes', rows: 2, primary_key: ['id'] },
  ])
  expect(described.tables[0]!.columns[1]).toEqual({ name: 'email', type: 'text', nullable: false, default: null })
  expect(await keeper.verb('describe_database', { account_id, database_id: newDatabase() })).toMatchObject({
    state: 'absent',
  })
})

test('two accounts have clusters of their own, and an id of one is absent for the other', async () => {
  const [one, other] = [await furnished(), await furnished()]
  expect(one.connection.port).not.toBe(other.connection.port)
  expect(
    await keeper.verb('describe_database', { account_id: one.account_id, database_id: other.database_id }),
  ).toMatchObject({ state: 'absent' })
  const foreign = { account_id: one.account_id, database_id: other.database_id, operation_id: newOperation() }
  await expect(keeper.verb('quarantine_database', foreign)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(keeper.verb('issue_password', foreign)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(
    withSession({ ...other.connection, username: one.connection.username }, one.password, async () => null),
  ).rejects.toThrow('password authentication failed')
})

test('the same operation again gets the first answer, another input is refused', async () => {
  const { of, account_id, database_id } = await furnished()
  const step = { ...of(), table: 'customers', rows: [{ id: 77, email: 'once@example.com' }] }
  const [first, second] = await Promise.all([keeper.verb('insert_rows', step), keeper.verb('insert_rows', step)])
  expect(first).toEqual(second)
  expect(first.keys).toEqual([{ id: '77' }])
  await expect(
    keeper.verb('insert_rows', { ...step, rows: [{ id: 78, email: 'x@example.com' }] }),
  ).rejects.toMatchObject({ name: 'Fault', code: 'OPERATION_REUSED' })
  const { steps } = await keeper.verb('probe', { account_id, operation_id: step.operation_id })
  expect(steps).toEqual([{ verb: 'insert_rows', target: `${database_id}/customers`, state: 'done' }])
})
