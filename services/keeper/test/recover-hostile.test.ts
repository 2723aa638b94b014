// Code that a handed-out password planted can neither act in a point-in-time restore nor stop it.
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

/** A database with a keeper-owned `gold` of two rows, `planted` through the password, then restored. */
async function restoreWith(planted: string) {
  const [database_id, new_database_id] = [newDatabase(), newDatabase()]
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  await keeper.verb('create_database', of())
  const columns = [{ name: 'id', type: 'integer' as const, nullable: false, unique: false }]
  await keeper.verb('create_table', { ...of(), table: 'gold', columns, primary_key: ['id'] })
  await keeper.verb('insert_rows', { ...of(), table: 'gold', rows: [{ id: 1 }, { id: 2 }] })
  const { connection, password } = await keeper.verb('issue_password', { account_id, database_id })
  await withSession(connection, password, (client) => client.query(planted))
  for (;;) {
    const { restorable_from } = await keeper.verb('describe_database', { account_id, database_id })
    if (restorable_from !== null) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const restored = await keeper.verb('restore_database_to_new', { ...of(), new_database_id, target_time: Date.now() })
  const issued = await keeper.verb('issue_password', { account_id, database_id: new_database_id })
  const hex = new_database_id.replaceAll('-', '')
  const ask = async (text: string): Promise<unknown[]> => {
    const connections = await keeper.clusters.find(account_id)!.connections()
    return connections.use(restored.connection.database, 'keeper', async (sql) => (await sql.query(text)).rows)
  }
  const asApp = (text: string): Promise<unknown[]> =>
    withSession(issued.connection, issued.password, async (client) => (await client.query(text)).rows as unknown[])
  return { hex, ask, asApp }
}

const ESCAPE = `create function esc(int) returns boolean language plpgsql immutable as $$ declare u text; begin
  if session_user='bailiwick_loader' then
    begin delete from public.gold; exception when others then null; end;
    begin select rolname into u from pg_catalog.pg_roles r
        where pg_catalog.pg_has_role('bailiwick_loader',r.oid,'member') and rolname like 'u\\_%' limit 1;
      execute pg_catalog.format('alter table public.gold owner to %I',u); delete from public.gold;
    exception when others then null; end;
  end if; return true; end $$;`
const BOOM = `create function boom(int) returns boolean language plpgsql immutable as $$ begin
  if session_user like 'bailiwick_load%' then raise exception 'no restore'; end if; return true; end $$;`

const PLACES = (f: string): string => `
  create domain d_${f} int check (${f}(value));
  create type c_${f} as (d d_${f});
  create table t_${f} (id int primary key check (${f}(id)), g boolean generated always as (${f}(id)) stored, d d_${f},
    c c_${f} default '(1)', check (${f}(1)));
  insert into t_${f} (id, d) values (1, 1), (2, 2);
  create index i_${f} on t_${f} (${f}(id)) where ${f}(1);
  create index on t_${f} ((id + ${f}(2)::int));
  create table p_${f} (id int references t_${f}, d d_${f}) partition by list (d);
  create table p_${f}_1 partition of p_${f} for values in (1);
  insert into p_${f} values (1, 1);
  create materialized view m_${f} as select ${f}(id) from gold;
  create function tr_${f}() returns trigger language plpgsql as $$ begin perform public.${f}(1); return new; end $$;
  create trigger tr before insert on t_${f} for each row when (public.${f}(new.id)) execute function tr_${f}();
  alter table t_${f} enable row level security;
  create policy pol on t_${f} using (public.${f}(id));`

test('planted code does not take over or empty a table of the keeper', async () => {
  const { hex, ask, asApp } = await restoreWith(ESCAPE + PLACES('esc'))
  expect(await ask(`select pg_get_userbyid(relowner) as owner from pg_class where relname = 'gold'`)).toEqual([
    { owner: `o_${hex}` },
  ])
  expect(await asApp('select id from gold order by 1')).toEqual([{ id: 1 }, { id: 2 }])
  expect(
    await ask(
      `select relname from pg_class where relnamespace = 'public'::regnamespace and relowner = 'bailiwick_loader'::regrole`,
    ),
  ).toEqual([])
}, 120_000)

test('planted code that throws does not stop the restore: rows and checks are there, its indexes are left out', async () => {
  const { ask, asApp } = await restoreWith(`${BOOM}${PLACES('boom')}
    create index sound on t_boom (abs(id)); create materialized view fine as select id from gold`)
  expect(await asApp('select id, g, d from t_boom order by 1')).toEqual([
    { id: 1, g: true, d: 1 },
    { id: 2, g: true, d: 2 },
  ])
  expect(await asApp('select id from p_boom')).toEqual([{ id: 1 }])
  expect(await asApp('select id from fine order by 1')).toEqual([{ id: 1 }, { id: 2 }])
  expect(await ask(`select relname from pg_class where relname in ('i_boom', 'sound')`)).toEqual([{ relname: 'sound' }])
  expect(
    await ask(`select conname from pg_constraint where connamespace = 'public'::regnamespace and not convalidated`),
  ).toEqual([])
}, 120_000)

test('checks, generated columns and foreign keys hold for new rows as before', async () => {
  const { asApp } = await restoreWith(`create domain small int check (value < 10);
    create table parts (id serial primary key, n small, twice int generated always as (n * 2) stored, check (n <> 5));
    create table lines (part int references parts, at int) partition by range (at);
    create table lines_1 partition of lines for values from (0) to (10);
    insert into parts (n) values (1), (2); insert into lines values (1, 1), (2, 2);
    create view doubled as select twice from parts`)
  expect(await asApp('select twice from doubled order by 1')).toEqual([{ twice: 2 }, { twice: 4 }])
  expect(await asApp('insert into parts (n) values (4) returning twice')).toEqual([{ twice: 8 }])
  await expect(asApp('insert into parts (n) values (5)')).rejects.toThrow('parts_n_check')
  await expect(asApp('insert into parts (n) values (11)')).rejects.toThrow('small_check')
  await expect(asApp('insert into lines values (99, 1)')).rejects.toThrow('foreign key')
  await expect(asApp('insert into lines values (1, 11)')).rejects.toThrow('no partition')
}, 120_000)

test('a computed partition key, which would run wherever its table is made and stop a restore, cannot be made', async () => {
  await expect(
    restoreWith(`create function k(int) returns int language sql immutable as 'select 1';
      create table computed (id int) partition by list ((id + k(1)))`),
  ).rejects.toMatchObject({ code: '0A000' })
}, 120_000)
