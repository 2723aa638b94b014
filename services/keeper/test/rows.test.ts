// Row verbs and their reversal, on a real cluster.
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

async function shop() {
  const database_id = newDatabase()
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  await keeper.verb('create_database', of())
  const { connection, password } = await keeper.verb('issue_password', { account_id, database_id })
  await withSession(connection, password, (client) =>
    client.query(`CREATE TABLE parents (id int PRIMARY KEY, name text UNIQUE, big bigint, exact numeric, odd float8, at timestamptz, doc jsonb, tags text[]);
      CREATE TABLE children (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE, note text, twice int GENERATED ALWAYS AS (parent * 2) STORED);
      CREATE TABLE loose (parent int REFERENCES parents ON DELETE SET NULL ON UPDATE CASCADE, note text)`),
  )
  const query = <T>(text: string): Promise<T[]> =>
    withSession(connection, password, async (client) => (await client.query(text)).rows as T[])
  const image = async (): Promise<unknown> => [
    await query(`SELECT to_jsonb(t)::text FROM parents t ORDER BY id`),
    await query(`SELECT to_jsonb(t)::text FROM children t ORDER BY id`),
    await query(`SELECT to_jsonb(t)::text AS row FROM loose t ORDER BY 1`),
  ]
  return { database_id, of, connection, password, query, image }
}

const fullRow = {
  id: 1,
  name: 'one',
  big: '9007199254740993',
  exact: '0.1234567890123456789012345',
  odd: 'NaN',
  at: '2026-01-02T03:04:05.678901Z',
  doc: { n: 1, deep: [null, 'x'] },
  tags: ['a', 'b"c'],
}

test('values keep every digit on their way in and out', async () => {
  const { database_id, of } = await shop()
  expect(await keeper.verb('insert_rows', { ...of(), table: 'parents', rows: [fullRow] })).toMatchObject({
    keys: [{ id: 1 }],
  })
  const page = { account_id, database_id, table: 'parents', keys: null, after: null, limit: 10 }
  expect((await keeper.verb('read_rows', page)).rows).toEqual([
    { ...fullRow, at: '2026-01-02 03:04:05.678901+00', tags: '{a,"b\\"c"}' },
  ])
})

test('pages follow the primary key and keys are looked up exactly', async () => {
  const { database_id, of } = await shop()
  await keeper.verb('insert_rows', { ...of(), table: 'parents', rows: [3, 1, 2].map((id) => ({ id })) })
  const ids = async (input: object): Promise<unknown[]> => {
    const base = { account_id, database_id, table: 'parents', keys: null, after: null, limit: 2 }
    return (await keeper.verb('read_rows', { ...base, ...input })).rows.map(({ id }) => id)
  }
  expect(await ids({})).toEqual([1, 2])
  expect(await ids({ after: { id: 2 } })).toEqual([3])
  expect(await ids({ keys: [{ id: 3 }, { id: 9 }] })).toEqual([3])
  await expect(ids({ keys: [{ name: 'x' }] })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
})

test.each([
  ['an unknown column', 'parents', { id: 1, nope: 1 }, 'INPUT_INVALID'],
  ['a value of another type', 'parents', { id: 'one' }, 'INPUT_INVALID'],
  ['a taken unique value', 'parents', { id: 50, name: 'taken' }, 'CONFLICT'],
  ['a reference to nothing', 'children', { parent: 999 }, 'CONFLICT'],
  ['a generated column', 'children', { twice: 5 }, 'INPUT_INVALID'],
  ['a table that is not there', 'absent', { id: 1 }, 'NOT_FOUND'],
  ['a table without a key', 'loose', { note: 'x' }, 'TABLE_HAS_NO_KEY'],
])('%s is refused, without the server’s own words, and nothing is inserted', async (_what, table, row, code) => {
  const { of, image } = await shop()
  await keeper.verb('insert_rows', { ...of(), table: 'parents', rows: [{ id: 40, name: 'taken' }] })
  const before = await image()
  const good = table === 'children' ? { parent: 40 } : { id: 41 }
  const refused = keeper.verb('insert_rows', { ...of(), table, rows: [good, row] })
  await expect(refused).rejects.toMatchObject({ ok: false, code })
  await expect(refused).rejects.not.toMatchObject({ detail: expect.stringContaining('taken') as string })
  expect(await image()).toEqual(before)
})

test('an update of a missing key changes none of the others', async () => {
  const { of, image } = await shop()
  await keeper.verb('insert_rows', { ...of(), table: 'parents', rows: [{ id: 1, name: 'one' }] })
  const before = await image()
  const updates = [
    { key: { id: 1 }, values: { name: 'changed' } },
    { key: { id: 2 }, values: { name: 'absent' } },
  ]
  await expect(keeper.verb('update_rows', { ...of(), table: 'parents', updates })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  })
  expect(await image()).toEqual(before)
})

test('insert, update with a moved key, and removal with its cascades are each reversed exactly, and the reversal too', async () => {
  const { of, image, query, database_id } = await shop()
  const reverse = async (of_operation: string): Promise<string> => {
    const operation = of()
    await keeper.verb('reverse_rows', { ...operation, of_operation: of_operation as never })
    return operation.operation_id
  }
  const empty = await image()
  const insert = of()
  await keeper.verb('insert_rows', { ...insert, table: 'parents', rows: [fullRow, { id: 2, name: 'two' }] })
  const inserted = await image()
  await reverse(await reverse(insert.operation_id))
  expect(await image()).toEqual(inserted)
  await query(`INSERT INTO children (parent, note) VALUES (1, 'a'), (1, 'b'), (2, 'c')`)
  await query(`INSERT INTO loose VALUES (1, 'x'), (1, 'x'), (2, 'y')`)
  const filled = await image()

  const update = of()
  const updates = [{ key: { id: 2 }, values: { id: 20, doc: { now: true }, big: '-9223372036854775808' } }]
  await keeper.verb('update_rows', { ...update, table: 'parents', updates })
  const updated = await image()
  expect(updated).not.toEqual(filled)
  const undone = await reverse(update.operation_id)
  expect(await image()).toEqual(filled)
  await reverse(undone)
  expect(await image()).toEqual(updated)

  const removal = of()
  const keys = [{ id: 1 }, { id: 20 }]
  expect(await keeper.verb('remove_rows', { ...removal, table: 'parents', keys })).toMatchObject({ removed: 2 })
  expect(await query('SELECT FROM children')).toHaveLength(0)
  await reverse(removal.operation_id)
  expect(await image()).toEqual(updated)
  expect(empty).not.toEqual(updated)
  expect(await keeper.verb('describe_database', { account_id, database_id })).toMatchObject({ state: 'active' })
})

test('rows that changed since are named and nothing is reversed', async () => {
  const { of, image, query } = await shop()
  const insert = of()
  await keeper.verb('insert_rows', { ...insert, table: 'parents', rows: [{ id: 1 }, { id: 2 }, { id: 3 }] })
  await query(`UPDATE parents SET name = 'theirs' WHERE id = 2`)
  const before = await image()
  await expect(keeper.verb('reverse_rows', { ...of(), of_operation: insert.operation_id })).rejects.toMatchObject({
    code: 'UNDO_CONFLICT',
    conflicts: [{ table: 'parents', key: { id: 2 } }],
  })
  expect(await image()).toEqual(before)
})

test('rows that were made since and refer to what would go are a conflict, not a loss', async () => {
  const { of, image, query } = await shop()
  await query(`CREATE TABLE strict (id int PRIMARY KEY, parent int REFERENCES parents)`)
  const insert = of()
  await keeper.verb('insert_rows', { ...insert, table: 'parents', rows: [{ id: 1 }] })
  await query(`INSERT INTO strict VALUES (1, 1)`)
  const before = await image()
  await expect(keeper.verb('reverse_rows', { ...of(), of_operation: insert.operation_id })).rejects.toMatchObject({
    code: 'UNDO_CONFLICT',
  })
  expect(await image()).toEqual(before)
})

test.each([
  ['disabled', 'ALTER TABLE parents DISABLE TRIGGER bailiwick_history'],
  ['dropped', 'DROP TRIGGER bailiwick_history ON parents'],
  [
    'renamed and disabled',
    'ALTER TRIGGER bailiwick_history ON parents RENAME TO x; ALTER TABLE parents DISABLE TRIGGER x',
  ],
])('a history trigger that the password %s is back for the next row verb', async (_how, statement) => {
  const { of, image, query } = await shop()
  await query(statement)
  const before = await image()
  const insert = of()
  await keeper.verb('insert_rows', { ...insert, table: 'parents', rows: [{ id: 1 }] })
  await keeper.verb('reverse_rows', { ...of(), of_operation: insert.operation_id })
  expect(await image()).toEqual(before)
})

test('what the password changes for itself carries no operation, even when it claims one', async () => {
  const { of, query } = await shop()
  const insert = of()
  await keeper.verb('insert_rows', { ...insert, table: 'parents', rows: [{ id: 1 }] })
  await query(`SELECT set_config('bailiwick.operation', '${insert.operation_id}', false); `)
  await query(
    `SET bailiwick.operation = '${insert.operation_id}'; INSERT INTO parents (id) VALUES (2); UPDATE parents SET name = 'x' WHERE id = 2`,
  )
  await keeper.verb('reverse_rows', { ...of(), of_operation: insert.operation_id })
  expect(await query('SELECT id FROM parents')).toEqual([{ id: 2 }])
})
