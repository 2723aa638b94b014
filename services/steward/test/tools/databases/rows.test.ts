// Tables and rows: each change reversed by the keeper's history, and never over what changed since.
import createDatabase from '../../../src/tools/databases/create_database.ts'
import createTable from '../../../src/tools/databases/create_table.ts'
import insertRows from '../../../src/tools/databases/insert_rows.ts'
import listRows from '../../../src/tools/databases/list_rows.ts'
import removeRows from '../../../src/tools/databases/remove_rows.ts'
import runReadQuery from '../../../src/tools/databases/run_read_query.ts'
import updateRows from '../../../src/tools/databases/update_rows.ts'
import { denialOf, openWorkshop, proveInverse, type Workshop } from '../harness.ts'

const table = 'customers'
const columns = [
  { name: 'id', type: 'bigint', nullable: false },
  { name: 'name', type: 'text' },
]
async function withTable(): Promise<{ workshop: Workshop; database_id: string }> {
  const workshop = openWorkshop()
  const { output } = await workshop.call(createDatabase, { name: 'shop' })
  const database_id = output['database_id'] as string
  await workshop.call(createTable, { database_id, table, columns, primary_key: ['id'] })
  return { workshop, database_id }
}
const rows = (n: number, from = 1) =>
  Array.from({ length: n }, (_, index) => ({ id: from + index, name: `n${from + index}` }))

test('a table is created and undone while it is empty; with rows in it undo is a conflict', async () => {
  const { workshop, database_id } = await withTable()
  const more = { database_id, table: 'orders', columns, primary_key: ['id'] }
  await proveInverse(workshop, () => workshop.call(createTable, more, { crashes: true }))
  const { operationId } = await workshop.call(createTable, more)
  const inserted = await workshop.call(insertRows, { database_id, table: 'orders', rows: rows(1) })
  expect((await denialOf(workshop.undo(operationId))).code).toBe('UNDO_CONFLICT')
  await workshop.undo(inserted.operationId)
  await workshop.undo(operationId)
  expect((await denialOf(workshop.call(listRows, { database_id, table: 'orders' }))).code).toBe('NOT_FOUND')
})

test('a table that exists, columns that clash and keys that are none are refused', async () => {
  const { workshop, database_id } = await withTable()
  const make = (more: object) =>
    denialOf(workshop.call(createTable, { database_id, table: 'x', columns, primary_key: ['id'], ...more }))
  expect((await make({ table })).code).toBe('CONFLICT')
  for (const bad of [
    { primary_key: ['nope'] },
    { primary_key: ['id', 'id'] },
    { primary_key: [] },
    { columns: [...columns, columns[0]] },
    { columns: [{ name: 'id', type: 'serial' }] },
    { table: 'x"; drop table customers; --' },
  ])
    expect((await make(bad)).code).toBe('INPUT_INVALID')
})

test('inserted rows are undone and redone exactly', async () => {
  const { workshop, database_id } = await withTable()
  const { output } = await proveInverse(workshop, () =>
    workshop.call(insertRows, { database_id, table, rows: rows(3) }, { crashes: true }),
  )
  expect(output).toEqual({ inserted: 3, keys: [{ id: '1' }, { id: '2' }, { id: '3' }] })
})

test('updated rows are undone and redone exactly, a moved key included', async () => {
  const { workshop, database_id } = await withTable()
  await workshop.call(insertRows, { database_id, table, rows: rows(3) })
  const updates = [
    { key: { id: 1 }, values: { name: 'Ada' } },
    { key: { id: 2 }, values: { id: 20, name: null } },
  ]
  await proveInverse(workshop, () => workshop.call(updateRows, { database_id, table, updates }, { crashes: true }))
})

test('removed rows are undone and redone exactly', async () => {
  const { workshop, database_id } = await withTable()
  await workshop.call(insertRows, { database_id, table, rows: rows(3) })
  await proveInverse(workshop, () =>
    workshop.call(removeRows, { database_id, table, keys: [{ id: 1 }, { id: 3 }] }, { crashes: true }),
  )
})

test('undo never overwrites a row that changed since: it names the row and changes nothing', async () => {
  const { workshop, database_id } = await withTable()
  await workshop.call(insertRows, { database_id, table, rows: rows(2) })
  const updates = [1, 2].map((id) => ({ key: { id }, values: { name: 'x' } }))
  const { operationId } = await workshop.call(updateRows, { database_id, table, updates })
  workshop.keeper.direct(database_id).update(table, { id: '2' }, { name: 'by hand' })
  const before = workshop.world()
  const denial = await denialOf(workshop.undo(operationId))
  expect(denial.code).toBe('UNDO_CONFLICT')
  expect(denial.extra?.['conflicts']).toMatchObject([{ path: 'sha256_by_key.{"id":"2"}' }])
  expect(workshop.world()).toEqual(before)
})

test('a removed row whose key was used again is a conflict, not overwritten', async () => {
  const { workshop, database_id } = await withTable()
  await workshop.call(insertRows, { database_id, table, rows: rows(1) })
  const { operationId } = await workshop.call(removeRows, { database_id, table, keys: [{ id: 1 }] })
  workshop.keeper.direct(database_id).insert(table, { id: '1', name: 'newer' })
  expect((await denialOf(workshop.undo(operationId))).code).toBe('UNDO_CONFLICT')
})

test('one key that does not exist refuses the whole call', async () => {
  const { workshop, database_id } = await withTable()
  await workshop.call(insertRows, { database_id, table, rows: rows(1) })
  const before = workshop.world()
  const updates = [1, 99].map((id) => ({ key: { id }, values: { name: 'x' } }))
  expect((await denialOf(workshop.call(updateRows, { database_id, table, updates }))).code).toBe('NOT_FOUND')
  expect((await denialOf(workshop.call(removeRows, { database_id, table, keys: [{ id: 1 }, { id: 99 }] }))).code).toBe(
    'NOT_FOUND',
  )
  expect((await denialOf(workshop.call(insertRows, { database_id, table, rows: rows(2) }))).code).toBe('CONFLICT')
  expect(workshop.world()).toEqual(before)
})

test('more than 100 rows, doubled keys, empty changes and unknown fields are refused', async () => {
  const { workshop, database_id } = await withTable()
  const key = { id: 1 }
  const calls = [
    workshop.call(insertRows, { database_id, table, rows: rows(101) }),
    workshop.call(insertRows, { database_id, table, rows: [] }),
    workshop.call(insertRows, { database_id, table, rows: [{ 'Bad Name': 1 }] }),
    workshop.call(updateRows, { database_id, table, updates: [{ key, values: {} }] }),
    workshop.call(updateRows, { database_id, table, updates: [1, 2].map(() => ({ key, values: { name: 'x' } })) }),
    workshop.call(removeRows, { database_id, table, keys: [key, key] }),
    workshop.call(removeRows, { database_id, table, keys: [{ id: { nested: 1 } }] }),
    workshop.call(removeRows, { database_id, table: 'Customers', keys: [key] }),
    workshop.call(removeRows, { database_id, table, keys: [key], where: '1=1' }),
  ]
  for (const call of calls) expect((await denialOf(call)).code).toBe('INPUT_INVALID')
})

test('pages of rows join without a gap or a repeat, while rows come and go in between', async () => {
  const { workshop, database_id } = await withTable()
  for (let from = 1; from < 250; from += 50)
    await workshop.call(insertRows, { database_id, table, rows: rows(50, from) })
  const seen: string[] = []
  let cursor: unknown
  do {
    const { output } = await workshop.call(listRows, { database_id, table, limit: 60, ...(cursor ? { cursor } : {}) })
    seen.push(...(output['rows'] as { id: string }[]).map(({ id }) => id))
    cursor = output['next_cursor']
    // The row that the cursor stands on goes away: the next page goes on behind it all the same.
    if (seen.length === 60) await workshop.call(removeRows, { database_id, table, keys: [{ id: 60 }, { id: 10 }] })
  } while (cursor)
  expect(seen).toEqual(rows(250).map(({ id }) => String(id)))
})

test('a page of large rows ends early and says where to go on; a large text is cut visibly', async () => {
  const { workshop, database_id } = await withTable()
  const wide = ['id', ...Array.from({ length: 40 }, (_, n) => `c${n}`)]
  const spec = wide.map((name) => ({ name, type: name === 'id' ? 'bigint' : 'text' }))
  await workshop.call(createTable, { database_id, table: 'wide', columns: spec, primary_key: ['id'] })
  const long = 'x'.repeat(5000)
  for (let id = 1; id <= 6; id += 1)
    await workshop.call(insertRows, {
      database_id,
      table: 'wide',
      rows: [Object.fromEntries(wide.map((name) => [name, name === 'id' ? id : long]))],
    })
  const seen: string[] = []
  let cursor: unknown
  let pages = 0
  do {
    const { output } = await workshop.call(listRows, { database_id, table: 'wide', ...(cursor ? { cursor } : {}) })
    seen.push(...(output['rows'] as { id: string; c0: string }[]).map(({ id }) => id))
    expect((output['rows'] as { c0: string }[])[0]!.c0).toMatch(/… \[cut: 1000 characters more\]$/)
    cursor = output['next_cursor']
    pages += 1
  } while (cursor)
  expect(seen).toEqual(['1', '2', '3', '4', '5', '6'])
  expect(pages).toBeGreaterThan(1)
})

test('what an answer strips from a row stays in the row, and undo brings it back as it was', async () => {
  const { workshop, database_id } = await withTable()
  const name = 'pay\u200b \u202Eattacker\u001b[31m'
  await workshop.call(insertRows, { database_id, table, rows: [{ id: 1, name }] })
  const shown = await workshop.call(listRows, { database_id, table })
  expect(shown.output['rows']).toEqual([{ id: '1', name: 'pay attacker' }])
  await proveInverse(workshop, () =>
    workshop.call(updateRows, { database_id, table, updates: [{ key: { id: 1 }, values: { name: 'y' } }] }),
  )
  expect(JSON.stringify(workshop.keeper.world())).toContain(JSON.stringify(name).slice(1, -1))
})

test('a read query says that it was cut; what is no read is refused by the database', async () => {
  const { workshop, database_id } = await withTable()
  await workshop.call(insertRows, { database_id, table, rows: rows(3) })
  const query = (more: object) => workshop.call(runReadQuery, { database_id, sql: 'select * from customers', ...more })
  expect((await query({})).output).toMatchObject({ columns: ['id', 'name'], truncated: false })
  const cut = await query({ row_cap: 2 })
  expect(cut.output).toMatchObject({ truncated: true })
  expect(cut.output['rows']).toHaveLength(2)
  expect((await denialOf(query({ sql: 'delete from customers' }))).code).toBe('QUERY_REFUSED')
  for (const bad of [{ sql: '' }, { row_cap: 1001 }, { timeout_ms: 60_000 }])
    expect((await denialOf(query(bad))).code).toBe('INPUT_INVALID')
})

test('the journal keeps no row: only keys and hashes', async () => {
  const { workshop, database_id } = await withTable()
  const { effect } = updateRows
  await workshop.call(insertRows, { database_id, table, rows: [{ id: 1, name: 'Ada Lovelace' }] })
  const input = updateRows.input.parse({ database_id, table, updates: [{ key: { id: 1 }, values: { name: 'x' } }] })
  const state = effect.kind === 'exact' ? await effect.capture(workshop.context(), input, null) : null
  expect(JSON.stringify(state)).not.toContain('Ada')
  expect(state).toEqual({ sha256_by_key: { '{"id":"1"}': expect.stringMatching(/^[0-9a-f]{64}$/) } })
})

test('a table without a key is listed whole or refused, never cut', async () => {
  const rows = Array.from({ length: 4 }, (_, x) => ({ x }))
  const keeper = {
    read_rows: async ({ limit }: { limit: number }) => ({ rows: rows.slice(0, limit), primary_key: [] }),
  }
  const context = { ...openWorkshop().context(), keeper: keeper as never }
  const list = (limit: number) =>
    listRows.handle(context, listRows.input.parse({ database_id: context.newResourceId, table, limit }))
  expect(await list(4)).toEqual({ rows, primary_key: [], next_cursor: null })
  expect((await denialOf(list(3))).code).toBe('TABLE_HAS_NO_KEY')
})

test('a cursor goes on behind the row itself, not behind what the answer shows of it', async () => {
  const { workshop, database_id } = await withTable()
  const text = [{ name: 'id', type: 'text' }]
  await workshop.call(createTable, { database_id, table: 'keys', columns: text, primary_key: ['id'] })
  const ids = ['a\u200b', 'b', 'c\u202e', 'd']
  await workshop.call(insertRows, { database_id, table: 'keys', rows: ids.map((id) => ({ id })) })
  const seen: unknown[] = []
  let cursor: unknown
  do {
    const { output } = await workshop.call(listRows, {
      database_id,
      table: 'keys',
      limit: 1,
      ...(cursor ? { cursor } : {}),
    })
    seen.push(...(output['rows'] as unknown[]))
    cursor = output['next_cursor']
  } while (cursor)
  expect(seen).toEqual(['a', 'b', 'c', 'd'].map((id) => ({ id })))
})
