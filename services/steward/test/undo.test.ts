// Undo: what it brings back, what it refuses, and that it is itself an operation like any other.
import type { Permit } from '@bailiwick/contracts/permit'
import { OBJECTS } from '../src/tools/databases/shape.ts'
import { ALL_SCOPES, codeOf, openHouse, outputOf, textOf, type House, type Steward } from './support/house.ts'

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
const undo = (operation_id: string | null, more: Partial<Permit> = {}) => call('undo', { operation_id }, more)
const STANDARD = { scopes: ALL_SCOPES.filter((scope) => !scope.endsWith(':delete')) }
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

test.each(['a materialized view', 'a function', 'a sequence'])(
  'a create is used once %s was made through the password',
  async (made) => {
    const { id, operation } = await create()
    house.keeper.direct(id).create(made)
    expect(codeOf(await undo(operation, STANDARD))).toBe('CONFIRMATION_REQUIRED')
    expect(outputOf(await call('preview_undo', { operation_id: operation }))['possible']).toBe(false)
    expect(outputOf(await call('list_databases', {}))['databases']).toHaveLength(1)
  },
)

test('what the steward asks a database shows every kind of object that can be made in it, and no temporary one', async () => {
  const look = async () => (await house.superuser.query<{ objects: string }>(OBJECTS)).rows[0]!.objects
  let before = await look()
  expect(before).toMatch(/^[0-9a-f]{32}$/)
  await house.superuser.query('CREATE TEMP TABLE passing (id int); CREATE SCHEMA bailiwick CREATE TABLE kept (id int)')
  // The schema itself is the keeper's.
  expect(await look()).toBe(before)
  for (const sql of [
    'CREATE TABLE public.t (id int)',
    'CREATE MATERIALIZED VIEW public.m AS SELECT 1 AS one',
    'CREATE VIEW public.v AS SELECT 1 AS one',
    'CREATE OR REPLACE VIEW public.v AS SELECT 2 AS one',
    'CREATE SEQUENCE public.s',
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "CREATE TYPE public.e AS ENUM ('a')",
    'CREATE SCHEMA other',
    'SELECT lo_create(0)',
    'TRUNCATE public.t',
  ]) {
    await house.superuser.query(sql)
    const now = await look()
    expect({ sql, seen: now !== before }).toEqual({ sql, seen: true })
    before = now
  }
})

test('objects that cannot be seen count as use', async () => {
  const { operation } = await create()
  house.keeper.refuses.set('run_read_query', { code: 'QUERY_REFUSED', detail: 'no' })
  const reply = await undo(operation)
  house.keeper.refuses.clear()
  expect(codeOf(reply)).toBe('CONFIRMATION_REQUIRED')
})

test('an admin’s deletion, undone, is not repeated by whoever may only write', async () => {
  const { id } = await create()
  const deleted = await remove(id)
  const undone = await undo(deleted.operation_id, STANDARD)
  const before = world()
  const refused = await undo(undone.operation_id, STANDARD)
  expect(refused).toMatchObject({
    ok: false,
    denial: { code: 'INSUFFICIENT_SCOPE', extra: { required_scopes: ['databases:delete'] } },
  })
  expect(outputOf(await call('preview_undo', { operation_id: undone.operation_id }, STANDARD))).toMatchObject({
    possible: false,
    would: expect.stringContaining('databases:delete'),
  })
  expect(world()).toBe(before)
  // Nor is a create, undone and redone: the second removal is one of what somebody wanted back.
  const made = await create('other')
  const redone = await undo((await undo(made.operation, STANDARD)).operation_id, STANDARD)
  expect(codeOf(await undo(redone.operation_id, STANDARD))).toBe('INSUFFICIENT_SCOPE')
  expect((await undo(redone.operation_id)).ok).toBe(true)
})

test('the same for a domain', async () => {
  const reply = await call('add_domain', { name: `u${account.slice(-12)}.example` })
  const redone = await undo((await undo(reply.operation_id, STANDARD)).operation_id, STANDARD)
  expect(codeOf(await undo(redone.operation_id, STANDARD))).toBe('INSUFFICIENT_SCOPE')
  const told = await undo(redone.operation_id)
  expect(house.told(told.operation_id!)).toEqual(['dump_zone', 'quarantine_zone'])
})

test('an undo that removes makes a restore point first, and does nothing when that does not verify', async () => {
  const { id, operation } = await create()
  house.vault.isSound = false
  expect(codeOf(await undo(operation))).toBe('SNAPSHOT_FAILED')
  house.vault.isSound = true
  expect(outputOf(await call('list_databases', {}))['databases']).toHaveLength(1)
  const undone = await undo(operation)
  expect(house.told(undone.operation_id!)).toEqual(['dump_database', 'quarantine_database'])
  expect(house.vault.verified.at(-1)).toBe(`${undone.operation_id}.fake`)
  // Bringing back takes nothing away.
  const redone = await undo(undone.operation_id)
  expect(house.told(redone.operation_id!)).toEqual(['restore_database'])
  expect(await house.version(id)).toBe(3)
})

test('a deletion that was undone is repeated without a preview only while nothing changed', async () => {
  const { id } = await create()
  const undone = await undo((await remove(id)).operation_id)
  house.keeper.direct(id).create('a view')
  const reply = await undo(undone.operation_id)
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
