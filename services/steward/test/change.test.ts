// A change under way: what is refused and leaves no trace, what is answered again, who may drive it, and what happens when a part
// that it needs is down.
import type { Permit } from '@bailiwick/contracts/permit'
import { deny } from '@bailiwick/contracts/problem'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { createLife } from './support/fakes.ts'
import { codeOf, LEASE_MS, openHouse, outputOf, textOf, type House, type Steward } from './support/house.ts'

let house: House
let steward: Steward
let account: Permit['account']
beforeAll(async () => {
  house = await openHouse()
})
beforeEach(() => {
  steward = house.steward()
  account = house.account()
  house.clock.advance(1000)
})
afterEach(() => {
  for (const set of [
    house.keeper.failsBefore,
    house.keeper.failsAfterEffect,
    house.audit.failsBefore,
    house.audit.failsAfterEffect,
  ])
    set.clear()
  house.keeper.refuses.clear()
  house.policy.verdicts.length = 0
  house.vault.isSound = true
})
afterAll(() => house.close())

type More = Partial<Permit>
const call = (tool: string, input: object, more: More = {}, by: Steward = steward) =>
  house.call(by, tool, input as never, { account, ...more })
const create = async (name = 'shop'): Promise<string> => textOf(await call('create_database', { name }), 'database_id')
const limits = (connections: number) => ({ connections, statement_timeout_ms: 1000 })
const remove = (id: string, version: number, more: More = {}) =>
  call(
    'delete_database',
    { database_id: id, preview_token: 't', confirm: true },
    { bound: { resource_id: id, version }, preview_id: 'p', ...more },
  )
const kinds = (operation: string): string[] => house.audit.of(operation).map(({ kind }) => kind)

describe('the same operation again', () => {
  test('is the stored answer with a fresh secret and an entry, and nothing is done twice', async () => {
    const operation_id = house.newOperation()
    const first = await call('create_database', { name: 'shop' }, { operation_id })
    const told = house.told(operation_id).length
    const second = await call('create_database', { name: 'shop' }, { operation_id })
    const { secret: s1, ...one } = outputOf(first)
    const { secret: s2, idempotent_replay, ...two } = outputOf(second)
    expect(two).toEqual(one)
    expect(idempotent_replay).toBe(true)
    expect(second).toMatchObject({ replay: true, receipt: first.receipt })
    expect(s2).toBeDefined()
    expect(s2).not.toEqual(s1)
    expect(house.told(operation_id)).toHaveLength(told)
    expect(kinds(operation_id)).toEqual(['intent', 'outcome', 'secret_issued', 'replay', 'secret_issued'])
  })

  test('while it runs is IDEMPOTENCY_IN_PROGRESS with a time to wait', async () => {
    const operation_id = house.newOperation()
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const { intend } = steward.deps.audit
    let reached = (): void => undefined
    const running = new Promise<void>((resolve) => (reached = resolve))
    Object.assign(steward.deps.audit, {
      intend: (entry: never) => {
        reached()
        return held.then(() => intend(entry))
      },
    })
    const first = call('create_database', { name: 'shop' }, { operation_id })
    await running
    const second = await call('create_database', { name: 'shop' }, { operation_id }, house.steward())
    release()
    expect(second).toMatchObject({
      ok: false,
      denial: { code: 'IDEMPOTENCY_IN_PROGRESS', retry_after_s: expect.any(Number) },
    })
    expect((await first).ok).toBe(true)
  })

  test('16 at once do it once: one acts, the others are told to wait or get its answer', async () => {
    const operation_id = house.newOperation()
    const stewards = [house.steward(), house.steward()]
    const replies = await Promise.all(
      Array.from({ length: 16 }, (_, index) =>
        call('create_database', { name: 'shop' }, { operation_id, nonce: uuidv7() }, stewards[index % 2]),
      ),
    )
    const codes = replies.map((reply) => (reply.ok ? 'ok' : reply.denial.code))
    expect(codes.filter((code) => code !== 'ok' && code !== 'IDEMPOTENCY_IN_PROGRESS')).toEqual([])
    expect(codes).toContain('ok')
    expect(kinds(operation_id).filter((kind) => kind === 'intent' || kind === 'outcome')).toEqual(['intent', 'outcome'])
    expect(house.told(operation_id)).toEqual(['create_database'])
  })
})

describe('get_operation', () => {
  test('has the answer of what is done, without its secret, and its receipt; of what was refused the code, and no answer', async () => {
    const operation_id = house.newOperation()
    const first = await call('create_database', { name: 'shop' }, { operation_id })
    const { secret, ...answer } = outputOf(first)
    const seen = outputOf(await call('get_operation', { operation_id }))
    expect(seen).toMatchObject({ state: 'done', answer, receipt: first.receipt, detail: null })
    expect(JSON.stringify(seen)).not.toContain((secret as { password: string }).password)

    const refused = house.newOperation()
    house.keeper.refuses.set('create_database', { code: 'CONFLICT', detail: 'It is there already.' })
    expect(codeOf(await call('create_database', { name: 'other' }, { operation_id: refused }))).toBe('CONFLICT')
    expect(outputOf(await call('get_operation', { operation_id: refused }))).toMatchObject({
      state: 'refused',
      code: 'CONFLICT',
      detail: 'It is there already.',
      answer: null,
    })
  })
})

describe('a refusal before acting', () => {
  test('stores no answer: the same operation goes on when its obstacle is gone', async () => {
    const id = await create()
    const operation_id = house.newOperation()
    house.policy.verdicts.push(deny('RESOURCE_FROZEN'))
    const input = { database_id: id, limits: limits(5) }
    expect(codeOf(await call('set_database_limits', input, { operation_id }))).toBe('RESOURCE_FROZEN')
    expect(await house.state(operation_id)).toBe('intended')
    expect(outputOf(await call('get_operation', { operation_id }))).toMatchObject({
      state: 'refused',
      code: 'RESOURCE_FROZEN',
    })
    expect((await call('set_database_limits', input, { operation_id })).ok).toBe(true)
    expect(kinds(operation_id)).toEqual(['intent', 'call', 'outcome'])
  })

  test('by the second stillValid, right before acting, leaves the world untouched and nothing locked', async () => {
    const id = await create()
    const operation_id = house.newOperation()
    house.policy.verdicts.push(null, deny('TOKEN_PAUSED'))
    expect(codeOf(await call('set_database_limits', { database_id: id, limits: limits(5) }, { operation_id }))).toBe(
      'TOKEN_PAUSED',
    )
    expect(house.told(operation_id)).toEqual([])
    expect((await call('set_database_limits', { database_id: id, limits: limits(6) })).ok).toBe(true)
  })

  test('PREVIEW_STALE: the version that was previewed has moved', async () => {
    const id = await create()
    await call('set_database_limits', { database_id: id, limits: limits(5) })
    expect(codeOf(await remove(id, 1))).toBe('PREVIEW_STALE')
    expect((await remove(id, 2)).ok).toBe(true)
  })

  test('SNAPSHOT_FAILED: a restore point that does not verify stops a delete, whatever the keeper said of it', async () => {
    const id = await create()
    const operation_id = house.newOperation()
    house.vault.isSound = false
    expect(codeOf(await remove(id, 1, { operation_id }))).toBe('SNAPSHOT_FAILED')
    expect(house.told(operation_id)).toEqual(['dump_database'])
    house.vault.isSound = true
    expect((await remove(id, 1, { operation_id })).ok).toBe(true)
  })

  test('RESOURCE_BUSY: another unfinished operation holds the resource, or the name', async () => {
    const id = await create()
    const [held, named] = [house.newOperation(), house.newOperation()]
    house.keeper.failsBefore.add('set_database_limits').add('create_database')
    await call('set_database_limits', { database_id: id, limits: limits(5) }, { operation_id: held })
    await call('create_database', { name: 'other' }, { operation_id: named })
    house.keeper.failsBefore.clear()
    expect(codeOf(await call('set_database_limits', { database_id: id, limits: limits(6) }))).toBe('RESOURCE_BUSY')
    expect(codeOf(await remove(id, 1))).toBe('RESOURCE_BUSY')
    expect(codeOf(await call('create_database', { name: 'other' }))).toBe('RESOURCE_BUSY')
    await steward.recovery.pass()
    expect((await call('set_database_limits', { database_id: id, limits: limits(6) })).ok).toBe(true)
    expect(codeOf(await call('create_database', { name: 'other' }))).toBe('CONFLICT')
  })

  test('of critical DNS opens an approval, stores nothing but the open operation, and the zone stays', async () => {
    const domain_id = textOf(await call('add_domain', { name: `d${account.slice(-12)}.example` }), 'domain_id')
    const input = { domain_id, name: '@', type: 'MX', ttl_seconds: 300, records: ['10 mail.example.'] }
    expect((await call('set_dns_records', input, { obligations: ['critical_dns'] })).ok).toBe(true)
    const operation_id = house.newOperation()
    const again = await call(
      'set_dns_records',
      { ...input, ttl_seconds: 600 },
      { obligations: ['critical_dns'], operation_id },
    )
    expect(codeOf(again)).toBe('APPROVAL_REQUIRED')
    expect(house.policy.assessments.at(-1)).toMatchObject({
      kind: 'approval',
      reason: 'critical_dns',
      resource_id: domain_id,
    })
    expect(house.told(operation_id)).toEqual([])
    // A permit that came with a human's approval, which policy confirms.
    const approved = { obligations: ['critical_dns'], operation_id, approval_id: uuidv7() }
    expect((await call('set_dns_records', { ...input, ttl_seconds: 600 }, approved)).ok).toBe(true)
  })
})

describe('a part that is down', () => {
  test('the log before the intent: nothing is done, and the call may come again', async () => {
    const operation_id = house.newOperation()
    house.audit.failsBefore.add('intend').add('append')
    expect(codeOf(await call('create_database', { name: 'shop' }, { operation_id }))).toBe('AUDIT_UNAVAILABLE')
    expect(house.told(operation_id)).toEqual([])
    house.audit.failsBefore.clear()
    expect((await call('create_database', { name: 'shop' }, { operation_id })).ok).toBe(true)
  })

  test('the log at the outcome: 503 with the operation id, and no further change is taken until it is written', async () => {
    const operation_id = house.newOperation()
    house.audit.failsBefore.add('outcome')
    const reply = await call('create_database', { name: 'shop' }, { operation_id })
    expect(reply).toMatchObject({ ok: false, denial: { code: 'AUDIT_UNAVAILABLE', extra: { operation_id } } })
    expect(codeOf(await call('create_database', { name: 'other' }))).toBe('AUDIT_UNAVAILABLE')
    expect((await call('list_databases', {})).ok).toBe(true)
    await steward.recovery.pass()
    expect(codeOf(await call('create_database', { name: 'other' }))).toBe('AUDIT_UNAVAILABLE')
    house.audit.failsBefore.clear()
    house.clock.advance(LEASE_MS + 1)
    await steward.recovery.pass()
    expect(await house.state(operation_id)).toBe('recorded')
    expect((await call('create_database', { name: 'other' })).ok).toBe(true)
    const replay = await call('create_database', { name: 'shop' }, { operation_id })
    expect(replay).toMatchObject({ ok: true, replay: true })
  })

  test('an outcome that another steward wrote is owed no more', async () => {
    const operation_id = house.newOperation()
    house.audit.failsBefore.add('outcome')
    await call('create_database', { name: 'shop' }, { operation_id })
    house.audit.failsBefore.clear()
    await house.steward().recovery.pass()
    await steward.recovery.pass()
    expect((await call('create_database', { name: 'other' })).ok).toBe(true)
  })

  test('the keeper after its effect: 503 with the operation id; recovery finishes it, once', async () => {
    const operation_id = house.newOperation()
    house.keeper.failsAfterEffect.add('create_database')
    const reply = await call('create_database', { name: 'shop' }, { operation_id })
    expect(reply).toMatchObject({ ok: false, denial: { code: 'BACKEND_UNAVAILABLE', extra: { operation_id } } })
    // Allowed, and broken: not a denial.
    expect(house.audit.entries.at(-1)).toMatchObject({ kind: 'call', decision: 'allow', code: 'BACKEND_UNAVAILABLE' })
    house.keeper.failsAfterEffect.clear()
    await steward.recovery.pass()
    expect(await house.state(operation_id)).toBe('recorded')
    expect(house.told(operation_id)).toEqual(['create_database', 'probe', 'create_database'])
    expect(outputOf(await call('list_databases', {}))['databases']).toHaveLength(1)
  })

  test('policy: nothing is done', async () => {
    house.policy.isDown = true
    const operation_id = house.newOperation()
    const reply = await call('create_database', { name: 'shop' }, { operation_id })
    house.policy.isDown = false
    expect(codeOf(reply)).toBe('POLICY_UNAVAILABLE')
    expect(house.told(operation_id)).toEqual([])
  })

  test('the secret’s maker: the change stands and is recorded; the same call again brings the answer with a secret', async () => {
    const operation_id = house.newOperation()
    house.keeper.failsBefore.add('issue_password')
    const reply = await call('create_database', { name: 'shop' }, { operation_id })
    expect(reply).toMatchObject({ ok: false, denial: { code: 'BACKEND_UNAVAILABLE', extra: { operation_id } } })
    house.keeper.failsBefore.clear()
    expect(outputOf(await call('create_database', { name: 'shop' }, { operation_id }))['secret']).toBeDefined()
  })
})

describe('the keeper', () => {
  test('that refuses closes the operation with its no, which is the stored answer', async () => {
    const id = await create()
    const operation_id = house.newOperation()
    house.keeper.refuses.set('set_database_limits', { code: 'CONFLICT', detail: 'not now' })
    const input = { database_id: id, limits: limits(5) }
    expect(codeOf(await call('set_database_limits', input, { operation_id }))).toBe('CONFLICT')
    house.keeper.refuses.clear()
    expect(await call('set_database_limits', input, { operation_id })).toMatchObject({
      ok: false,
      denial: { code: 'CONFLICT', detail: 'not now' },
    })
    expect(house.audit.of(operation_id).map(({ kind, decision, code }) => [kind, decision, code])).toEqual([
      ['intent', 'allow', null],
      ['outcome', 'deny', 'CONFLICT'],
      ['replay', 'deny', 'CONFLICT'],
    ])
    expect((await call('set_database_limits', input)).ok).toBe(true)
  })

  test('that cannot tell what became of it leaves it to a human: OUTCOME_UNKNOWN, never a repeat', async () => {
    const operation_id = house.newOperation()
    house.keeper.failsAfterEffect.add('create_database')
    await call('create_database', { name: 'shop' }, { operation_id })
    house.keeper.failsAfterEffect.clear()
    const next = house.steward()
    Object.assign(next.deps.keeper, {
      probe: async () => ({ ok: true, steps: [{ verb: 'create_database', target: 'x', state: 'unknown' }] }),
    })
    await next.recovery.pass()
    expect(await house.state(operation_id)).toBe('unknown')
    expect(house.told(operation_id).filter((verb) => verb === 'create_database')).toHaveLength(1)
    expect(house.audit.of(operation_id).at(-1)).toMatchObject({ kind: 'call', code: 'OUTCOME_UNKNOWN' })
    const reply = await call('create_database', { name: 'shop' }, { operation_id })
    expect(reply).toMatchObject({ ok: false, denial: { code: 'OUTCOME_UNKNOWN', extra: { operation_id } } })
    // What may or may not exist stays held.
    expect(codeOf(await call('create_database', { name: 'shop' }))).toBe('RESOURCE_BUSY')
  })
})

describe('a backend that never gets past the data', () => {
  const target_time = (): string => new Date(house.clock.now()).toISOString()
  const restore = (id: string, name: string) =>
    call('restore_database_to_new', { database_id: id, target_time: target_time(), name })
  const locksOf = async (operation: string | null): Promise<string[]> => {
    const { rows } = await house.superuser.query<{ key: string }>(
      'SELECT key FROM steward.locks WHERE operation_id = $1 ORDER BY 1',
      [operation],
    )
    return rows.map(({ key }) => key)
  }
  /** Looks every 10 s for `minutes`; how often the keeper was told. */
  const recoverFor = async (minutes: number, operation: string): Promise<number> => {
    const before = house.told(operation).filter((verb) => verb !== 'probe').length
    for (let at = 0; at < minutes * 6; at += 1) {
      house.clock.advance(10_000)
      await steward.recovery.pass()
    }
    return house.told(operation).filter((verb) => verb !== 'probe').length - before
  }

  test('does not keep others from the source of a restore that hangs, nor from another restore of it', async () => {
    const id = await create()
    house.clock.advance(1000)
    house.keeper.failsBefore.add('restore_database_to_new')
    const hanging = await restore(id, 'one')
    expect(codeOf(hanging)).toBe('BACKEND_UNAVAILABLE')
    expect(await house.state(hanging.operation_id!)).toBe('acting')
    expect(await locksOf(hanging.operation_id)).toEqual(['name:database:one'])
    house.keeper.failsBefore.clear()
    expect((await restore(id, 'two')).ok).toBe(true)
    expect(codeOf(await restore(id, 'one'))).toBe('RESOURCE_BUSY')
    // Only looked at: a preview of the source is not stale.
    expect(await house.version(id)).toBe(1)
    expect((await remove(id, 1)).ok).toBe(true)
  })

  test('does not keep a restore from the database on which another operation hangs', async () => {
    const id = await create()
    house.clock.advance(1000)
    house.keeper.failsBefore.add('set_database_limits')
    const hanging = await call('set_database_limits', { database_id: id, limits: limits(5) })
    expect(await locksOf(hanging.operation_id)).toEqual([`resource:${id}`])
    expect((await restore(id, 'saved')).ok).toBe(true)
    house.keeper.failsBefore.clear()
    house.clock.advance(LEASE_MS + 1)
    await steward.recovery.pass()
  })

  test('is asked ever more rarely, and then no more: refused, on the record, and nothing stays locked', async () => {
    const id = await create()
    house.keeper.failsBefore.add('set_database_limits')
    const operation_id = house.newOperation()
    const input = { database_id: id, limits: limits(5) }
    await call('set_database_limits', input, { operation_id })
    // A pause of 15, 30 and then 60 s, where one look is made every 10 s.
    expect(await recoverFor(5, operation_id)).toBeLessThanOrEqual(7)
    expect(await house.state(operation_id)).toBe('acting')
    expect(await locksOf(operation_id)).toEqual([`resource:${id}`])
    await recoverFor(25, operation_id)
    expect(await house.state(operation_id)).toBe('closed')
    expect(await recoverFor(5, operation_id)).toBe(0)
    expect(house.audit.of(operation_id).at(-1)).toMatchObject({
      kind: 'outcome',
      decision: 'deny',
      code: 'BACKEND_UNAVAILABLE',
    })
    expect(await locksOf(operation_id)).toEqual([])
    house.keeper.failsBefore.clear()
    const again = await call('set_database_limits', input, { operation_id })
    expect(codeOf(again)).toBe('BACKEND_UNAVAILABLE')
    expect(!again.ok && again.denial.retry_after_s).toBeUndefined()
    expect((await call('set_database_limits', input)).ok).toBe(true)
  })

  test('after it did something is left to a human, with what it holds', async () => {
    const id = await create()
    house.keeper.failsAfterEffect.add('set_database_limits')
    const operation_id = house.newOperation()
    await call('set_database_limits', { database_id: id, limits: limits(5) }, { operation_id })
    await recoverFor(30, operation_id)
    expect(await house.state(operation_id)).toBe('unknown')
    expect(house.audit.of(operation_id).at(-1)).toMatchObject({ kind: 'call', code: 'OUTCOME_UNKNOWN' })
    expect(await locksOf(operation_id)).toEqual([`resource:${id}`])
  })

  test('is given up neither by a caller that hurries nor by time alone', async () => {
    const operation_id = house.newOperation()
    house.keeper.failsBefore.add('create_database')
    for (let at = 0; at < 40; at += 1) await call('create_database', { name: 'shop' }, { operation_id })
    expect(await house.state(operation_id)).toBe('acting')
    expect(house.told(operation_id).length).toBeLessThan(10)
    house.clock.advance(3_600_000)
    await steward.recovery.pass()
    expect(await house.state(operation_id)).toBe('acting')
    house.keeper.failsBefore.clear()
    house.clock.advance(60_001)
    await steward.recovery.pass()
    expect(await house.state(operation_id)).toBe('recorded')
  })

  test('and cannot even be asked: it is asked for a day before a human must look', async () => {
    const operation_id = house.newOperation()
    house.keeper.failsBefore.add('create_database').add('probe')
    await call('create_database', { name: 'shop' }, { operation_id })
    await recoverFor(40, operation_id)
    expect(await house.state(operation_id)).toBe('acting')
    house.clock.advance(24 * 3_600_000)
    await steward.recovery.pass()
    expect(await house.state(operation_id)).toBe('unknown')
  })
})

test('a bug in a handler that had done nothing closes the operation; one that had done something is left to a human', async () => {
  const id = await create()
  const input = { database_id: id, limits: limits(5) }
  const { set_database_limits } = steward.deps.keeper
  const break_ = async (before: boolean) => {
    Object.assign(steward.deps.keeper, {
      set_database_limits: async (message: never) => {
        if (!before) await set_database_limits(message)
        throw new TypeError('a bug')
      },
    })
    const reply = await call('set_database_limits', input)
    Object.assign(steward.deps.keeper, { set_database_limits })
    return reply
  }
  const harmless = await break_(true)
  expect(codeOf(harmless)).toBe('INTERNAL')
  expect(await house.state(harmless.operation_id!)).toBe('closed')
  expect(JSON.stringify(harmless)).not.toContain('a bug')
  const halfDone = await break_(false)
  expect(codeOf(halfDone)).toBe('OUTCOME_UNKNOWN')
  expect(codeOf(await call('set_database_limits', input))).toBe('RESOURCE_BUSY')
})

describe('leases', () => {
  test('a steward that lost its lease writes nothing: the one that took over decides', async () => {
    const operation_id = house.newOperation()
    let resume = (): void => undefined
    const paused = new Promise<void>((resolve) => (resume = resolve))
    let reached = (): void => undefined
    const isPaused = new Promise<void>((resolve) => (reached = resolve))
    const old = house.steward()
    const { stillValid } = old.deps.policy
    let asked = 0
    Object.assign(old.deps.policy, {
      stillValid: async (input: never) => {
        asked += 1
        // Stopped right before it would act, for longer than its lease.
        if (asked === 2) {
          reached()
          await paused
        }
        return stillValid(input)
      },
    })
    const first = call('create_database', { name: 'shop' }, { operation_id }, old)
    await isPaused
    house.clock.advance(LEASE_MS + 1)
    expect(await house.steward().recovery.pass()).toBeGreaterThan(0)
    expect(await house.state(operation_id)).toBe('recorded')
    resume()
    expect(codeOf(await first)).toBe('IDEMPOTENCY_IN_PROGRESS')
    expect(house.told(operation_id)).toEqual(['create_database'])
    expect(kinds(operation_id).filter((kind) => kind === 'outcome')).toHaveLength(1)
  })

  test('two recoveries at once: one takes it', async () => {
    const operation_id = house.newOperation()
    const life = createLife(20)
    await call('create_database', { name: 'shop' }, { operation_id }, house.steward(life)).catch(() => undefined)
    expect(life.isDead()).toBe(true)
    house.clock.advance(LEASE_MS + 1)
    const ends = await Promise.all([house.steward().recovery.pass(), house.steward().recovery.pass()])
    expect(ends.reduce((sum, count) => sum + count)).toBe(1)
  })

  test('an operation that nobody came back for is closed, with its outcome, after 25 hours', async () => {
    const operation_id = house.newOperation()
    house.policy.verdicts.push(deny('RESOURCE_FROZEN'))
    await call('create_database', { name: 'shop' }, { operation_id })
    house.clock.advance(24 * 3_600_000)
    await steward.recovery.pass()
    expect(await house.state(operation_id)).toBe('intended')
    house.clock.advance(2 * 3_600_000)
    await steward.recovery.pass()
    expect(await house.state(operation_id)).toBe('closed')
    expect(house.audit.of(operation_id).at(-1)).toMatchObject({ kind: 'outcome', decision: 'deny' })
    expect(house.told(operation_id)).toEqual([])
  })
})

test('a touched resource of another account halts the steward for changes, on the record', async () => {
  const id = await create()
  const stranger = house.account()
  const owners = [{ resource_id: id, account_id: stranger }]
  const { query } = steward.deps.database
  Object.assign(steward.deps.database, {
    query: (text: string, values: readonly unknown[]) =>
      text.includes('owners_of') ? Promise.resolve(owners) : query(text, values),
  })
  const reply = await call('set_database_limits', { database_id: id, limits: limits(5) })
  expect(house.audit.of(reply.operation_id!).at(-1)!.personal.resource_owner).toBe(stranger)
  expect(codeOf(await call('set_database_limits', { database_id: id, limits: limits(6) }))).toBe('INTERNAL')
  expect((await call('list_databases', {})).ok).toBe(true)
})
