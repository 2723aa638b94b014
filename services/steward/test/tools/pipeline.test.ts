// Every tool of these domains once through the real pipeline: journal, locks, versions and undo in a real PostgreSQL.
import type { Json } from '@bailiwick/kernel/canonical'
import { AccountId } from '@bailiwick/kernel/ids'
import { tools } from '../../src/tools/index.ts'
import { codeOf, openHouse, outputOf, type House, type Steward } from '../support/house.ts'

type Fields = { [field: string]: Json }
let house: House
let steward: Steward
let account: ReturnType<typeof AccountId.parse>
const used = new Set<string>()
beforeAll(async () => {
  house = await openHouse()
  steward = house.steward()
})
afterAll(() => house.close())
beforeEach(() => {
  account = AccountId.parse(house.account())
})

async function call(tool: string, input: Fields, more: { bound?: { resource_id: string; version: number } } = {}) {
  used.add(tool)
  house.clock.advance(1000)
  return house.call(steward, tool, input, { account, ...more })
}
const run = async (tool: string, input: Fields): Promise<Fields> => outputOf(await call(tool, input))
/** Preview, then the delete that it allows. */
async function destroy(tool: string, field: string, input: Fields): Promise<Fields> {
  const preview = await run(`preview_${tool}`, input)
  expect(preview).toMatchObject({ impact: expect.any(Object), preview_token: expect.any(String) })
  const resource_id = input[field] as string
  const bound = { resource_id, version: await house.version(resource_id) }
  return outputOf(await call(tool, { ...input, preview_token: preview['preview_token']!, confirm: true }, { bound }))
}
const undo = (answer: Fields): Promise<Fields> =>
  run('undo', { operation_id: (answer['undo'] as { operation_id: string }).operation_id })

/** The deed, its undo, the undo of that and of that again: the world is each time as it was. */
async function prove(deed: () => Promise<Fields>): Promise<Fields> {
  const before = house.keeper.world()
  const answer = await deed()
  const after = house.keeper.world()
  expect(after).not.toEqual(before)
  const undone = await undo(answer)
  expect(house.keeper.world()).toEqual(before)
  const redone = await undo(undone)
  expect(house.keeper.world()).toEqual(after)
  await undo(redone)
  expect(house.keeper.world()).toEqual(before)
  return answer
}

const columns = [
  { name: 'id', type: 'bigint', nullable: false },
  { name: 'name', type: 'text' },
]
const table = 'customers'

test('databases: every change goes through, back, forth and back', async () => {
  const created = await prove(() => run('create_database', { name: 'shop' }))
  expect(created['secret']).toMatchObject({ password: expect.any(String) })
  const { database_id } = (await run('create_database', { name: 'shop' })) as { database_id: string }
  await prove(() => run('create_table', { database_id, table, columns, primary_key: ['id'] }))
  await run('create_table', { database_id, table, columns, primary_key: ['id'] })
  await prove(() => run('insert_rows', { database_id, table, rows: [{ id: 1, name: 'Ada' }] }))
  await run('insert_rows', { database_id, table, rows: [{ id: 1, name: 'Ada' }] })
  await prove(() => run('update_rows', { database_id, table, updates: [{ key: { id: 1 }, values: { name: 'Bob' } }] }))
  await prove(() => run('remove_rows', { database_id, table, keys: [{ id: 1 }] }))
  const limits = { connections: 3, statement_timeout_ms: 500 }
  await prove(() => run('set_database_limits', { database_id, limits }))
  const target_time = new Date(house.clock.now()).toISOString()
  await prove(() => destroy('delete_database', 'database_id', { database_id }))

  expect(await run('rotate_database_password', { database_id })).toMatchObject({
    secret: { password: expect.any(String) },
  })
  expect((await run('list_databases', {}))['databases']).toMatchObject([{ database_id }])
  expect(await run('get_database', { database_id })).toMatchObject({ name: 'shop', tables: 1 })
  expect((await run('describe_tables', { database_id }))['tables']).toMatchObject([{ name: table, rows: 1 }])
  expect((await run('list_rows', { database_id, table }))['rows']).toEqual([{ id: '1', name: 'Ada' }])
  expect((await run('run_read_query', { database_id, sql: 'select * from customers' }))['rows']).toEqual([['1', 'Ada']])
  const again = await run('restore_database_to_new', { database_id, target_time, name: 'shop-then' })
  expect(again).toMatchObject({ recovered_to: target_time, secret: { password: expect.any(String) } })
  expect(again).not.toHaveProperty('undo')
})

test('a name taken meanwhile: the database is restored beside the newer one', async () => {
  const { database_id } = await run('create_database', { name: 'shop' })
  const deleted = await destroy('delete_database', 'database_id', { database_id: database_id! })
  await run('create_database', { name: 'shop' })
  await undo(deleted)
  const { databases } = (await run('list_databases', {})) as { databases: { name: string }[] }
  expect(databases.map(({ name }) => name).sort()).toEqual(['shop', 'shop-restored'])
})

test('domains and DNS: every change goes through, back, forth and back', async () => {
  await prove(() => run('add_domain', { name: 'Example.com' }))
  const added = await run('add_domain', { name: 'example.com' })
  const domain_id = added['domain_id'] as string
  const proof = added['verification'] as { name: string; value: string }
  const www = { domain_id, name: 'www', type: 'A' }
  await prove(() => run('set_dns_records', { ...www, records: ['198.51.100.7'] }))
  await run('set_dns_records', { ...www, records: ['198.51.100.7'] })
  await prove(() => destroy('delete_dns_records', 'domain_id', { domain_id, sets: [{ name: 'www', type: 'A' }] }))
  const { versions } = (await run('list_dns_versions', { domain_id })) as { versions: { version: number }[] }
  await prove(() => run('restore_dns_version', { domain_id, version: 1 }))
  expect((await run('diff_dns_versions', { domain_id, from_version: 1 }))['changes']).toMatchObject([{ name: 'www' }])
  expect(versions[0]!.version).toBe(versions.length)
  house.keeper.txt.set(proof.name, [proof.value])
  await prove(() => run('verify_domain', { domain_id }))
  await run('verify_domain', { domain_id })
  await prove(() => run('sign_domain', { domain_id }))
  const { key } = await run('sign_domain', { domain_id })
  await prove(() => run('unsign_domain', { domain_id }))
  await prove(() => destroy('delete_domain', 'domain_id', { domain_id }))
  expect(await run('get_dnssec', { domain_id })).toMatchObject({ state: 'signed', key })

  expect((await run('list_domains', {}))['domains']).toMatchObject([{ name: 'example.com', verified: true }])
  expect(await run('get_domain', { domain_id })).toMatchObject({ state: 'published', verified_at: expect.any(String) })
  expect(await run('check_domain', { domain_id })).toMatchObject({ verified: true })
  expect((await run('list_dns_records', { domain_id, type: 'A' }))['record_sets']).toMatchObject([{ name: 'www' }])
})

test('an existing MX waits for the owner, and what follows from it too', async () => {
  const { domain_id } = await run('add_domain', { name: 'mail.example' })
  const mx = { domain_id: domain_id!, name: '@', type: 'MX' }
  const first = await run('set_dns_records', { ...mx, records: ['10 mx.example'] })
  expect(codeOf(await call('set_dns_records', { ...mx, records: ['10 evil.example'] }))).toBe('APPROVAL_REQUIRED')
  const { operation_id } = first['undo'] as { operation_id: string }
  expect(codeOf(await call('undo', { operation_id }))).toBe('APPROVAL_REQUIRED')
})

test('a preview goes stale when the zone changes', async () => {
  const { domain_id } = (await run('add_domain', { name: 'stale.example' })) as { domain_id: string }
  const bound = { resource_id: domain_id, version: await house.version(domain_id) }
  await run('set_dns_records', { domain_id, name: 'www', type: 'A', records: ['198.51.100.7'] })
  const input = { domain_id, preview_token: 'x', confirm: true }
  expect(codeOf(await call('delete_domain', input, { bound }))).toBe('PREVIEW_STALE')
})

test('a change made outside is never overwritten by undo', async () => {
  const { database_id } = (await run('create_database', { name: 'shop' })) as { database_id: string }
  await run('create_table', { database_id, table, columns, primary_key: ['id'] })
  const inserted = await run('insert_rows', { database_id, table, rows: [{ id: 1, name: 'Ada' }] })
  house.keeper.direct(database_id).update(table, { id: '1' }, { name: 'by hand' })
  const { operation_id } = inserted['undo'] as { operation_id: string }
  expect(codeOf(await call('undo', { operation_id }))).toBe('UNDO_CONFLICT')
})

test('nothing reached the keeper before its intent was in the log, and no row or record value is readable there', () => {
  expect(house.unrecorded).toEqual([])
  const log = JSON.stringify(house.audit.entries)
  const readable = ['Ada', 'Bob', '198.51.100.7', 'select *', '10 mx.example', 'password-'].filter((value) =>
    log.includes(value),
  )
  expect(readable).toEqual([])
  expect(log).toContain('customers')
})

test('no tool of these domains was left out', () => {
  const mine = tools.filter(({ domain }) => ['databases', 'domains', 'dns'].includes(domain)).map(({ name }) => name)
  expect(mine.filter((name) => !used.has(name))).toEqual([])
})
