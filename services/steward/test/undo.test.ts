// Undo: what it brings back, what it refuses, and that it is itself an operation like any other.
import type { Permit } from '@bailiwick/contracts/permit'
import { codeOf, openHouse, outputOf, textOf, type House, type Steward } from './support/house.ts'

let house: House
let steward: Steward
let account: Permit['account']
beforeAll(async () => {
  house = await openHouse()
})
beforeEach(() => {
  steward = house.steward()
  account = house.account()
  house.clock.advance(1000)
})
afterAll(() => house.close())

const call = (tool: string, input: object, more: Partial<Permit> = {}) =>
  house.call(steward, tool, input as never, { account, ...more })
const undo = (operation_id: string | null) => call('undo', { operation_id })
const remove = async (id: string) =>
  call(
    'delete_database',
    { database_id: id, preview_token: 't', confirm: true },
    { bound: { resource_id: id, version: await house.version(id) }, preview_id: 'p' },
  )
const create = async (name = 'shop') => {
  const reply = await call('create_database', { name })
  return { id: textOf(reply, 'database_id'), operation: reply.operation_id! }
}
const setLimits = (id: string, connections: number) =>
  call('set_database_limits', { database_id: id, limits: { connections, statement_timeout_ms: 1000 } })
const world = (): string => JSON.stringify(house.keeper.world())

test('a change, its undo, the undo of that, and so on: each leaves the world as promised, and can be undone again', async () => {
  const { id } = await create()
  const before = world()
  const deed = await setLimits(id, 5)
  const after = world()
  expect(outputOf(deed)['undo']).toEqual({ operation_id: deed.operation_id, undo_until: expect.stringMatching(/Z$/) })
  const undone = await undo(deed.operation_id)
  expect(world()).toBe(before)
  expect(outputOf(undone)).toMatchObject({ undone: deed.operation_id, undo: { operation_id: undone.operation_id } })
  expect(outputOf(await call('get_operation', { operation_id: deed.operation_id }))['undone_by']).toBe(
    undone.operation_id,
  )
  expect(codeOf(await undo(deed.operation_id))).toBe('UNDO_UNAVAILABLE')
  const redone = await undo(undone.operation_id)
  expect(world()).toBe(after)
  // What had been undone stands again.
  expect(outputOf(await call('get_operation', { operation_id: deed.operation_id }))['undone_by']).toBeNull()
  await undo(redone.operation_id)
  expect(world()).toBe(before)
  expect(await house.version(id)).toBe(5)
})

test('a deletion is in the trash until it is undone, and comes back whole', async () => {
  const { id } = await create()
  const before = world()
  const deleted = await remove(id)
  expect(world()).not.toBe(before)
  expect(outputOf(await call('list_databases', {}))['databases']).toEqual([])
  const { items } = outputOf(await call('list_trash', {})) as { items: object[] }
  expect(items).toEqual([
    expect.objectContaining({ operation_id: deleted.operation_id, resource_id: id, name: 'shop', kind: 'database' }),
  ])
  expect(outputOf(await call('preview_undo', { operation_id: deleted.operation_id }))).toMatchObject({
    possible: true,
    conflicts: [],
  })
  await undo(deleted.operation_id)
  expect(world()).toBe(before)
  expect(outputOf(await call('list_trash', {}))).toMatchObject({ items: [] })
  expect(outputOf(await call('list_databases', {}))['databases']).toHaveLength(1)
})

test('the trash and operations are shown to tokens that may read their domain only', async () => {
  const { id, operation } = await create()
  await remove(id)
  const scopes = ['dns:read', 'databases:delete']
  expect(outputOf(await call('list_trash', {}, { scopes }))).toMatchObject({ items: [] })
  for (const tool of ['get_operation', 'preview_undo'])
    expect(codeOf(await call(tool, { operation_id: operation }, { scopes }))).toBe('NOT_FOUND')
})

test('the trash is paged, newest first, without a gap', async () => {
  const operations: (string | null)[] = []
  for (const name of ['a', 'b', 'c']) {
    const { id } = await create(name)
    house.clock.advance(1000)
    operations.unshift((await remove(id)).operation_id)
  }
  const seen: string[] = []
  let cursor: unknown
  do {
    const page = outputOf(await call('list_trash', { limit: 1, ...(cursor ? { cursor } : {}) })) as {
      items: { operation_id: string }[]
      next_cursor: string | null
    }
    seen.push(...page.items.map(({ operation_id }) => operation_id))
    cursor = page.next_cursor
  } while (cursor)
  expect(seen).toEqual(operations)
  expect(codeOf(await call('list_trash', { cursor: 'bm90IG9uZQ' }))).toBe('INPUT_INVALID')
})

test('what was changed since is never overwritten: UNDO_CONFLICT names the differences', async () => {
  const { id } = await create()
  const deed = await setLimits(id, 5)
  await setLimits(id, 6)
  const before = world()
  const reply = await undo(deed.operation_id)
  expect(codeOf(reply)).toBe('UNDO_CONFLICT')
  expect(!reply.ok && reply.denial.extra?.['conflicts']).toEqual([{ path: 'limits.connections', left: 5, now: 6 }])
  expect(outputOf(await call('preview_undo', { operation_id: deed.operation_id }))).toMatchObject({
    possible: false,
    conflicts: [{ path: 'limits.connections', left: 5, now: 6 }],
  })
  expect(world()).toBe(before)
})

test('undoing a create whose database has been used is a deletion: CONFIRMATION_REQUIRED names its preview', async () => {
  const { id, operation } = await create()
  await call('create_table', {
    database_id: id,
    table: 't',
    columns: [{ name: 'id', type: 'integer' }],
    primary_key: ['id'],
  })
  const reply = await undo(operation)
  expect(codeOf(reply)).toBe('CONFIRMATION_REQUIRED')
  expect(!reply.ok && reply.denial.next).toContain('preview_delete_database')
})

test('a create that nobody used is undone; its name is free again', async () => {
  const { operation } = await create()
  expect((await undo(operation)).ok).toBe(true)
  expect((await create()).id).toBeDefined()
})

test('a name that was taken again is restored beside it', async () => {
  const { id } = await create()
  const deleted = await remove(id)
  await create()
  expect((await undo(deleted.operation_id)).ok).toBe(true)
  const { databases } = outputOf(await call('list_databases', {})) as { databases: { name: string }[] }
  expect(databases.map(({ name }) => name).sort()).toEqual(['shop', 'shop-restored'])
})

test('ends with its window: UNDO_EXPIRED', async () => {
  const { id } = await create()
  const deed = await setLimits(id, 5)
  house.clock.advance(30 * 86_400_000)
  expect(codeOf(await undo(deed.operation_id))).toBe('UNDO_EXPIRED')
})

test('what keeps nothing to go back to, or did nothing, is UNDO_UNAVAILABLE', async () => {
  const { id } = await create()
  const rotated = await call('rotate_database_password', { database_id: id })
  expect(codeOf(await undo(rotated.operation_id))).toBe('UNDO_UNAVAILABLE')
  const refused = await call('set_database_limits', {
    database_id: account,
    limits: { connections: 5, statement_timeout_ms: 1000 },
  })
  expect(codeOf(refused)).toBe('NOT_FOUND')
  expect(codeOf(await undo(refused.operation_id))).toBe('UNDO_UNAVAILABLE')
})

test('two undos of one deed at once: one acts', async () => {
  const { id } = await create()
  const deed = await setLimits(id, 5)
  const replies = await Promise.all([undo(deed.operation_id), undo(deed.operation_id)])
  expect(replies.filter(({ ok }) => ok)).toHaveLength(1)
  const other = replies.find(({ ok }) => !ok)!
  expect(['RESOURCE_BUSY', 'UNDO_UNAVAILABLE']).toContain(codeOf(other))
})
