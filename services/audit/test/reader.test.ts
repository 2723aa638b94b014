import { entry, framed, makeFixture, operation, PERSONAL, type Fixture } from './helpers.ts'
import type { Writer } from '../src/writer.ts'

let log: Fixture
let writer: Writer
beforeEach(async () => {
  log = await makeFixture()
  writer = log.writer()
})
afterEach(() => log.close())

const ask = (change: object = {}) =>
  log.reader().query({ account: 'acc-1', before: null, limit: 50, tool: null, operation_id: null, ...change })

/** Changes a stored row as somebody with the disk in hand could: without the triggers. */
const tamper = async (table: string, sql: string): Promise<void> => {
  await log.root.query(`ALTER TABLE ${table} DISABLE TRIGGER append_only`)
  const { rowCount } = await log.root.query(sql)
  expect(rowCount).toBe(1)
}
const partitionOf = async (index: number): Promise<string> =>
  (
    await log.root.query<{ place: string }>(
      'SELECT tableoid::regclass::text AS place FROM audit.openings WHERE index = $1',
      [index],
    )
  ).rows[0]!.place

test('entries come back opened, newest first, in pages that join without gap or repetition', async () => {
  for (let turn = 0; turn < 12; turn += 1)
    await Promise.all([writer.write(entry({ request_id: `r${turn}` })), writer.write(entry({ account: 'acc-2' }))])
  const seen: unknown[] = []
  let before: number | null = null
  do {
    const page = await ask({ before, limit: 5 })
    seen.push(...page.entries.map(({ leaf }) => leaf['request_id']))
    for (const { personal } of page.entries) expect(personal).toEqual(PERSONAL)
    before = page.next_before
  } while (before !== null)
  expect(seen).toEqual(Array.from({ length: 12 }, (_, turn) => `r${11 - turn}`))
})

test('entries and openings of other accounts, and of none, are never returned', async () => {
  const theirs = operation()
  await Promise.all([
    writer.write(entry({ account: 'acc-1', personal: { user: 'mine' } })),
    writer.write(entry({ account: 'acc-2', personal: { user: 'theirs' } })),
    writer.write(framed('intent', theirs, { account: 'acc-2', personal: { user: 'theirs' } })),
    writer.write(entry({ account: null, personal: { user: 'nobody' } })),
  ])
  for (const question of [{}, { tool: 'list_domains' }, { before: 100 }]) {
    const { entries } = await ask(question)
    expect(entries.map(({ personal }) => personal)).toEqual([{ user: 'mine' }])
  }
  expect((await ask({ operation_id: theirs })).entries).toEqual([])
  expect((await ask({ account: 'acc-3' })).entries).toEqual([])
  expect((await ask({ account: '' })).entries).toEqual([])
})

test('entries are found by tool and by operation', async () => {
  const id = operation()
  await writer.write(entry({ tool: 'list_databases' }))
  await writer.write(framed('intent', id))
  await writer.write(entry())
  await writer.write(framed('outcome', id))
  expect((await ask({ tool: 'list_databases' })).entries.map(({ index }) => index)).toEqual([0])
  expect((await ask({ operation_id: id })).entries.map(({ leaf }) => leaf['kind'])).toEqual(['outcome', 'intent'])
  expect((await ask({ operation_id: 'no such thing' })).entries).toEqual([])
})

test('the intent of an operation is found without knowing its account; an outcome or a call is none', async () => {
  const [intended, called] = [operation(), operation()]
  await writer.write(framed('intent', intended, { tool: 'delete_database', risk: 'destructive' }))
  await writer.write(entry({ operation_id: called }))
  const [leaf] = await log.leaves()
  expect(await log.reader().intentOf(intended)).toEqual({
    time: leaf!.leaf['time'],
    account: 'acc-1',
    tool: 'delete_database',
  })
  expect(await log.reader().intentOf(called)).toBeNull()
  expect(await log.reader().intentOf(operation())).toBeNull()
})

test('a leaf whose opening was destroyed is still shown, without the personal part', async () => {
  await writer.write(entry())
  const partition = await partitionOf(0)
  await log.root.query(`DROP TABLE ${partition}`)
  const { entries } = await ask()
  expect(entries).toMatchObject([{ index: 0, personal: null, leaf: { tool: 'list_domains' } }])
  expect(log.lines.join('')).not.toContain('opening_mismatch')
})

test('a changed or moved opening shows nothing and is flagged', async () => {
  await writer.write(entry({ personal: { user: 'one' } }))
  await writer.write(entry({ personal: { user: 'two' } }))
  const partition = await partitionOf(0)
  await tamper(
    partition,
    `UPDATE ${partition} SET sealed = (SELECT sealed FROM ${partition} WHERE index = 1) WHERE index = 0`,
  )
  const { entries } = await ask()
  expect(entries.map(({ personal }) => personal)).toEqual([{ user: 'two' }, null])
  expect(log.lines.filter((line) => line.includes('opening_mismatch') && line.includes('"index":0'))).toHaveLength(1)
})

test('a leaf that was rewritten together with its hash no longer fits its opening', async () => {
  await writer.write(entry({ personal: { user: 'one' } }))
  await tamper(
    'audit.leaves',
    `UPDATE audit.leaves SET leaf = n.leaf, leaf_hash = sha256('\\x00'::bytea || convert_to(n.leaf, 'UTF8'))
     FROM (SELECT regexp_replace(leaf, '"user":"[0-9a-f]{64}"', '"user":"${'0'.repeat(64)}"') AS leaf FROM audit.leaves) n`,
  )
  expect((await ask()).entries).toMatchObject([{ personal: null }])
  expect(log.lines.join('')).toContain('opening_mismatch')
})

test('a row whose account column was changed is not shown to that account', async () => {
  await writer.write(entry({ account: 'acc-2' }))
  await tamper('audit.leaves', `UPDATE audit.leaves SET account = 'acc-1'`)
  expect((await ask()).entries).toEqual([])
  expect(log.lines.join('')).toContain('log_row_forged')
})

test('no table, index or column of the log holds a personal value in clear', async () => {
  await writer.write(entry())
  const { rows } = await log.root.query<{ text: string }>(
    `SELECT l::text || coalesce(o::text, '') || coalesce(encode(o.sealed, 'escape'), '') AS text FROM audit.leaves l LEFT JOIN audit.openings o USING (index)`,
  )
  const values = [...Object.values(PERSONAL).filter((value) => typeof value === 'string'), 'erika@example.org']
  for (const value of values)
    for (const form of [
      value,
      Buffer.from(value).toString('hex'),
      Buffer.from(value).toString('base64').replace(/=+$/, ''),
    ])
      expect(rows[0]!.text).not.toContain(form)
})
