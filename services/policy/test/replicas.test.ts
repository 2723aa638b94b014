import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf, openStand, type Stand } from './support/stand.ts'

describe('several policies on one database', () => {
  let stand: Stand
  beforeAll(async () => {
    stand = await openStand()
    await stand.ready()
  })
  afterAll(() => stand.close())

  test('what one replica revokes, pauses, freezes or switches off, the other refuses at its next call', async () => {
    const other = await stand.replica()
    await other.ready()
    const account = await stand.account()
    const { id, token } = await stand.token(account)
    const there = async () => codeOf(await other.decide(token, 'create_database', {}))
    expect(await there()).toBe('allow')
    await stand.admin.freeze({ account, resource: null, on: true, reason: 'look' })
    expect(await there()).toBe('RESOURCE_FROZEN')
    await stand.admin.kill({ on: true, reason: 'drill' })
    expect(await there()).toBe('AI_DEPLOY_GLOBALLY_DISABLED')
    await stand.admin.kill({ on: false, reason: 'over' })
    await stand.admin.tokens_pause({ id, reason: 'look' })
    expect(await there()).toBe('TOKEN_PAUSED')
    await stand.admin.tokens_revoke({ id, reason: 'lost' })
    expect(await there()).toBe('UNAUTHENTICATED')
  })

  test('a revocation whose notice never reaches Valkey is seen within a second all the same', async () => {
    // The other replica looks at a Valkey copy of the epoch that nobody moves.
    const deaf = await stand.replica({ valkeyPrefix: `deaf_${randomBytes(6).toString('hex')}:` })
    await deaf.ready()
    const { id, token } = await stand.token(await stand.account())
    expect(codeOf(await deaf.decide(token, 'whoami'))).toBe('allow')
    await stand.admin.tokens_revoke({ id, reason: 'lost' })
    const revokedAt = performance.now()
    // At 20 calls a second the window has room for the three seconds that this may take at most.
    while (codeOf(await deaf.decide(token, 'whoami')) === 'allow' && performance.now() - revokedAt < 2500)
      await sleep(50)
    expect(performance.now() - revokedAt).toBeLessThan(1000)
  })

  test('an emptied Valkey, or one from another history, opens nothing and is put right', async () => {
    const { id, token } = await stand.token(await stand.account())
    expect(codeOf(await stand.decide(token, 'whoami'))).toBe('allow')
    const { limits } = stand.deps
    const truth = (await limits.readEpoch())!
    await limits.repairEpoch(truth, truth + 1000)
    expect(codeOf(await stand.decide(token, 'whoami'))).toBe('allow')
    expect(await limits.readEpoch()).toBe(truth)
    await limits.repairEpoch(truth, 0)
    await stand.admin.tokens_revoke({ id, reason: 'lost' })
    expect(codeOf(await stand.decide(token, 'whoami'))).toBe('UNAUTHENTICATED')
    expect(await limits.readEpoch()).toBe(truth + 1)
  })
})
