// The second door: destroys only what the keeper itself recorded as quarantined, and only after 30 days.
import { fakeClock } from '@bailiwick/kernel/clock'
import { newAccount, newDatabase, newOperation, startBench, withSession, type Bench, type Keeper } from './harness.ts'

const DAY_MS = 24 * 3600 * 1000
const clock = fakeClock()
const account_id = newAccount()
let bench: Bench
let keeper: Keeper
beforeAll(async () => {
  bench = await startBench()
  keeper = await bench.open({ clock })
})
afterAll(async () => {
  await keeper.close()
  await bench.close()
})
const reaper = { caller: 'reaper', signal: new AbortController().signal }
const list = async () => (await keeper.purge().list_quarantined({}, reaper)).items
const columns = [{ name: 'id', type: 'integer' as const, nullable: false, unique: false }]

test('a database is purged 30 days after its quarantine and not a moment earlier', async () => {
  const database_id = newDatabase()
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  await keeper.verb('create_database', of())
  const { operation_id } = of()
  const item = { account_id, kind: 'database' as const, target: database_id, operation_id }
  const purge = (more = {}) => keeper.purge().purge({ ...item, ...more }, reaper)
  await expect(purge()).rejects.toMatchObject({ code: 'NOT_QUARANTINED' })
  await keeper.verb('quarantine_database', { account_id, database_id, operation_id })
  expect(await list()).toEqual([{ ...item, quarantined_at: clock.now() }])
  clock.advance(30 * DAY_MS - 1)
  await expect(purge()).rejects.toMatchObject({ code: 'TOO_YOUNG' })
  await expect(purge({ operation_id: newOperation() })).rejects.toMatchObject({ code: 'NOT_QUARANTINED' })
  clock.advance(1)
  await expect(purge({ account_id: newAccount() })).resolves.toEqual({ purged: false })
  expect(await purge()).toEqual({ purged: true })
  expect(await purge()).toEqual({ purged: true })
  expect(await list()).toEqual([])
  await expect(keeper.verb('restore_database', of())).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('a restored database starts its 30 days anew with its next quarantine', async () => {
  const database_id = newDatabase()
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  await keeper.verb('create_database', of())
  const first = of()
  await keeper.verb('quarantine_database', first)
  clock.advance(31 * DAY_MS)
  await keeper.verb('restore_database', of())
  const purge = (operation_id: typeof first.operation_id) =>
    keeper.purge().purge({ account_id, kind: 'database', target: database_id, operation_id }, reaper)
  await expect(purge(first.operation_id)).rejects.toMatchObject({ code: 'NOT_QUARANTINED' })
  const second = of()
  await keeper.verb('quarantine_database', second)
  await expect(purge(second.operation_id)).rejects.toMatchObject({ code: 'TOO_YOUNG' })
  await keeper.verb('restore_database', of())
})

test('a table is purged after its 30 days, a restored or referenced one never', async () => {
  const database_id = newDatabase()
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  await keeper.verb('create_database', of())
  for (const table of ['gone', 'back'])
    await keeper.verb('create_table', { ...of(), table, columns, primary_key: ['id'] })
  const [gone, back] = [of(), of()]
  await keeper.verb('quarantine_table', { ...gone, table: 'gone' })
  await keeper.verb('quarantine_table', { ...back, table: 'back' })
  await keeper.verb('restore_table', { ...of(), table: 'back' })
  const purge = (table: string, operation_id: typeof gone.operation_id) =>
    keeper.purge().purge({ account_id, kind: 'table', target: `${database_id}/${table}`, operation_id }, reaper)
  expect((await list()).map(({ target }) => target)).toEqual([`${database_id}/gone`])
  await expect(purge('gone', gone.operation_id)).rejects.toMatchObject({ code: 'TOO_YOUNG' })
  clock.advance(30 * DAY_MS)
  await expect(purge('back', back.operation_id)).rejects.toMatchObject({ code: 'NOT_QUARANTINED' })
  expect(await purge('gone', gone.operation_id)).toEqual({ purged: true })
  expect(await list()).toEqual([])
  const { connection, password } = await keeper.verb('issue_password', { account_id, database_id })
  const { rows } = await withSession(connection, password, (client) => client.query('SELECT * FROM back'))
  expect(rows).toEqual([])
})
