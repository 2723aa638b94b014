// The operation log by itself: what is durable when, and what a torn or damaged file means.
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fakeClock } from '@bailiwick/kernel/clock'
import { openOperations, type StepKey } from '../src/operations.ts'
import { Refusal } from '../src/refusal.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/bailiwick-operations-`)
  file = `${folder}/operations.log`
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const key = (more: Partial<StepKey> = {}): StepKey => ({
  operation_id: 'op',
  account_id: 'account',
  verb: 'verb',
  target: 'thing',
  input_hash: 'hash',
  ...more,
})
const never = async (): Promise<never> => {
  throw new Error('must not be called')
}
const facts = (): string[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { fact: string }).fact)

test('"begun" is on disk before the act, "done" with its result before the answer', async () => {
  const operations = openOperations({ file })
  const result = await operations.once(key(), {
    probe: never,
    act: async () => {
      expect(facts()).toEqual(['begun'])
      return { n: 1 }
    },
  })
  expect(result).toEqual({ n: 1 })
  expect(facts()).toEqual(['begun', 'done'])
  await operations.close()
  const again = openOperations({ file })
  expect(await again.once(key(), { probe: never, act: never })).toEqual({ n: 1 })
  expect(facts()).toEqual(['done'])
  await again.close()
})

test('a begun step without an end is decided by its target: done, not done, or refused', async () => {
  const operations = openOperations({ file })
  const dies = { probe: never, act: () => Promise.reject(new Error('connection lost')) }
  for (const operation_id of ['a', 'b', 'c']) {
    await expect(operations.once(key({ operation_id }), dies)).rejects.toThrow('connection lost')
  }
  await operations.close()
  const again = openOperations({ file })
  const probe =
    <S>(state: S) =>
    async () =>
      state
  expect(
    await again.once(key({ operation_id: 'a' }), { probe: probe({ state: 'done', result: 1 } as const), act: never }),
  ).toBe(1)
  expect(
    await again.once(key({ operation_id: 'b' }), { probe: probe({ state: 'not_done' } as const), act: async () => 2 }),
  ).toBe(2)
  const unknown = again.once<number>(key({ operation_id: 'c' }), {
    probe: probe({ state: 'unknown' } as const),
    act: never,
  })
  await expect(unknown).rejects.toMatchObject({ name: 'Refusal', code: 'OUTCOME_UNKNOWN' })
  expect(await again.steps('account', 'c')).toEqual([{ verb: 'verb', target: 'thing', state: 'unknown' }])
  expect(await again.steps('another', 'c')).toEqual([])
  await again.close()
})

test('a refusal is no step: the same operation may come again, with another input too', async () => {
  const operations = openOperations({ file })
  const refuses = { probe: never, act: () => Promise.reject(new Refusal('CONFLICT', 'no')) }
  await expect(operations.once(key(), refuses)).rejects.toMatchObject({ code: 'CONFLICT' })
  expect(await operations.steps('account', 'op')).toEqual([])
  expect(await operations.once(key({ input_hash: 'other' }), { probe: never, act: async () => 1 })).toBe(1)
  await operations.close()
})

test('another input under the same key is a fault', async () => {
  const operations = openOperations({ file })
  await operations.once(key(), { probe: never, act: async () => 1 })
  await expect(operations.once(key({ input_hash: 'x' }), { probe: never, act: never })).rejects.toMatchObject({
    code: 'OPERATION_REUSED',
  })
  await operations.close()
})

test('steps on one resource wait for each other, others do not', async () => {
  const operations = openOperations({ file })
  const gate = Promise.withResolvers<void>()
  const order: string[] = []
  const first = operations.once(key({ target: 'db/one' }), {
    probe: never,
    act: async () => {
      await gate.promise
      order.push('first')
      return null
    },
  })
  const second = operations.once(key({ target: 'db/two' }), {
    probe: never,
    act: async () => {
      order.push('second')
      return null
    },
  })
  await operations.once(key({ target: 'other' }), {
    probe: never,
    act: async () => {
      order.push('other')
      return null
    },
  })
  gate.resolve()
  await Promise.all([first, second])
  expect(order).toEqual(['other', 'first', 'second'])
  await operations.close()
})

test('a torn last line is no fact; a damaged line before it stops the start', async () => {
  const operations = openOperations({ file })
  await operations.once(key(), { probe: never, act: async () => 1 })
  await operations.close()
  appendFileSync(file, '{"at":1,"fact":"beg')
  const again = openOperations({ file })
  await again.once(key({ operation_id: 'next' }), { probe: never, act: async () => 2 })
  await again.close()
  expect(facts()).toEqual(['done', 'begun', 'done'])
  writeFileSync(file, `damage\n${readFileSync(file, 'utf8')}`)
  expect(() => openOperations({ file })).toThrow('damaged at line 1')
  truncateSync(file)
  await openOperations({ file }).close()
})

test('answers are forgotten after 120 days, unfinished steps never', async () => {
  const clock = fakeClock()
  const operations = openOperations({ file, clock })
  await operations.once(key({ operation_id: 'done' }), { probe: never, act: async () => 1 })
  const dies = { probe: never, act: () => Promise.reject(new Error('lost')) }
  await expect(operations.once(key({ operation_id: 'open' }), dies)).rejects.toThrow('lost')
  await operations.close()
  clock.advance(121 * 24 * 3600 * 1000)
  const again = openOperations({ file, clock })
  expect(await again.steps('account', 'done')).toEqual([])
  expect(await again.steps('account', 'open')).toHaveLength(1)
  await again.close()
})
