// Each changing verb, with the keeper dying before it acted and after its effect: the retry finds out by looking, and in the end
// everything has happened exactly once.
import {
  Crash,
  failsAfterEffect,
  failsBeforeAct,
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

const columns = [
  { name: 'id', type: 'integer' as const, nullable: false, unique: false },
  { name: 'n', type: 'integer' as const, nullable: true, unique: false },
]
type Ids = { account_id: typeof account_id; database_id: ReturnType<typeof newDatabase> }
const next = (ids: Ids) => ({ ...ids, operation_id: newOperation() })

/** Brings a new database to where the verb can act, and gives the call. */
const VERBS: Record<string, (ids: Ids) => Promise<Record<string, unknown>>> = {
  create_database: async (ids) => next(ids),
  create_table: async (ids) => {
    await keeper.verb('create_database', next(ids))
    return { ...next(ids), table: 't', columns, primary_key: ['id'] }
  },
  insert_rows: async (ids) => {
    await keeper.verb('create_table', (await VERBS['create_table']!(ids)) as never)
    return { ...next(ids), table: 't', rows: [{ id: 1, n: 1 }] }
  },
  update_rows: async (ids) => {
    await keeper.verb('insert_rows', (await VERBS['insert_rows']!(ids)) as never)
    return { ...next(ids), table: 't', updates: [{ key: { id: 1 }, values: { n: 2 } }] }
  },
  remove_rows: async (ids) => {
    await keeper.verb('insert_rows', (await VERBS['insert_rows']!(ids)) as never)
    return { ...next(ids), table: 't', keys: [{ id: 1 }] }
  },
  reverse_rows: async (ids) => {
    const insert = await VERBS['insert_rows']!(ids)
    await keeper.verb('insert_rows', insert as never)
    return { ...next(ids), of_operation: insert['operation_id'] }
  },
  quarantine_table: async (ids) => {
    await keeper.verb('insert_rows', (await VERBS['insert_rows']!(ids)) as never)
    return { ...next(ids), table: 't' }
  },
  restore_table: async (ids) => {
    await keeper.verb('quarantine_table', (await VERBS['quarantine_table']!(ids)) as never)
    return { ...next(ids), table: 't' }
  },
  set_database_limits: async (ids) => {
    await keeper.verb('create_database', next(ids))
    return { ...next(ids), limits: { connections: 3, statement_timeout_ms: 500 } }
  },
  dump_database: async (ids) => {
    await keeper.verb('insert_rows', (await VERBS['insert_rows']!(ids)) as never)
    return next(ids)
  },
  quarantine_database: async (ids) => {
    await keeper.verb('insert_rows', (await VERBS['insert_rows']!(ids)) as never)
    return next(ids)
  },
  restore_database: async (ids) => {
    await keeper.verb('quarantine_database', (await VERBS['quarantine_database']!(ids)) as never)
    return next(ids)
  },
  restore_database_to_new: async (ids) => {
    await keeper.verb('insert_rows', (await VERBS['insert_rows']!(ids)) as never)
    while ((await keeper.verb('describe_database', ids)).restorable_from === null)
      await new Promise((resolve) => setTimeout(resolve, 50))
    return { ...next(ids), new_database_id: newDatabase(), target_time: Date.now() }
  },
}

test.each(Object.keys(VERBS))(
  '%s happens exactly once, wherever the keeper dies',
  async (verb) => {
    for (const [fails, expected] of [
      [failsBeforeAct(verb), 'not_done'],
      [failsAfterEffect(verb), 'done'],
    ] as const) {
      const ids = { account_id, database_id: newDatabase() }
      const input = await VERBS[verb]!(ids)
      await keeper.reopenOperations({ failpoint: fails })
      await expect(keeper.verb(verb as never, input as never)).rejects.toBeInstanceOf(Crash)
      // In the same life and in the next one, the probe tells what is true of the target.
      const { operation_id } = input as { operation_id: ReturnType<typeof newOperation> }
      const ask = async (): Promise<unknown> =>
        (await keeper.verb('probe', { account_id, operation_id })).steps.map(({ state }) => state)
      expect(await ask()).toEqual([expected])
      await keeper.reopenOperations()
      expect(await ask()).toEqual([expected])
      const answer = await keeper.verb(verb as never, input as never)
      expect(await ask()).toEqual(['done'])
      await keeper.reopenOperations()
      expect(await keeper.verb(verb as never, input as never)).toEqual(answer)
      const state = await keeper.verb('describe_database', ids)
      if (verb === 'insert_rows') expect(state.tables[0]!.rows).toBe(1)
      if (verb === 'reverse_rows' || verb === 'remove_rows') expect(state.tables[0]!.rows).toBe(0)
      if (verb === 'quarantine_database') expect(state.state).toBe('quarantined')
      if (verb === 'dump_database')
        expect((await bench.vault.list({ account_id, kind: 'snapshot', prefix: operation_id })).items).toHaveLength(1)
    }
  },
  120_000,
)

test('a commit whose acknowledgement was lost is found, not repeated', async () => {
  const ids = { account_id, database_id: newDatabase() }
  await keeper.verb('create_table', (await VERBS['create_table']!(ids)) as never)
  const { connection, password } = await keeper.verb('issue_password', ids)
  // The row's session waits in its commit until this one lets go.
  await withSession(connection, password, async (client) => {
    await client.query(`CREATE TABLE gate (id int PRIMARY KEY); INSERT INTO gate VALUES (1);
      CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM public.gate FOR UPDATE; RETURN NEW; END $$;
      CREATE TABLE slow (id int PRIMARY KEY);
      CREATE TRIGGER wait AFTER INSERT ON slow FOR EACH ROW EXECUTE FUNCTION wait()`)
    await client.query('BEGIN; SELECT 1 FROM gate FOR UPDATE')
    const input = { ...next(ids), table: 'slow', rows: [{ id: 1 }] }
    const first = keeper.verb('insert_rows', input).catch((error: unknown) => error)
    const connections = await keeper.clusters.find(account_id)!.connections()
    for (;;) {
      const { rowCount } = await connections.use('postgres', 'keeper', (sql) =>
        sql.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'step %'`),
      )
      if (rowCount) break
    }
    const asked = keeper.verb('probe', { account_id, operation_id: input.operation_id })
    expect((await asked).steps[0]!.state).toBe('not_done')
    expect(await first).toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
    await client.query('COMMIT')
    await keeper.verb('insert_rows', input)
    expect((await client.query('SELECT * FROM slow')).rows).toEqual([{ id: 1 }])
  })
})

test('a refused step leaves no trace and can be tried again', async () => {
  const ids = { account_id, database_id: newDatabase() }
  await keeper.verb('create_table', (await VERBS['create_table']!(ids)) as never)
  const { connection } = await keeper.verb('issue_password', ids)
  const before = await fingerprint(keeper, account_id, connection.database)
  const input = { ...next(ids), table: 't', updates: [{ key: { id: 1 }, values: { n: 5 } }] }
  await expect(keeper.verb('update_rows', input)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(await fingerprint(keeper, account_id, connection.database)).toEqual(before)
  expect((await keeper.verb('probe', { account_id, operation_id: input.operation_id })).steps).toEqual([])
  await keeper.verb('insert_rows', { ...next(ids), table: 't', rows: [{ id: 1 }] })
  expect(await keeper.verb('update_rows', input)).toMatchObject({ updated: 1 })
})

test('without a proven snapshot the dump is refused', async () => {
  const ids = { account_id, database_id: newDatabase() }
  await keeper.verb('create_database', next(ids))
  const { vault } = keeper.hands
  const dumped = async (change: Partial<typeof vault>): Promise<unknown> => {
    Object.assign(keeper.hands, { vault: { ...vault, ...change } })
    return keeper
      .verb('dump_database', next(ids))
      .catch((error: unknown) => error)
      .finally(() => Object.assign(keeper.hands, { vault }))
  }
  const failed = { code: 'SNAPSHOT_FAILED' }
  expect(await dumped({ verify: async () => ({ ok: false }) })).toMatchObject(failed)
  expect(await dumped({ create: () => Promise.reject(new Error('VAULT_FULL')) })).toMatchObject(failed)
  const { Readable } = await import('node:stream')
  expect(await dumped({ read: async () => Readable.from(['not a dump']) })).toMatchObject(failed)
  expect(await keeper.verb('dump_database', next(ids))).toMatchObject({ restore_point: { kind: 'snapshot' } })
})
