import { asked, codeOf, openStand, type Stand } from './support/stand.ts'

describe('the window', () => {
  let stand: Stand
  beforeAll(async () => {
    stand = await openStand()
    await stand.ready()
  })
  afterAll(() => stand.close())

  test('lets exactly 60 of 200 concurrent calls through, then pauses the token, on the record', async () => {
    const { id, token } = await stand.token(await stand.account())
    const replies = await Promise.all(Array.from({ length: 200 }, () => stand.decide(token, 'list_databases')))
    const codes = replies.map(codeOf)
    expect(codes.filter((code) => code === 'allow')).toHaveLength(60)
    expect(codes.filter((code) => code === 'RATE_LIMITED').length).toBeGreaterThanOrEqual(10)
    expect(codes.every((code) => ['allow', 'RATE_LIMITED', 'TOKEN_PAUSED'].includes(code))).toBe(true)
    expect(codeOf(await stand.decide(token, 'list_databases'))).toBe('TOKEN_PAUSED')
    const pauses = stand.audit.entries.filter(
      (entry) => entry.kind === 'token_changed' && entry.personal.resource === id,
    )
    expect(pauses.length).toBeGreaterThanOrEqual(1)
    expect(pauses[0]).toMatchObject({ code: 'TOKEN_PAUSED', personal: { principal: `pat:${id}` } })
  })

  test('the tenth refused call pauses the token, the ninth does not; a human resumes it with a reason', async () => {
    const { id, token } = await stand.token(await stand.account())
    const call = async () => codeOf(await stand.decide(token, 'list_databases'))
    for (let n = 0; n < 60; n += 1) expect(await call()).toBe('allow')
    for (let n = 0; n < 9; n += 1) expect(await call()).toBe('RATE_LIMITED')
    const state = async () =>
      (await stand.admin.tokens_list({ account: null })).tokens.find((row) => row.id === id)!.state
    expect(await state()).toBe('active')
    const tenth = await stand.decide(token, 'list_databases')
    expect(tenth).toMatchObject({
      denial: { code: 'RATE_LIMITED', retry_after_s: expect.any(Number), extra: { limit: 60, remaining: 0 } },
      rate: { limit: 60, remaining: 0 },
    })
    expect(await state()).toBe('paused')
    expect(await call()).toBe('TOKEN_PAUSED')
    await stand.admin.tokens_resume({ id, reason: 'talked to them' })
    expect(await call()).toBe('RATE_LIMITED')
  })

  test('lets exactly 5 of 20 install calls through, and says so in the figures', async () => {
    const { token } = await stand.token(await stand.account())
    const replies = await Promise.all(Array.from({ length: 20 }, () => stand.decide(token, 'request_ssl')))
    expect(replies.filter((reply) => reply.ok)).toHaveLength(5)
    expect(replies.find((reply) => !reply.ok)).toMatchObject({ rate: { limit: 5, remaining: 0 } })
  })

  test('install calls stand in the standard window too', async () => {
    const { token } = await stand.token(await stand.account())
    expect(await stand.decide(token, 'request_ssl')).toMatchObject({ rate: { limit: 5, remaining: 4 } })
    expect(await stand.decide(token, 'list_databases')).toMatchObject({ rate: { limit: 60, remaining: 58 } })
  })

  test('each principal has a window of its own, shared by all replicas', async () => {
    const account = await stand.account()
    const [one, two] = [await stand.token(account), await stand.token(account)]
    const other = await stand.replica()
    await other.ready()
    const calls = Array.from({ length: 80 }, (_, n) => (n % 2 ? stand : other).decide(one.token, 'list_databases'))
    const codes = (await Promise.all(calls)).map(codeOf)
    expect(codes.filter((code) => code === 'allow')).toHaveLength(60)
    expect(await stand.decide(two.token, 'list_databases')).toMatchObject({ ok: true, rate: { remaining: 59 } })
  })

  test('strangers get 401, beyond 120 a minute 429, as one entry per address; good tokens from there still work', async () => {
    const { token } = await stand.token(await stand.account())
    const address = '192.0.2.99'
    // A whole minute, so that the count does not straddle two.
    stand.clock.set(Math.ceil(stand.clock.now() / 60_000) * 60_000)
    const before = stand.audit.entries.length
    const codes: string[] = []
    for (let n = 0; n < 125; n += 1)
      codes.push(codeOf(await stand.gateway.identify({ ...asked('mpt_wrong'), address, method: 'tools/list' })))
    expect(codes.filter((code) => code === 'UNAUTHENTICATED')).toHaveLength(120)
    expect(codes.filter((code) => code === 'RATE_LIMITED')).toHaveLength(5)
    expect(codeOf(await stand.decide(token, 'list_databases', {}, { address }))).toBe('allow')
    expect(stand.audit.entries).toHaveLength(before)
    stand.clock.advance(60_000)
    await stand.deps.refusals.flush()
    const counted = stand.audit.entries.slice(before).filter((entry) => entry.kind === 'refusals_unauthenticated')
    expect(counted).toMatchObject([
      { kind: 'refusals_unauthenticated', count: 125, account: null, personal: { address } },
    ])
  })

  test('a revoked token’s tries are counted for its account, without an entry each', async () => {
    const account = await stand.account()
    const { id, token } = await stand.token(account)
    await stand.admin.tokens_revoke({ id, reason: 'lost' })
    await stand.deps.refusals.flush(true)
    const before = stand.audit.entries.length
    for (let n = 0; n < 3; n += 1)
      expect(await stand.decide(token, 'list_databases')).toEqual({
        ok: false,
        denial: { code: 'UNAUTHENTICATED' },
        rate: null,
      })
    await stand.deps.refusals.flush(true)
    expect(stand.audit.entries.slice(before)).toMatchObject([
      { kind: 'token_refused', account, count: 3, personal: { principal: `pat:${id}` } },
    ])
  })

  test('a flood of addresses is held in bounded memory', async () => {
    const { createTally, OTHERS } = await import('../src/tally.ts')
    const tally = createTally(3)
    for (let n = 0; n < 100; n += 1) tally.add(`address ${n}`, 0)
    expect(tally.add('address 1', 0)).toEqual({ count: 2, isShared: false })
    expect(tally.take(59_999)).toEqual([])
    expect(tally.take(60_000)).toEqual([
      { key: 'address 0', count: 1 },
      { key: 'address 1', count: 2 },
      { key: 'address 2', count: 1 },
      { key: OTHERS, count: 97 },
    ])
  })

  test('a hammering token’s refusals beyond 120 a minute become one entry with the count', async () => {
    const account = await stand.account('none')
    const { token } = await stand.token(account)
    await stand.deps.refusals.flush(true)
    const before = stand.audit.entries.length
    for (let n = 0; n < 130; n += 1)
      expect(codeOf(await stand.decide(token, 'list_databases'))).toBe('AI_DEPLOY_NOT_ENABLED')
    expect(stand.audit.entries.slice(before)).toHaveLength(120)
    await stand.deps.refusals.flush(true)
    expect(stand.audit.entries.slice(before + 120)).toMatchObject([
      { kind: 'token_refused', account, count: 10, code: 'AI_DEPLOY_NOT_ENABLED' },
    ])
  })
})
