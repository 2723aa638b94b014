import { randomUUID } from 'node:crypto'
import { codeOf, openStand, type Stand } from './support/stand.ts'

describe('idempotency keys', () => {
  let stand: Stand
  beforeAll(async () => {
    stand = await openStand()
    await stand.ready()
  })
  afterAll(() => stand.close())
  const operationOf = (reply: Awaited<ReturnType<Stand['decide']>>): string =>
    reply.ok ? reply.permit.permit.operation_id! : reply.denial.code

  test('twenty identical calls at once with one key are one operation, counted once', async () => {
    const account = await stand.account('beta')
    const { token } = await stand.token(account)
    const idempotency_key = randomUUID()
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => stand.decide(token, 'create_database', { name: 'one' }, { idempotency_key })),
    )
    expect(new Set(replies.map(operationOf)).size).toBe(1)
    expect(replies.every((reply) => reply.ok)).toBe(true)
    expect((await stand.admin.operations({ account })).operations).toHaveLength(1)
    const [row] = await stand.deps.database.inAccount(account, (query) =>
      query('SELECT changes FROM policy.daily_counts'),
    )
    expect(row).toEqual({ changes: 1 })
  })

  test('the key may come by header or argument, in either case of its letters, and is the same key', async () => {
    const { token } = await stand.token(await stand.account())
    const key = randomUUID()
    const byHeader = await stand.decide(token, 'create_database', { name: 'a' }, { idempotency_key: key.toUpperCase() })
    const byInput = await stand.decide(token, 'create_database', { name: 'a', idempotency_key: key })
    const byBoth = await stand.decide(
      token,
      'create_database',
      { name: 'a', idempotency_key: key },
      { idempotency_key: key },
    )
    expect(new Set([byHeader, byInput, byBoth].map(operationOf)).size).toBe(1)
    expect(byInput).toMatchObject({ permit: { permit: { idempotency_key: key } } })
  })

  test('a key that is no UUID v4, or two that differ, are refused', async () => {
    const { token } = await stand.token(await stand.account())
    const create = async (input: object, idempotency_key: string | null = null) =>
      codeOf(await stand.decide(token, 'create_database', { name: 'a', ...input }, { idempotency_key }))
    expect(await create({}, 'retry-1')).toBe('IDEMPOTENCY_KEY_INVALID')
    expect(await create({}, '0190b6a4-0000-7000-8000-000000000000')).toBe('IDEMPOTENCY_KEY_INVALID')
    expect(await create({ idempotency_key: 5 })).toBe('IDEMPOTENCY_KEY_INVALID')
    expect(await create({ idempotency_key: randomUUID() }, randomUUID())).toBe('IDEMPOTENCY_KEY_INVALID')
    expect(codeOf(await stand.decide(token, 'list_databases', {}, { idempotency_key: 'retry-1' }))).toBe('allow')
  })

  test('a key used for another input or tool is refused for 24 hours, and free afterwards', async () => {
    const { token } = await stand.token(await stand.account())
    const idempotency_key = randomUUID()
    const create = (name: string) => stand.decide(token, 'create_database', { name }, { idempotency_key })
    const first = operationOf(await create('a'))
    expect(operationOf(await create('b'))).toBe('IDEMPOTENCY_KEY_REUSED')
    expect(operationOf(await stand.decide(token, 'set_dns_records', { name: 'a' }, { idempotency_key }))).toBe(
      'IDEMPOTENCY_KEY_REUSED',
    )
    const before = stand.clock.now()
    stand.clock.advance(24 * 3_600_000 - 1)
    expect(operationOf(await create('a'))).toBe(first)
    stand.clock.advance(1)
    const later = await create('b')
    expect(later.ok && operationOf(later) !== first).toBe(true)
    stand.clock.set(before)
  })

  test('keys are each principal’s own', async () => {
    const account = await stand.account()
    const [one, two] = [await stand.token(account), await stand.token(account)]
    const idempotency_key = randomUUID()
    const replies = [
      await stand.decide(one.token, 'create_database', { name: 'a' }, { idempotency_key }),
      await stand.decide(two.token, 'create_database', { name: 'b' }, { idempotency_key }),
    ]
    expect(replies.map(codeOf)).toEqual(['allow', 'allow'])
    expect(new Set(replies.map(operationOf)).size).toBe(2)
  })

  test('a call refused inside the transaction claims nothing: the same call can be made again', async () => {
    const account = await stand.account('beta')
    const { token } = await stand.token(account)
    const idempotency_key = randomUUID()
    const create = (name: string) => stand.decide(token, 'create_database', { name }, { idempotency_key })
    await stand.deps.database.inAccount(account, (query) =>
      query('INSERT INTO policy.daily_counts VALUES ($1, $2, 500)', [
        account,
        new Date(stand.clock.now()).toISOString().slice(0, 10),
      ]),
    )
    expect(codeOf(await create('a'))).toBe('AI_DEPLOY_DAILY_LIMIT')
    await stand.admin.accounts_tier({ account, tier: 'full', reason: 'trusted' })
    expect(codeOf(await create('b'))).toBe('allow')
  })

  test('without a key, a change that is not destructive is a change each time', async () => {
    const { token } = await stand.token(await stand.account())
    const create = () => stand.decide(token, 'create_database', { name: 'a' })
    expect(operationOf(await create())).not.toBe(operationOf(await create()))
  })

  test('the sweep takes expired rows and leaves what a retry may still ask for', async () => {
    const account = await stand.account()
    const { token } = await stand.token(account)
    const [early, late] = [randomUUID(), randomUUID()]
    const before = stand.clock.now()
    await stand.decide(token, 'create_database', { name: 'a' }, { idempotency_key: early })
    stand.clock.advance(3_600_000)
    await stand.decide(token, 'create_database', { name: 'b' }, { idempotency_key: late })
    stand.clock.advance(23 * 3_600_000 + 1)
    const { sweep } = await import('../src/jobs.ts')
    await sweep(stand.deps)
    const kept = await stand.deps.database.inAccount(account, (query) => query('SELECT key FROM policy.idempotency'))
    expect(kept).toEqual([{ key: late }])
    stand.clock.set(before)
  })
})
