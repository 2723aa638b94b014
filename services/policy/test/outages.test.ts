import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@bailiwick/testing/global-setup'
import { codeOf, openStand, type Stand } from './support/stand.ts'

describe('when a part is down', () => {
  let stand: Stand
  beforeAll(async () => {
    stand = await openStand()
    await stand.ready()
  })
  afterEach(() => {
    stand.audit.failsBefore = false
  })
  afterAll(() => stand.close())

  test('without Valkey every call is refused, at once and on the record, and nothing is opened', async () => {
    const { token } = await stand.token(await stand.account())
    const alone = await stand.replica({ valkeyUrl: `redis://127.0.0.1:${await freePort()}` })
    const before = stand.audit.entries.length
    const started = performance.now()
    for (const tool of ['whoami', 'create_database', 'no_such_tool'])
      expect(await alone.decide(token, tool)).toMatchObject({ denial: { code: 'LIMITS_UNAVAILABLE' }, rate: null })
    expect(performance.now() - started).toBeLessThan(1000)
    expect(stand.audit.entries.slice(before).map(({ code }) => code)).toEqual(Array(3).fill('LIMITS_UNAVAILABLE'))
    expect(codeOf(await alone.decide('mpt_wrong', 'whoami'))).toBe('UNAUTHENTICATED')
  })

  test('without Valkey the steward still hears of a revocation, from PostgreSQL', async () => {
    const { id, token } = await stand.token(await stand.account())
    const alone = await stand.replica({ valkeyUrl: `redis://127.0.0.1:${await freePort()}` })
    const reply = await stand.decide(token, 'create_database', {})
    if (!reply.ok) throw new Error(reply.denial.code)
    const ask = () => alone.steward.stillValid({ permit: reply.permit, resources: [] })
    expect(codeOf(await ask())).toBe('allow')
    await stand.admin.tokens_revoke({ id, reason: 'lost' })
    expect(codeOf(await ask())).toBe('UNAUTHENTICATED')
  })

  test('a refusal that cannot be recorded is AUDIT_UNAVAILABLE; strangers are still told 401', async () => {
    const { token } = await stand.token(await stand.account(), ['databases:read'])
    stand.audit.failsBefore = true
    expect(codeOf(await stand.decide(token, 'create_database', {}))).toBe('AUDIT_UNAVAILABLE')
    expect(codeOf(await stand.decide('mpt_wrong', 'create_database', {}))).toBe('UNAUTHENTICATED')
  })

  test('the counts of a minute in which the log was away are written when it is back', async () => {
    stand.audit.failsBefore = true
    await stand.decide('mpt_wrong', 'whoami', {}, { address: '192.0.2.200' })
    await stand.deps.refusals.flush(true)
    stand.audit.failsBefore = false
    await stand.deps.refusals.flush(true)
    const counted = stand.audit.entries.filter(({ personal }) => personal.address === '192.0.2.200')
    expect(counted).toMatchObject([{ kind: 'refusals_unauthenticated', count: 1 }])
  })

  test('a token is not paused without the pause being recorded first', async () => {
    const { id, token } = await stand.token(await stand.account())
    for (let n = 0; n < 60; n += 1) await stand.decide(token, 'whoami')
    stand.audit.failsBefore = true
    for (let n = 0; n < 12; n += 1) expect(codeOf(await stand.decide(token, 'whoami'))).toBe('AUDIT_UNAVAILABLE')
    stand.audit.failsBefore = false
    const state = async () =>
      (await stand.admin.tokens_list({ account: null })).tokens.find((row) => row.id === id)!.state
    expect(await state()).toBe('active')
    for (let n = 0; n < 8; n += 1) await stand.decide(token, 'whoami')
    expect(await state()).toBe('paused')
  })

  test('without PostgreSQL the policy starts, answers POLICY_UNAVAILABLE, and admits nobody', async () => {
    const { token } = await stand.token(await stand.account())
    const nowhere = await stand.replica({ databaseUrl: `postgres://policy:test@127.0.0.1:${await freePort()}/nowhere` })
    await expect(nowhere.decide(token, 'whoami')).rejects.toMatchObject({ code: 'POLICY_UNAVAILABLE' })
    await expect(nowhere.admin.accounts_list({})).rejects.toMatchObject({ code: 'POLICY_UNAVAILABLE' })
  })

  test('a policy that is cut off from PostgreSQL stops trusting what it remembers within two seconds', async () => {
    const { token } = await stand.token(await stand.account())
    const url = new URL(stand.database.as('policy'))
    const wire = await openWire(Number(url.port))
    url.port = String(wire.port)
    const cutOff = await stand.replica({ databaseUrl: url.href })
    await cutOff.ready()
    expect(codeOf(await cutOff.decide(token, 'whoami'))).toBe('allow')
    wire.cut()
    const cutAt = performance.now()
    const answer = () => cutOff.decide(token, 'whoami').then(codeOf, (fault: { code: string }) => fault.code)
    while ((await answer()) === 'allow' && performance.now() - cutAt < 3000) await sleep(100)
    expect(performance.now() - cutAt).toBeLessThan(2000)
    expect(await answer()).toBe('POLICY_UNAVAILABLE')
  })

  test('what is still in memory is written when the service ends', async () => {
    const other = await stand.replica()
    await other.ready()
    const { id, token } = await stand.token(await stand.account())
    await other.decide(token, 'whoami')
    await other.decide('mpt_wrong', 'whoami', {}, { address: '192.0.2.201' })
    await other.close()
    expect(stand.audit.entries.some(({ personal }) => personal.address === '192.0.2.201')).toBe(true)
    const row = (await stand.admin.tokens_list({ account: null })).tokens.find((each) => each.id === id)
    expect(row!.last_used_at).toBe(stand.clock.now())
  })
})

/** A way to PostgreSQL that can be cut. */
async function openWire(target: number): Promise<{ port: number; cut(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
    }
    near.pipe(far).pipe(near)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as { port: number }).port,
    cut() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
