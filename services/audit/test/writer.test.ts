import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { fakeClock } from '@bailiwick/kernel/clock'
import type { Commit } from '../src/writer.ts'
import { leafHash } from '../src/leaf.ts'
import { clientOptions } from '../src/log-session.ts'
import { entry, framed, makeFixture, operation, type Fixture } from './helpers.ts'

let log: Fixture
beforeEach(async () => {
  log = await makeFixture()
})
afterEach(() => log.close())

/** A commit that counts what it is given. */
const counting =
  (sizes: number[]): Commit =>
  (session, rows) => {
    sizes.push(rows.length)
    return session.append(rows)
  }

test('64 concurrent appenders get a gapless log from 0, each receipt naming its own entry', async () => {
  const sizes: number[] = []
  const writer = log.writer({ commit: counting(sizes) })
  const receipts = await Promise.all(
    Array.from({ length: 64 }, async (_, appender) => {
      const own = []
      for (let turn = 0; turn < 20; turn += 1) {
        const request_id = `req-${appender}-${turn}`
        own.push({ request_id, ...(await writer.write(entry({ request_id }))) })
      }
      // One appender's entries stand in the order in which it was answered.
      expect(own.map(({ index }) => index)).toEqual(own.map(({ index }) => index).sort((a, b) => a - b))
      return own
    }),
  )
  const leaves = await log.leaves()
  expect(leaves.map(({ index }) => index)).toEqual(Array.from({ length: 1280 }, (_, index) => index))
  for (const receipt of receipts.flat()) {
    const leaf = leaves[receipt.index]!
    expect(leaf.leaf).toMatchObject({ request_id: receipt.request_id, index: receipt.index })
    expect(leafHash(leaf.text).toString('hex')).toBe(receipt.leaf_hash)
    expect(leaf.leaf_hash.toString('hex')).toBe(receipt.leaf_hash)
  }
  expect(sizes.length).toBeLessThan(200)
})

test('an intent or outcome written again is answered with the first receipt', async () => {
  const writer = log.writer()
  const id = operation()
  const intent = await writer.write(framed('intent', id))
  const outcome = await writer.write(framed('outcome', id))
  expect(await writer.write(framed('intent', id, { request_id: 'again' }))).toEqual(intent)
  expect(await writer.write(framed('outcome', id, { status: 500 }))).toEqual(outcome)
  expect(await log.leaves()).toHaveLength(2)
})

test('the same intent many times at once is one entry, and so is its outcome', async () => {
  const writer = log.writer()
  const id = operation()
  const intents = await Promise.all(Array.from({ length: 20 }, () => writer.write(framed('intent', id))))
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => writer.write(framed('outcome', id))))
  expect(new Set(intents.map(({ index }) => index))).toEqual(new Set([0]))
  expect(new Set(outcomes.map(({ index }) => index))).toEqual(new Set([1]))
  expect(await log.leaves()).toHaveLength(2)
})

test('an intent and its outcome that arrive together stand in that order', async () => {
  const writer = log.writer()
  const id = operation()
  const [intent, outcome] = await Promise.all([writer.write(framed('intent', id)), writer.write(framed('outcome', id))])
  expect([intent.index, outcome.index]).toEqual([0, 1])
})

test('an event told again is answered with the first receipt: inside a batch, across batches, and beside new ones', async () => {
  const sizes: number[] = []
  const writer = log.writer({ commit: counting(sizes) })
  const [one, other] = [randomUUID(), randomUUID()]
  const together = await Promise.all([
    writer.write(entry({ request_id: 'first' }), one),
    writer.write(entry({ request_id: 'again' }), one),
    writer.write(entry({ request_id: 'other' }), other),
    writer.write(entry({ request_id: 'again' }), one),
  ])
  expect(together.map(({ index }) => index)).toEqual([0, 0, 1, 0])
  expect(new Set(together.map(({ leaf_hash }) => leaf_hash)).size).toBe(2)
  const [again, fresh, plain] = await Promise.all([
    writer.write(entry({ request_id: 'again' }), one),
    writer.write(entry({ request_id: 'fresh' }), randomUUID()),
    writer.write(entry({ request_id: 'plain' })),
  ])
  expect(again).toEqual(together[0])
  expect(new Set([fresh.index, plain.index])).toEqual(new Set([2, 3]))
  const requests = (await log.leaves()).map(({ leaf }) => leaf['request_id'])
  expect(requests).toHaveLength(4)
  expect(new Set(requests)).toEqual(new Set(['first', 'fresh', 'other', 'plain']))
})

test('an event told under another kind or account is refused, and its neighbours stand; what was told first goes on standing', async () => {
  const writer = log.writer()
  const [one, nobodys] = [randomUUID(), randomUUID()]
  const [first] = await Promise.all([writer.write(entry(), one), writer.write(entry({ account: null }), nobodys)])
  const results = await Promise.allSettled([
    writer.write(entry({ account: 'acc-2' }), one),
    writer.write(entry({ request_id: 'beside' })),
    writer.write(entry({ account: null }), one),
    writer.write(entry({ kind: 'identity' }), one),
    writer.write(entry(), nobodys),
    writer.write(entry({ account: null }), nobodys),
    writer.write(entry(), one),
  ])
  expect(results.map((result) => (result.status === 'fulfilled' ? result.value.index : result.reason.code))).toEqual([
    'EVENT_CONFLICT',
    2,
    'EVENT_CONFLICT',
    'EVENT_CONFLICT',
    'EVENT_CONFLICT',
    1,
    first.index,
  ])
  expect(await log.leaves()).toHaveLength(3)
})

test('an event leaves no trace in the leaf: its format is final', async () => {
  const event = randomUUID()
  const writer = log.writer()
  await writer.write(entry(), event)
  await writer.write(entry())
  const [withEvent, without] = await log.leaves()
  expect(withEvent!.text).not.toContain(event)
  expect(Object.keys(withEvent!.leaf)).toEqual(Object.keys(without!.leaf))
})

test('another writer that takes over knows the events of the one before', async () => {
  const event = randomUUID()
  const receipt = await log.writer().write(entry(), event)
  expect(await log.writer().write(entry(), event)).toEqual(receipt)
  expect(await log.leaves()).toHaveLength(1)
})

test('bad entries of a batch are refused alone; their neighbours stand without a gap', async () => {
  const sizes: number[] = []
  const writer = log.writer({ commit: counting(sizes) })
  const known = operation()
  await writer.write(framed('intent', known))
  const results = await Promise.allSettled([
    writer.write(entry({ request_id: 'a' })),
    writer.write(framed('outcome', operation())),
    writer.write(entry({ request_id: 'b' })),
    writer.write(framed('intent', known)),
    writer.write(framed('intent', known, { account: 'acc-2' })),
    writer.write(framed('outcome', known, { account: 'acc-2' })),
    writer.write(entry({ account: 'not an account' })),
    writer.write(entry({ request_id: 'c' })),
  ])
  expect(results.map((result) => (result.status === 'fulfilled' ? result.value.index : result.reason.code))).toEqual([
    1,
    'INTENT_MISSING',
    2,
    0,
    'OPERATION_CONFLICT',
    'INTENT_MISSING',
    'MESSAGE_INVALID',
    3,
  ])
  expect((await log.leaves()).map(({ leaf }) => leaf['request_id'])).toEqual(['req-1', 'a', 'b', 'c'])
})

test('an entry that the database itself cannot take does not fail its neighbours', async () => {
  const writer = log.writer({
    commit: (session, rows) =>
      session.append(rows.map((row) => (row.leaf.includes('"poison"') ? { ...row, operationId: 'no uuid' } : row))),
  })
  const results = await Promise.allSettled(
    ['a', 'poison', 'b', 'c', 'poison', 'd', 'e'].map((request_id) => writer.write(entry({ request_id }))),
  )
  expect(results.map(({ status }) => status === 'fulfilled')).toEqual([true, false, true, true, false, true, true])
  expect((await log.leaves()).map(({ leaf }) => leaf['request_id'])).toEqual(['a', 'b', 'c', 'd', 'e'])
})

test('a full queue refuses instead of growing', async () => {
  const writer = log.writer({ maxQueue: 10 })
  const results = await Promise.allSettled(Array.from({ length: 30 }, () => writer.write(entry())))
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(10)
  expect(results[29]).toMatchObject({ reason: { code: 'AUDIT_UNAVAILABLE' } })
})

test('a second writer takes over; the first is fenced off for good, also after it reconnects', async () => {
  const first = log.writer()
  await first.write(entry({ request_id: 'first' }))
  const second = log.writer()
  await second.write(entry({ request_id: 'second' }))
  await expect(first.write(entry({ request_id: 'late' }))).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
  await log.cut()
  await expect(first.write(entry({ request_id: 'later' }))).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
  expect(await second.write(entry({ request_id: 'still-here' }))).toMatchObject({ index: 2 })
  expect((await log.leaves()).map(({ leaf }) => leaf['request_id'])).toEqual(['first', 'second', 'still-here'])
  expect(log.lines.join('')).toContain('writer_replaced')
})

test('an acknowledgement comes only after the commit', async () => {
  const order: string[] = []
  const writer = log.writer({
    commit: async (session, rows) => {
      const verdicts = await session.append(rows)
      order.push('committed')
      return verdicts
    },
  })
  await writer.write(entry()).then(() => order.push('acknowledged'))
  expect(order).toEqual(['committed', 'acknowledged'])
})

test('commits are synchronous even where the role says otherwise', async () => {
  await log.root.query(`ALTER ROLE audit IN DATABASE ${log.database.name} SET synchronous_commit = off`)
  const client = new Client(clientOptions(log.database.as('audit')))
  await client.connect()
  const { rows } = await client.query<{ synchronous_commit: string }>('SHOW synchronous_commit')
  await client.end()
  expect(rows[0]!.synchronous_commit).toBe('on')
})

test('openings go into the partition of their class and month, made on demand and ahead of time', async () => {
  const clock = fakeClock(Date.UTC(2026, 11, 31, 23, 59))
  const writer = log.writer({ clock })
  await writer.tend()
  const partitions = async (): Promise<string[]> =>
    (await log.root.query<{ name: string }>('SELECT name FROM audit.partitions ORDER BY name')).rows.map(
      ({ name }) => name,
    )
  expect(await partitions()).toEqual(['long-2026-12', 'long-2027-01', 'standard-2026-12', 'standard-2027-01'])
  await writer.write(entry())
  clock.set(Date.UTC(2027, 4, 5))
  await writer.write(framed('intent', operation(), { tool: 'delete_database', risk: 'destructive' }))
  expect(await partitions()).toContain('long-2027-05')
  const { rows } = await log.root.query(
    'SELECT tableoid::regclass::text AS place, index FROM audit.openings ORDER BY index',
  )
  expect(rows).toEqual([
    { place: 'audit.openings_standard_2026_12', index: '0' },
    { place: 'audit.openings_long_2027_05', index: '1' },
  ])
})

test('a partition whose key the secret store has lost is left behind, not written to under a wrong key', async () => {
  const clock = fakeClock(Date.UTC(2026, 10, 3))
  await log.root.query(`SELECT audit.create_partition('standard-2026-11', sha256('somebody else''s key'))`)
  await log.writer({ clock }).write(entry())
  const [leaf] = await log.leaves()
  expect(leaf!.leaf['opening']).toEqual({ partition: 'standard-2026-11.2' })
  expect(log.lines.join('')).toContain('opening_key_lost')
  const { entries } = await log
    .reader()
    .query({ account: 'acc-1', before: null, limit: 1, tool: null, operation_id: null })
  expect(entries[0]!.personal).toMatchObject({ user: 'erika.mustermann' })
})

test('closing writes what waits, then refuses', async () => {
  const writer = log.writer()
  const waiting = Array.from({ length: 50 }, () => writer.write(entry()))
  await writer.close()
  expect(await Promise.all(waiting)).toHaveLength(50)
  await expect(writer.write(entry())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
  expect(await log.leaves()).toHaveLength(50)
})
