// Point-in-time recovery from the real vault: what a handed-out password destroyed comes back beside it.
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
const account_id = newAccount()
beforeAll(async () => {
  bench = await startBench()
  keeper = await bench.open()
})
afterAll(async () => {
  await keeper.close()
  await bench.close()
})

async function untilRestorable(database_id: ReturnType<typeof newDatabase>): Promise<number> {
  for (;;) {
    const { restorable_from } = await keeper.verb('describe_database', { account_id, database_id })
    if (restorable_from !== null) return restorable_from
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('a table emptied through the password comes back in a new database, with everything else as it was then', async () => {
  const database_id = newDatabase()
  const new_database_id = newDatabase()
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  await keeper.verb('create_database', of())
  await keeper.verb('create_table', {
    ...of(),
    table: 'kept',
    columns: [{ name: 'id', type: 'integer', nullable: false, unique: false }],
    primary_key: ['id'],
  })
  await keeper.verb('insert_rows', { ...of(), table: 'kept', rows: [{ id: 1 }, { id: 2 }] })
  const { connection, password } = await keeper.verb('issue_password', { account_id, database_id })
  const connections = await keeper.clusters.find(account_id)!.connections()
  await connections.use(connection.database, 'keeper', (sql) => sql.query('CREATE EXTENSION citext SCHEMA public'))
  await withSession(connection, password, (client) =>
    client.query(`CREATE TABLE orders (id serial PRIMARY KEY, kept int REFERENCES kept, what text);
      INSERT INTO orders (kept, what) SELECT 1 + n % 2, 'order ' || n FROM generate_series(1, 500) n;
      CREATE FUNCTION checked(x text) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT length(x) > 0 $$;
      ALTER TABLE orders ADD CHECK (public.checked(what));
      CREATE INDEX ON orders (lower(what));
      CREATE VIEW big AS SELECT * FROM orders WHERE id > 100`),
  )
  await untilRestorable(database_id)
  const then = await fingerprint(keeper, account_id, connection.database)
  const target_time = Date.now()
  await new Promise((resolve) => setTimeout(resolve, 5))
  await withSession(connection, password, (client) =>
    client.query(`DELETE FROM kept WHERE id NOT IN (SELECT kept FROM orders); TRUNCATE orders`),
  )
  await keeper.verb('quarantine_database', of())

  const restored = await keeper.verb('restore_database_to_new', { ...of(), new_database_id, target_time })
  expect(restored.recovered_to).toBe(target_time)
  const [from, to] = [database_id, new_database_id].map((id) => id.replaceAll('-', ''))
  type Image = { sequences: { last_value: string }[] }
  const renamed = JSON.parse(JSON.stringify(then).replaceAll(from!, to!)) as Image
  const recovered = (await fingerprint(keeper, account_id, restored.connection.database)) as Image
  // PostgreSQL logs sequences up to 32 numbers ahead: after any recovery they go on from there, never from behind.
  const ahead = Number(recovered.sequences[0]!.last_value) - Number(renamed.sequences[0]!.last_value)
  expect(ahead).toBeGreaterThanOrEqual(0)
  expect(ahead).toBeLessThanOrEqual(32)
  recovered.sequences[0]!.last_value = renamed.sequences[0]!.last_value
  expect(recovered).toEqual(renamed)
  // The source was not touched, and the new one works like any other.
  expect(await keeper.verb('describe_database', { account_id, database_id })).toMatchObject({ state: 'quarantined' })
  const there = { account_id, database_id: new_database_id }
  const issued = await keeper.verb('issue_password', there)
  await withSession(issued.connection, issued.password, async (client) => {
    await expect(client.query('TRUNCATE kept CASCADE')).rejects.toThrow('permission denied')
    await client.query(`INSERT INTO orders (kept, what) VALUES (1, 'next')`)
  })
  const insert = { ...there, operation_id: newOperation(), table: 'kept', rows: [{ id: 3 }] }
  await keeper.verb('insert_rows', insert)
  await keeper.verb('reverse_rows', { ...there, operation_id: newOperation(), of_operation: insert.operation_id })
  expect((await keeper.verb('describe_database', there)).tables.map(({ name, rows }) => [name, rows])).toEqual([
    ['kept', 2],
    ['orders', 501],
  ])
}, 120_000)

test('code in the database has no right over any other table while it is loaded', async () => {
  const database_id = newDatabase()
  const new_database_id = newDatabase()
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  await keeper.verb('create_database', of())
  const { connection, password } = await keeper.verb('issue_password', { account_id, database_id })
  await withSession(connection, password, (client) =>
    client.query(`CREATE TABLE ran_as (who text, session text);
      CREATE FUNCTION act() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.ran_as VALUES (current_user, session_user);
        BEGIN EXECUTE 'CREATE ROLE risen SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
        END $$;
      CREATE FUNCTION evil(x int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM public.act(); RETURN true; END $$;
      CREATE TABLE bait (x int CHECK (public.evil(x)));
      CREATE INDEX ON bait (public.evil(x));
      INSERT INTO bait VALUES (1); TRUNCATE ran_as`),
  )
  await untilRestorable(database_id)
  const target_time = Date.now()
  const { connection: made } = await keeper.verb('restore_database_to_new', { ...of(), new_database_id, target_time })
  const connections = await keeper.clusters.find(account_id)!.connections()
  const { rows } = await connections.use(made.database, 'keeper', (sql) =>
    sql.query<{ who: string; session: string }>('SELECT DISTINCT who, session FROM public.ran_as'),
  )
  // Its index ran it, as a role that may not write there.
  expect(rows).toEqual([])
  const { rows: roles } = await connections.use('postgres', 'keeper', (sql) =>
    sql.query(`SELECT rolname FROM pg_roles WHERE rolsuper UNION ALL
      SELECT member::regrole::text FROM pg_auth_members WHERE member = 'bailiwick_loader'::regrole`),
  )
  expect(roles).toEqual([{ rolname: 'keeper' }])
}, 120_000)

test('a target in the future, before the first restore point, or before the database was made is refused', async () => {
  const [database_id, late] = [newDatabase(), newDatabase()]
  await keeper.verb('create_database', { account_id, database_id, operation_id: newOperation() })
  const restorableFrom = await untilRestorable(database_id)
  const between = Date.now()
  await new Promise((resolve) => setTimeout(resolve, 5))
  await keeper.verb('create_database', { account_id, database_id: late, operation_id: newOperation() })
  const restore = (source: typeof late, target_time: number) =>
    keeper.verb('restore_database_to_new', {
      account_id,
      database_id: source,
      new_database_id: newDatabase(),
      operation_id: newOperation(),
      target_time,
    })
  await expect(restore(database_id, Date.now() + 60_000)).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  await expect(restore(database_id, restorableFrom - 3_600_000)).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  await expect(restore(late, between)).rejects.toMatchObject({ code: 'INPUT_INVALID' })
}, 120_000)

test('nothing is left of the scratch cluster', async () => {
  const { readdirSync } = await import('node:fs')
  expect(readdirSync(`${bench.stateDir}/scratch`)).toEqual([])
})
