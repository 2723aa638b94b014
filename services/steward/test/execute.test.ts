// What the steward refuses, whoever asks: forged, changed, late and swapped permits, other accounts' ids, one call too many; and
// that all of it is on the record.
import { sealPermit, type Permit } from '@bailiwick/contracts/permit'
import { ResourceId, uuidv7 } from '@bailiwick/kernel/ids'
import { codeOf, openHouse, outputOf, textOf, type House, type Steward } from './support/house.ts'

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
afterAll(() => house.close())

const create = async (name = 'shop', of = account): Promise<string> =>
  textOf(await house.call(steward, 'create_database', { name }, { account: of }), 'database_id')
const lastEntry = () => house.audit.entries.at(-1)!

describe('a permit', () => {
  const input = { name: 'shop' }
  const send = (sealed: ReturnType<House['permit']>, body: object = input, caller = 'gateway') =>
    steward.execute({ permit: sealed, input: body as never }, caller)

  test('under another key is refused, and stands in the log under no account', async () => {
    const forged = sealPermit(Buffer.alloc(32, 7), house.permit('create_database', input, { account }).permit)
    expect(codeOf(await send(forged))).toBe('PERMIT_REFUSED')
    expect(lastEntry()).toMatchObject({ kind: 'call', account: null, decision: 'deny', code: 'PERMIT_REFUSED' })
    expect(lastEntry().personal.why).toContain(account)
  })

  test.each<[string, Partial<Permit>]>([
    ['account', { account: uuidv7() as Permit['account'] }],
    ['principal', { principal: `pat:${uuidv7()}` as Permit['principal'] }],
    ['tool', { tool: 'delete_database' }],
    ['operation', { operation_id: uuidv7() as Permit['operation_id'] }],
    ['arrival', { issued_at: 0 }],
    ['obligations', { obligations: [] }],
  ])('with another %s than policy sealed is refused', async (_, change) => {
    const sealed = house.permit('create_database', input, { account, obligations: ['critical_dns'] })
    const changed = { ...sealed, permit: { ...sealed.permit, ...change } }
    expect(codeOf(await send(changed))).toBe('PERMIT_REFUSED')
    expect(lastEntry().account).toBeNull()
  })

  test.each<[string, () => ReturnType<typeof send>]>([
    ['with another input', () => send(house.permit('create_database', input, { account }), { name: 'other' })],
    [
      'that arrives after 60 s',
      () => send(house.permit('create_database', input, { account, issued_at: house.clock.now() - 60_001 })),
    ],
    [
      'from the future',
      () => send(house.permit('create_database', input, { account, issued_at: house.clock.now() + 60_000 })),
    ],
    [
      'for the console, from the gateway',
      () => send(house.permit('create_database', input, { account, door: 'console' })),
    ],
    ['of the admin, from the gateway', () => send(house.permit('create_database', input, { account, door: 'admin' }))],
    [
      'for a change without an operation',
      () => send(house.permit('create_database', input, { account, operation_id: null })),
    ],
    ['that took a change for a read', () => send(house.permit('create_database', input, { account, risk: 'read' }))],
  ])('%s is refused, on the account’s record', async (_, call) => {
    const reply = await call()
    expect(codeOf(reply)).toBe('PERMIT_REFUSED')
    expect(lastEntry()).toMatchObject({ account, decision: 'deny', code: 'PERMIT_REFUSED' })
    expect(JSON.stringify(reply)).not.toContain('why')
    expect(
      await house.superuser.query('SELECT 1 FROM steward.operations WHERE account_id = $1', [account]),
    ).toMatchObject({ rowCount: 0 })
  })

  test('of 60 s is still good', async () => {
    const sealed = house.permit('create_database', input, { account, issued_at: house.clock.now() - 60_000 })
    expect((await send(sealed)).ok).toBe(true)
  })

  test('of another catalog is CATALOG_MISMATCH', async () => {
    expect(codeOf(await send(house.permit('create_database', input, { account, catalog_hash: 'c' })))).toBe(
      'CATALOG_MISMATCH',
    )
  })

  test('for a destructive tool that binds another resource is refused', async () => {
    const id = await create()
    const body = { database_id: id, preview_token: 't', confirm: true }
    for (const bound of [null, { resource_id: uuidv7(), version: 1 }])
      expect(codeOf(await send(house.permit('delete_database', body, { account, bound }), body))).toBe('PERMIT_REFUSED')
  })

  test('for a read works once', async () => {
    const sealed = house.permit('list_databases', {}, { account })
    expect((await send(sealed, {})).ok).toBe(true)
    expect(codeOf(await send(sealed, {}))).toBe('PERMIT_REFUSED')
  })

  test('for a read that was issued before this steward started is refused, because its nonce may have been spent', async () => {
    const sealed = house.permit('list_databases', {}, { account, issued_at: house.clock.now() - 1 })
    steward = house.steward()
    expect(codeOf(await send(sealed, {}))).toBe('BACKEND_UNAVAILABLE')
  })

  test('whose nonce opened another operation opens none', async () => {
    const nonce = uuidv7()
    await send(house.permit('create_database', input, { account, nonce }))
    expect(codeOf(await send(house.permit('create_database', input, { account, nonce })))).toBe('PERMIT_REFUSED')
  })

  test('for an operation cannot carry another call of the same account', async () => {
    const operation_id = house.newOperation()
    await send(house.permit('create_database', input, { account, operation_id }))
    const other = { name: 'other' }
    expect(codeOf(await send(house.permit('create_database', other, { account, operation_id }), other))).toBe(
      'PERMIT_REFUSED',
    )
  })
})

describe('input', () => {
  test('that does not fit is INPUT_INVALID with the paths, and nothing of it is repeated', async () => {
    const reply = await house.call(steward, 'create_database', { name: 'Evil NAME' }, { account })
    expect(codeOf(reply)).toBe('INPUT_INVALID')
    expect(!reply.ok && reply.denial.extra?.['errors']).toEqual([{ path: 'name', message: expect.any(String) }])
    expect(JSON.stringify(reply)).not.toContain('Evil')
  })

  test('of the pipeline is not the tool’s: idempotency_key passes, an unknown field does not', async () => {
    const idempotency_key = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff'
    expect((await house.call(steward, 'create_database', { name: 'shop', idempotency_key }, { account })).ok).toBe(true)
    expect(codeOf(await house.call(steward, 'create_database', { name: 'a', other: 1 }, { account }))).toBe(
      'INPUT_INVALID',
    )
    expect(codeOf(await house.call(steward, 'list_databases', { confirm: true }, { account }))).toBe('INPUT_INVALID')
  })

  test('is stored and recorded without the preview token', async () => {
    const id = await create()
    const token = 'preview-token-in-the-clear'
    const reply = await house.call(
      steward,
      'delete_database',
      { database_id: id, preview_token: token, confirm: true },
      { account, bound: { resource_id: id, version: 1 }, preview_id: 'p' },
    )
    expect(reply.ok).toBe(true)
    const { rows } = await house.superuser.query<{ text: string }>('SELECT o::text AS text FROM steward.operations o')
    expect(JSON.stringify([rows, house.audit.entries])).not.toContain(token)
  })
})

describe('another account', () => {
  test('gets the same bytes for its neighbour’s id as for none, in a read, a change and an undo', async () => {
    const id = await create()
    const stranger = house.account()
    const { operation_id } = await house.call(steward, 'create_database', { name: 'x' }, { account })
    const bytes = (reply: Awaited<ReturnType<Steward['execute']>>): string => JSON.stringify(!reply.ok && reply.denial)
    const limits = { connections: 5, statement_timeout_ms: 1000 }
    for (const [tool, field, foreign, more] of [
      ['get_database', 'database_id', id, {}],
      ['set_database_limits', 'database_id', id, { limits }],
      ['undo', 'operation_id', operation_id!, {}],
      ['get_operation', 'operation_id', operation_id!, {}],
      ['preview_undo', 'operation_id', operation_id!, {}],
    ] as const) {
      const ask = (value: string) => house.call(steward, tool, { [field]: value, ...more }, { account: stranger })
      const [theirs, absent] = [await ask(foreign), await ask(uuidv7())]
      expect(codeOf(theirs)).toBe('NOT_FOUND')
      expect(bytes(theirs)).toBe(bytes(absent))
      expect(bytes(theirs)).toBe('{"code":"NOT_FOUND"}')
    }
    expect(outputOf(await house.call(steward, 'list_databases', {}, { account: stranger }))).toMatchObject({
      databases: [],
    })
    expect(outputOf(await house.call(steward, 'list_trash', {}, { account: stranger }))).toMatchObject({ items: [] })
  })

  test('without the account setting a query returns no rows, of any table', async () => {
    await create()
    for (const table of ['resources', 'operations', 'locks', 'zone_versions'])
      expect(await house.database.query(`SELECT * FROM steward.${table}`, [])).toEqual([])
    expect(
      await house.database.asAccount(account, (query) => query('SELECT id FROM steward.resources', [])),
    ).toHaveLength(1)
  })
})

describe('reads', () => {
  test('are in the log before they are answered; without the log there is no answer', async () => {
    house.audit.failsBefore.add('append')
    const reply = await house.call(steward, 'list_databases', {}, { account })
    house.audit.failsBefore.clear()
    expect(reply).toMatchObject({ ok: false, receipt: null, denial: { code: 'AUDIT_UNAVAILABLE' } })
    const again = await house.call(steward, 'list_databases', {}, { account })
    expect(again.receipt).toBe(house.audit.entries.length - 1)
    expect(lastEntry()).toMatchObject({ kind: 'call', tool: 'list_databases', decision: 'allow', status: 200 })
  })

  test('cannot change anything: a changing verb is out of their reach', async () => {
    const { bindContext } = await import('../src/bind.ts')
    const id = await create()
    const context = bindContext(steward.deps, {
      sealed: house.permit('list_databases', {}, { account }),
      operationId: null,
      newResourceId: uuidv7() as never,
      loaded: new Map(),
      mayChange: false,
      changes: null,
    })
    await expect(context.keeper.quarantine_database({ database_id: ResourceId.parse(id) })).rejects.toThrow(
      'only looking',
    )
    expect(() => context.resources.setState(id, 'quarantined')).toThrow('handle and undo only')
  })

  test('that preview get their token from policy, for the version that was seen', async () => {
    const id = await create()
    const output = outputOf(await house.call(steward, 'preview_delete_database', { database_id: id }, { account }))
    expect(output).toMatchObject({
      preview_token: expect.any(String),
      expires_at: expect.any(String),
      impact: { name: 'shop' },
    })
    expect(JSON.stringify(output['instruction'])).toContain('delete_database')
    expect(house.policy.assessments.at(-1)).toMatchObject({
      kind: 'preview',
      for_tool: 'delete_database',
      input: { database_id: id },
      resource_id: id,
      resource_version: 1,
    })
  })

  test('at most 8 of an account at once; the ninth is told to wait, others are not', async () => {
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const { query } = steward.deps.audit
    Object.assign(steward.deps.audit, { query: (input: never) => held.then(() => query(input)) })
    const reads = Array.from({ length: 8 }, () => house.call(steward, 'list_my_activity', {}, { account }))
    const ninth = await house.call(steward, 'list_databases', {}, { account })
    const neighbour = await house.call(steward, 'list_databases', {}, { account: house.account() })
    release()
    expect(codeOf(ninth)).toBe('IN_FLIGHT_LIMIT')
    expect(neighbour.ok).toBe(true)
    expect((await Promise.all(reads)).every(({ ok }) => ok)).toBe(true)
    expect((await house.call(steward, 'list_databases', {}, { account })).ok).toBe(true)
  })
})
