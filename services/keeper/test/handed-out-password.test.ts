// What a handed-out database password can do when it attacks: directly, and through code that it leaves for the keeper to run.
import { Client } from 'pg'
import { newAccount, newDatabase, newOperation, startBench, withSession, type Bench, type Keeper } from './harness.ts'

let bench: Bench
let keeper: Keeper
const account_id = newAccount()
type Made = Awaited<ReturnType<typeof make>>
let mine: Made
let sibling: Made

async function make() {
  const database_id = newDatabase()
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  await keeper.verb('create_database', of())
  await keeper.verb('create_table', {
    ...of(),
    table: 'kept',
    columns: [{ name: 'id', type: 'integer', nullable: false, unique: false }],
    primary_key: ['id'],
  })
  await keeper.verb('insert_rows', { ...of(), table: 'kept', rows: [{ id: 1 }] })
  const { connection, password } = await keeper.verb('issue_password', { account_id, database_id })
  return { database_id, of, connection, password, login: connection.username }
}
const attempt = (text: string): Promise<unknown> =>
  withSession(mine.connection, mine.password, (client) => client.query(text))

/** Whether the login, or any role of the cluster besides ours, has more than it should. */
const powers = async (): Promise<unknown> => {
  const connections = await keeper.clusters.find(account_id)!.connections()
  return connections.use('postgres', 'keeper', async (sql) => [
    (
      await sql.query(
        `SELECT rolname FROM pg_roles WHERE (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
          AND rolname NOT IN ('keeper', 'bailiwick_dumper')`,
      )
    ).rows,
    (await sql.query(`SELECT roleid::regrole::text AS role, member::regrole::text FROM pg_auth_members ORDER BY 1, 2`))
      .rows,
  ])
}

beforeAll(async () => {
  bench = await startBench()
  keeper = await bench.open()
  mine = await make()
  sibling = await make()
})
afterAll(async () => {
  await keeper.close()
  await bench.close()
})

test.each([
  ['drop its database', () => `DROP DATABASE ${mine.connection.database}`],
  ['drop another database', () => `DROP DATABASE ${sibling.connection.database}`],
  ['rename its database', () => `ALTER DATABASE ${mine.connection.database} RENAME TO x`],
  ['close its database', () => `ALTER DATABASE ${mine.connection.database} WITH ALLOW_CONNECTIONS false`],
  ['make a database', () => 'CREATE DATABASE x'],
  ['truncate a table of the keeper', () => 'TRUNCATE kept'],
  ['drop a table of the keeper', () => 'DROP TABLE kept'],
  ['alter a table of the keeper', () => 'ALTER TABLE kept ADD COLUMN x int'],
  ['take a table of the keeper', () => `ALTER TABLE kept OWNER TO ${mine.login}`],
  ['switch off the history of a table of the keeper', () => 'ALTER TABLE kept DISABLE TRIGGER bailiwick_history'],
  ['drop the history of a table of the keeper', () => 'DROP TRIGGER bailiwick_history ON kept'],
  [
    'put a trigger on a table of the keeper',
    () => 'CREATE TRIGGER x AFTER INSERT ON kept EXECUTE FUNCTION tsvector_update_trigger()',
  ],
  ['switch off all triggers', () => `SET session_replication_role = replica`],
  ['drop our event trigger', () => 'DROP EVENT TRIGGER bailiwick_watch_new'],
  ['read the history', () => 'SELECT * FROM bailiwick.history'],
  ['forge a stamp', () => `INSERT INTO bailiwick.operations VALUES (gen_random_uuid(), 'x', 'x', '{}')`],
  ['call our functions', () => 'SELECT bailiwick.watch_all()'],
  ['drop our schema', () => 'DROP SCHEMA bailiwick CASCADE'],
  ['drop public', () => 'DROP SCHEMA public CASCADE'],
  ['make a schema', () => 'CREATE SCHEMA x'],
  ['make a role', () => 'CREATE ROLE x'],
  ['become the owner role', () => `SET ROLE o_${mine.login.slice(2)}`],
  ['become the superuser', () => 'SET SESSION AUTHORIZATION keeper'],
  ['become its writer', () => `SET ROLE w_${mine.login.slice(2)}`],
  ['lift its own connection limit', () => `ALTER ROLE ${mine.login} CONNECTION LIMIT -1`],
  ['make itself a superuser', () => `ALTER ROLE ${mine.login} SUPERUSER`],
  ['set another role’s password', () => `ALTER ROLE ${sibling.login} PASSWORD 'x'`],
  ['grant itself a role', () => `GRANT pg_read_all_data TO ${mine.login}`],
  ['run a program', () => `COPY (SELECT 1) TO PROGRAM 'true'`],
  ['write a file', () => `COPY (SELECT 1) TO '/tmp/x'`],
  ['read a file', () => `SELECT pg_read_file('postgresql.conf')`],
  ['list a folder', () => `SELECT pg_ls_dir('.')`],
  ['read password hashes', () => 'SELECT rolpassword FROM pg_authid'],
  ['import a file as a large object', () => `SELECT lo_import('/etc/passwd')`],
  ['make a large object', () => 'SELECT lo_create(0)'],
  ['install an extension', () => 'CREATE EXTENSION dblink'],
  ['install a trusted extension', () => 'CREATE EXTENSION citext'],
  ['write functions in an untrusted language', () => `CREATE FUNCTION x() RETURNS int LANGUAGE internal AS 'x'`],
  ['load a library', () => `LOAD 'dblink'`],
  ['change the server', () => `ALTER SYSTEM SET archive_command = 'false'`],
  ['stop the archive', () => 'SELECT pg_switch_wal()'],
  [
    'end the keeper’s sessions',
    () => `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'`,
  ],
  ['follow the WAL', () => `SELECT pg_create_physical_replication_slot('x')`],
])('cannot %s', async (_what, text) => {
  const before = await powers()
  await expect(attempt(text())).rejects.toMatchObject({ name: 'error' })
  expect(await powers()).toEqual(before)
  expect((await attempt('SELECT * FROM kept')) as { rows: unknown }).toMatchObject({ rows: [{ id: 1 }] })
})

test.each(['postgres', 'template1', 'template0', 'replication'])('cannot connect to %s', async (database) => {
  await expect(withSession({ ...mine.connection, database }, mine.password, async () => null)).rejects.toThrow()
})

test('cannot connect to a sibling database, and cannot stream the WAL', async () => {
  await expect(
    withSession({ ...mine.connection, database: sibling.connection.database }, mine.password, async () => null),
  ).rejects.toThrow('permission denied')
  const { host, port, database } = mine.connection
  const streaming = new Client({
    host,
    port,
    database,
    user: mine.login,
    password: mine.password,
    replication: 'true',
  } as never)
  await expect(streaming.connect()).rejects.toThrow()
})

test('a password no longer works after a new one was issued', async () => {
  const made = await make()
  const { password } = await keeper.verb('issue_password', { account_id, database_id: made.database_id })
  await expect(withSession(made.connection, made.password, async () => null)).rejects.toThrow('authentication failed')
  await withSession(made.connection, password, async () => null)
})

/** Code that tries everything a superuser could do, and leaves a trace of whom it ran as. */
const PAYLOAD = `
  CREATE TABLE public.ran_as (who text, session text);
  GRANT ALL ON public.ran_as TO PUBLIC;
  CREATE FUNCTION public.evil() RETURNS void LANGUAGE plpgsql AS $f$
  BEGIN
    INSERT INTO public.ran_as VALUES (current_user, session_user);
    BEGIN EXECUTE 'RESET ROLE'; EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN EXECUTE 'ALTER ROLE LOGIN SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN EXECUTE 'GRANT pg_execute_server_program TO LOGIN'; EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN EXECUTE 'ALTER TABLE public.kept OWNER TO LOGIN'; EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN EXECUTE 'TRUNCATE public.kept'; EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN EXECUTE 'DELETE FROM bailiwick.history'; EXCEPTION WHEN OTHERS THEN NULL; END;
  END $f$;
  CREATE FUNCTION public.evil_trigger() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.evil(); RETURN NEW; END $f$;
  CREATE FUNCTION public.evil_value(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN PERFORM public.evil(); RETURN x; END $f$;
  CREATE TYPE public.trap AS ENUM ('x');
  CREATE FUNCTION public.set_config(text, text, bool) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.evil(); RETURN ''; END $f$;
  CREATE FUNCTION public.count(text) RETURNS bigint LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.evil(); RETURN 1; END $f$;
  CREATE TABLE public.baited (id int PRIMARY KEY DEFAULT public.evil_value(1), x int CHECK (public.evil_value(x) = x), trap public.trap);
  CREATE TRIGGER evil BEFORE INSERT OR UPDATE OR DELETE ON public.baited FOR EACH ROW EXECUTE FUNCTION public.evil_trigger();
  CREATE CONSTRAINT TRIGGER evil_late AFTER INSERT ON public.baited DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.evil_trigger();
  CREATE INDEX ON public.baited (public.evil_value(x));
  CREATE VIEW public.evil_view AS SELECT public.evil_value(1)`

test('code left in the database runs with the password’s own rights, whatever the keeper does there', async () => {
  const made = await make()
  const before = await powers()
  await withSession(made.connection, made.password, (client) => client.query(PAYLOAD.replaceAll('LOGIN', made.login)))
  const { of, database_id } = made
  const insert = of()
  await keeper.verb('insert_rows', { ...insert, table: 'baited', rows: [{ x: 1, trap: 'x' }] })
  await keeper.verb('update_rows', { ...of(), table: 'baited', updates: [{ key: { id: 1 }, values: { x: 2 } }] })
  await keeper.verb('remove_rows', { ...of(), table: 'baited', keys: [{ id: 1 }] })
  await keeper.verb('read_rows', { account_id, database_id, table: 'baited', keys: null, after: null, limit: 10 })
  await keeper.verb('describe_database', { account_id, database_id })
  await keeper.verb('run_read_query', { account_id, database_id, sql: 'SELECT 1', timeout_ms: 1000, row_cap: 10 })
  await keeper.verb('dump_database', of())
  await keeper.verb('quarantine_table', { ...of(), table: 'baited' })
  await keeper.verb('restore_table', { ...of(), table: 'baited' })
  const { rows } = await withSession(made.connection, made.password, (client) =>
    client.query<{ who: string; session: string }>('SELECT DISTINCT who, session FROM ran_as ORDER BY 1'),
  )
  const suffix = made.login.slice(2)
  const allowed = [made.login, `w_${suffix}`, `r_${suffix}`]
  // The bait was taken, so this test does test something.
  expect(rows.map(({ who }) => who)).toContain(`w_${suffix}`)
  expect(rows.filter(({ who, session }) => !allowed.includes(who) || session === 'keeper')).toEqual([])
  expect(((await powers()) as unknown[])[0]).toEqual([])
  const after = (await powers()) as [unknown, { role: string; member: string }[]]
  const known = (before as typeof after)[1]
  expect(after[1]).toEqual(known)
  const kept = await withSession(made.connection, made.password, (client) => client.query('SELECT * FROM kept'))
  expect(kept.rows).toEqual([{ id: 1 }])
})
