// Databases: create, change, delete and restore, each proven by deep comparison of the keeper's world.
import createDatabase from '../../../src/tools/databases/create_database.ts'
import createTable from '../../../src/tools/databases/create_table.ts'
import deleteDatabase from '../../../src/tools/databases/delete_database.ts'
import describeTables from '../../../src/tools/databases/describe_tables.ts'
import getDatabase from '../../../src/tools/databases/get_database.ts'
import insertRows from '../../../src/tools/databases/insert_rows.ts'
import listDatabases from '../../../src/tools/databases/list_databases.ts'
import listRows from '../../../src/tools/databases/list_rows.ts'
import previewDeleteDatabase from '../../../src/tools/databases/preview_delete_database.ts'
import restoreDatabaseToNew from '../../../src/tools/databases/restore_database_to_new.ts'
import rotateDatabasePassword from '../../../src/tools/databases/rotate_database_password.ts'
import setDatabaseLimits from '../../../src/tools/databases/set_database_limits.ts'
import { denialOf, openWorkshop, proveInverse, type Workshop } from '../harness.ts'

const TABLE = {
  table: 'customers',
  columns: [
    { name: 'id', type: 'bigint', nullable: false },
    { name: 'name', type: 'text' },
  ],
  primary_key: ['id'],
}
async function withDatabase(workshop: Workshop, name = 'shop'): Promise<string> {
  const { output } = await workshop.call(createDatabase, { name })
  return output['database_id'] as string
}
async function withRows(workshop: Workshop): Promise<string> {
  const database_id = await withDatabase(workshop)
  await workshop.call(createTable, { database_id, ...TABLE })
  await workshop.call(insertRows, {
    database_id,
    table: 'customers',
    rows: [
      { id: 1, name: 'Ada' },
      { id: 2, name: 'Bob' },
    ],
  })
  return database_id
}

test('a created database is listed, and its login is given once, with every reply a fresh password', async () => {
  const workshop = openWorkshop()
  const { output, secret } = await workshop.call(createDatabase, { name: 'shop' })
  expect(secret).toEqual({
    username: expect.stringMatching(/^u_/),
    password: 'password-1',
    host: '127.0.0.1',
    port: 8500,
    database: expect.stringMatching(/^db_/),
  })
  expect(JSON.stringify(output)).not.toContain('password')
  const listed = await workshop.call(listDatabases, {})
  expect(listed.output['databases']).toMatchObject([{ database_id: output['database_id'], name: 'shop' }])
  const rotated = await workshop.call(rotateDatabasePassword, { database_id: output['database_id']! })
  expect(rotated.secret).toMatchObject({ password: 'password-2' })
  expect(rotated.output).toEqual({ database_id: output['database_id'] })
})

test('undo of a create takes an unused database away, and undo of that brings it back', async () => {
  const workshop = openWorkshop()
  await proveInverse(workshop, () => workshop.call(createDatabase, { name: 'shop' }, { crashes: true }))
})

test('undo of a create that has been used since is a delete', async () => {
  const workshop = openWorkshop()
  const { operationId, output } = await workshop.call(createDatabase, { name: 'shop' })
  await workshop.call(createTable, { database_id: output['database_id']!, ...TABLE })
  expect((await denialOf(workshop.undo(operationId))).code).toBe('CONFIRMATION_REQUIRED')
})

test('a name is taken once; names that are none are refused', async () => {
  const workshop = openWorkshop()
  await withDatabase(workshop)
  expect((await denialOf(workshop.call(createDatabase, { name: 'shop' }))).code).toBe('CONFLICT')
  for (const name of ['', 'Shop', '1shop', 'a b', 'x'.repeat(51), 'shop;drop', '../x'])
    expect((await denialOf(workshop.call(createDatabase, { name }))).code).toBe('INPUT_INVALID')
})

test('a deleted database comes back with every row, and deleting is its own redo', async () => {
  const workshop = openWorkshop()
  const database_id = await withRows(workshop)
  const { output } = await proveInverse(workshop, () =>
    workshop.call(deleteDatabase, { database_id }, { crashes: true }),
  )
  expect(output).toEqual({ deleted: true, database_id })
})

test('a delete makes its snapshot before it quarantines, and does nothing when the snapshot fails', async () => {
  const workshop = openWorkshop()
  const database_id = await withRows(workshop)
  const before = workshop.world()
  workshop.keeper.refuses.set('dump_database', { code: 'SNAPSHOT_FAILED', detail: 'no space' })
  expect((await denialOf(workshop.call(deleteDatabase, { database_id }))).code).toBe('SNAPSHOT_FAILED')
  expect(workshop.world()).toEqual(before)
  workshop.keeper.refuses.clear()
  await workshop.call(deleteDatabase, { database_id })
  const order = workshop.keeper.calls.map(({ verb }) => verb)
  expect(order.lastIndexOf('dump_database')).toBeLessThan(order.indexOf('quarantine_database'))
})

test('a database whose name was taken meanwhile is restored beside the newer one, under a free name', async () => {
  const workshop = openWorkshop()
  const first = await withRows(workshop)
  const deleted = await workshop.call(deleteDatabase, { database_id: first })
  const second = await withDatabase(workshop)
  const undone = await workshop.undo(deleted.operationId)
  expect(workshop.resources.get(first)).toMatchObject({ name: 'shop-restored', state: 'active' })
  expect(workshop.resources.get(second)).toMatchObject({ name: 'shop', state: 'active' })
  // Undo of that undo puts it away again; with both names taken the next one is found.
  const redone = await workshop.undo(undone.operationId)
  await withDatabase(workshop, 'shop-restored')
  await workshop.undo(redone.operationId)
  expect(workshop.resources.get(first)).toMatchObject({ name: 'shop-restored-2', state: 'active' })
})

test('undo of undo does not take away a restored database that has been used since', async () => {
  const workshop = openWorkshop()
  const database_id = await withRows(workshop)
  const deleted = await workshop.call(deleteDatabase, { database_id })
  const undone = await workshop.undo(deleted.operationId)
  workshop.keeper.direct(database_id).insert('customers', { id: '3', name: 'Cid' })
  expect((await denialOf(workshop.undo(undone.operationId))).code).toBe('CONFIRMATION_REQUIRED')
})

test('the preview of a delete counts what goes and promises what stays', async () => {
  const workshop = openWorkshop()
  const database_id = await withRows(workshop)
  const { output } = await workshop.call(previewDeleteDatabase, { database_id })
  expect(output['impact']).toMatchObject({
    name: 'shop',
    tables: 1,
    rows: 2,
    undo_until: expect.stringMatching(/^\d{4}-.*Z$/),
  })
})

test('limits are set and undone; changed since, undo is a conflict', async () => {
  const workshop = openWorkshop()
  const database_id = await withDatabase(workshop)
  const limits = { connections: 5, statement_timeout_ms: 1000 }
  await proveInverse(workshop, () => workshop.call(setDatabaseLimits, { database_id, limits }, { crashes: true }))
  const first = await workshop.call(setDatabaseLimits, { database_id, limits })
  await workshop.call(setDatabaseLimits, { database_id, limits: { connections: 6, statement_timeout_ms: 1000 } })
  const denial = await denialOf(workshop.undo(first.operationId))
  expect(denial.code).toBe('UNDO_CONFLICT')
  expect(denial.extra?.['conflicts']).toEqual([{ path: 'limits.connections', left: 5, now: 6 }])
  const last = await workshop.call(setDatabaseLimits, { database_id, limits })
  await workshop.call(deleteDatabase, { database_id })
  expect((await denialOf(workshop.undo(last.operationId))).code).toBe('UNDO_CONFLICT')
})

test('limits out of range are refused', async () => {
  const workshop = openWorkshop()
  const database_id = await withDatabase(workshop)
  const limits = { connections: 5, statement_timeout_ms: 1000 }
  for (const connections of [0, 101, 1.5])
    expect(
      (await denialOf(workshop.call(setDatabaseLimits, { database_id, limits: { ...limits, connections } }))).code,
    ).toBe('INPUT_INVALID')
})

test('a table emptied outside every operation comes back by restoring to a moment before', async () => {
  const workshop = openWorkshop()
  const database_id = await withRows(workshop)
  const moment = workshop.clock.now()
  workshop.clock.advance(60_000)
  const outside = workshop.keeper.direct(database_id)
  outside.remove('customers', { id: '1' })
  outside.remove('customers', { id: '2' })
  const restored = await workshop.call(restoreDatabaseToNew, {
    database_id,
    target_time: new Date(moment).toISOString(),
    name: 'shop-then',
  })
  expect(restored.secret).toMatchObject({ password: expect.any(String) })
  const rows = await workshop.call(listRows, { database_id: restored.output['database_id']!, table: 'customers' })
  expect(rows.output['rows']).toEqual([
    { id: '1', name: 'Ada' },
    { id: '2', name: 'Bob' },
  ])
  const source = await workshop.call(listRows, { database_id, table: 'customers' })
  expect(source.output['rows']).toEqual([])
})

test('a deleted database can be restored to a new one; times outside the window and bad times are refused', async () => {
  const workshop = openWorkshop()
  const database_id = await withRows(workshop)
  const target_time = new Date(workshop.clock.now()).toISOString()
  await workshop.call(deleteDatabase, { database_id })
  const { output } = await workshop.call(restoreDatabaseToNew, { database_id, target_time, name: 'again' })
  expect(output['recovered_to']).toBe(target_time)
  for (const [time, code] of [
    ['2020-01-01T00:00:00Z', 'INPUT_INVALID'],
    ['2999-01-01T00:00:00Z', 'INPUT_INVALID'],
    ['yesterday', 'INPUT_INVALID'],
    ['2026-01-01', 'INPUT_INVALID'],
  ] as const)
    expect(
      (await denialOf(workshop.call(restoreDatabaseToNew, { database_id, target_time: time, name: 'x' }))).code,
    ).toBe(code)
  expect((await denialOf(workshop.call(restoreDatabaseToNew, { database_id, target_time, name: 'again' }))).code).toBe(
    'CONFLICT',
  )
})

test('another account’s database is not found, by any tool that takes an id', async () => {
  const workshop = openWorkshop()
  const stranger = openWorkshop(workshop)
  const database_id = await withRows(workshop)
  const calls = [
    stranger.call(getDatabase, { database_id }),
    stranger.call(describeTables, { database_id }),
    stranger.call(listRows, { database_id, table: 'customers' }),
    stranger.call(deleteDatabase, { database_id }),
    stranger.call(insertRows, { database_id, table: 'customers', rows: [{ id: 9 }] }),
  ]
  for (const call of calls) expect(await denialOf(call)).toEqual({ code: 'NOT_FOUND' })
})

test('tables and databases are paged without a gap', async () => {
  const workshop = openWorkshop()
  const ids = []
  for (let n = 0; n < 5; n += 1) ids.push(await withDatabase(workshop, `db-${n}`))
  const database_id = ids[0]!
  for (let n = 0; n < 5; n += 1) await workshop.call(createTable, { database_id, ...TABLE, table: `t${n}` })
  const tables: unknown[] = []
  let cursor: string | null = null
  do {
    const page: { output: { [key: string]: unknown } } = await workshop.call(describeTables, {
      database_id,
      limit: 2,
      ...(cursor ? { cursor } : {}),
    })
    tables.push(...(page.output['tables'] as { name: string }[]).map(({ name }) => name))
    cursor = page.output['next_cursor'] as string | null
  } while (cursor)
  expect(tables).toEqual(['t0', 't1', 't2', 't3', 't4'])
  for (const bad of [{ limit: 0 }, { limit: 101 }, { cursor: 'no cursor' }, { extra: 1 }])
    expect((await denialOf(workshop.call(describeTables, { database_id, ...bad }))).code).toBe('INPUT_INVALID')
})
