// Behind an open stream: who waits hears of a change within a second, and of nothing else before its time.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { policyDoor } from '@bailiwick/contracts/doors/policy'
import { connectDoor } from '@bailiwick/kernel/door'
import { asked, openStand, soon, type Stand } from './support/stand.ts'
import { makeCatalog } from './support/catalog.ts'

let stand: Stand
beforeAll(async () => {
  stand = await openStand(makeCatalog(), { withIssuer: true })
  await stand.ready()
})
beforeEach(() => stand.clock.advance(60_000))
afterAll(() => stand.close())

const watch = (credential: string, seen: string | null, by: Pick<Stand, 'gateway'> = stand) =>
  by.gateway.watch({ ...asked(credential), seen })
const reason = 'a test'

async function standing(credential: string) {
  const reply = await watch(credential, null)
  if (!reply.ok) throw new Error(reply.denial.code)
  return reply
}
/** How long until it answered, and with what. */
async function answer(waiting: ReturnType<typeof watch>) {
  const began = performance.now()
  const reply = await waiting
  return { reply, ms: performance.now() - began }
}

test('the first answer comes at once and names the tools that identify names', async () => {
  const { token } = await stand.token(await stand.account(), ['databases:read'])
  const identified = await stand.gateway.identify({ ...asked(token), method: 'tools/list' })
  const { tools, seen } = await standing(token)
  expect(identified).toMatchObject({ ok: true, tools })
  expect(await watch(token, 'something else')).toEqual({ ok: true, seen, tools })
})

test('a tier, a kill switch, a pause, a revocation each wake who waits, within a second', async () => {
  const account = await stand.account()
  const { id, token } = await stand.token(account)
  const wakes = async (change: () => Promise<unknown>, expected: object): Promise<void> => {
    const waiting = watch(token, (await standing(token)).seen)
    await sleep(50)
    await change()
    const { reply, ms } = await answer(waiting)
    expect(reply).toMatchObject(expected)
    expect(ms).toBeLessThan(1000)
  }
  const refuses = (code: string): object => ({ ok: false, denial: { code } })
  await wakes(() => stand.admin.accounts_tier({ account, tier: 'sandbox', reason }), { ok: true })
  await wakes(() => stand.admin.accounts_tier({ account, tier: 'full', reason }), { ok: true })
  await wakes(() => stand.admin.kill({ on: true, reason }), refuses('AI_DEPLOY_GLOBALLY_DISABLED'))
  // Whoever may call nothing waits for nothing.
  expect(await watch(token, 'anything')).toMatchObject(refuses('AI_DEPLOY_GLOBALLY_DISABLED'))
  await stand.admin.kill({ on: false, reason })
  await wakes(() => stand.admin.tokens_pause({ id, reason }), refuses('TOKEN_PAUSED'))
  await stand.admin.tokens_resume({ id, reason })
  await wakes(() => stand.admin.tokens_revoke({ id, reason }), refuses('UNAUTHENTICATED'))
})

test('an app’s revocation at the identity provider wakes who waits, also at another replica', async () => {
  const other = await stand.replica()
  await other.ready()
  const sub = await stand.member(await stand.account())
  const sid = randomUUID()
  const token = await stand.issuer.token({ sub, sid })
  expect(await soon(async () => (await watch(token, null)).ok && (await watch(token, null, other)).ok, 10_000)).toBe(
    true,
  )
  const { seen } = await standing(token)
  const waiting = [watch(token, seen), watch(token, seen, other)]
  await sleep(50)
  stand.clock.advance(2000)
  stand.issuer.happens({ type: 'LOGOUT', userId: sub, sessionId: sid })
  for (const { reply, ms } of await Promise.all(waiting.map(answer))) {
    expect(reply).toMatchObject({ ok: false, denial: { code: 'UNAUTHENTICATED' } })
    expect(ms).toBeLessThan(3000)
  }
})

test('the end of the token’s own time wakes who waits', async () => {
  const sub = await stand.member(await stand.account())
  const at = Math.floor(stand.clock.now() / 1000)
  const token = await stand.issuer.token({ sub, iat: at, exp: at + 2 })
  expect(await soon(async () => (await watch(token, null)).ok, 10_000)).toBe(true)
  const waiting = watch(token, (await standing(token)).seen)
  await sleep(50)
  stand.clock.advance(2000)
  const { reply, ms } = await answer(waiting)
  expect(reply).toMatchObject({ ok: false, denial: { code: 'UNAUTHENTICATED' } })
  expect(ms).toBeLessThan(3000)
})

test('a change that is not its own leaves it waiting', async () => {
  const { token } = await stand.token(await stand.account())
  const waiting = watch(token, (await standing(token)).seen)
  await sleep(50)
  await stand.admin.accounts_tier({ account: await stand.account(), tier: 'beta', reason })
  expect(await Promise.race([waiting, sleep(700, 'waits')])).toBe('waits')
})

test('eight wait for one principal, a ninth is refused; places are free again as soon as the callers hang up', async () => {
  const { token } = await stand.token(await stand.account())
  const { seen } = await standing(token)
  for (let round = 0; round < 2; round += 1) {
    const over = new AbortController()
    const watch = () => stand.gateway.watch({ ...asked(token), seen }, { signal: over.signal })
    const nine = Array.from({ length: 9 }, watch)
    expect(await Promise.race(nine)).toMatchObject({ ok: false, denial: { code: 'IN_FLIGHT_LIMIT', retry_after_s: 5 } })
    // The others wait: nothing answers them.
    await sleep(200)
    over.abort()
    const ends = await Promise.allSettled(nine)
    expect(ends.filter(({ status }) => status === 'rejected')).toHaveLength(8)
    // The service hears of it a moment later.
    await sleep(500)
  }
})

test('waiting is no call: the window stays as it is; closing the service answers all', async () => {
  const replica = await stand.replica()
  await replica.ready()
  const { token } = await stand.token(await stand.account())
  const { seen } = await standing(token)
  for (let call = 0; call < 70; call += 1) await watch(token, null)
  // A client of its own: the replica's are closed with it.
  const { url } = replica
  const gateway = connectDoor({ door: policyDoor, url, caller: 'gateway', key: stand.keys.gateway })
  const waiting = watch(token, seen, { gateway })
  await sleep(100)
  const closing = replica.close()
  expect(await waiting).toMatchObject({ ok: true, seen })
  gateway.close()
  await closing
  expect(await stand.decide(token, 'list_databases')).toMatchObject({ ok: true, rate: { remaining: 59 } })
})
