import { isGenuine } from '@bailiwick/contracts/permit'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import { AccountId, uuidv7 } from '@bailiwick/kernel/ids'
import { codeOf, openStand, type Stand } from './support/stand.ts'

describe('the operator’s door', () => {
  let stand: Stand
  beforeAll(async () => {
    stand = await openStand()
    await stand.ready()
  })
  afterEach(() => {
    stand.audit.failsBefore = false
  })
  afterAll(() => stand.close())

  test('every act is intended in the log before its effect, and its outcome follows under the same request', async () => {
    const account = await stand.account('none')
    const before = stand.audit.entries.length
    const { receipt } = await stand.admin.accounts_tier({ account, tier: 'beta', reason: 'owner consented' })
    const [intent, outcome] = stand.audit.entries.slice(before)
    expect(intent).toMatchObject({
      kind: 'admin',
      account,
      door: 'admin',
      status: null,
      personal: { input: { tier: 'beta' } },
    })
    expect(outcome).toMatchObject({ kind: 'tier', account, status: 200, request_id: intent!.request_id })
    expect(outcome!.personal.why).toBe('accounts_tier: owner consented')
    expect(receipt).toBe(before + 1)
  })

  test('nothing happens when the intent cannot be recorded', async () => {
    const account = await stand.account('none')
    const { id, token } = await stand.token(account)
    const { admin } = stand
    stand.audit.failsBefore = true
    const acts = [
      admin.accounts_create({ name: 'ghost' }),
      admin.accounts_tier({ account, tier: 'full', reason: 'no log' }),
      admin.kill({ on: true, reason: 'no log' }),
      admin.freeze({ account, resource: null, on: true, reason: 'no log' }),
      admin.tokens_create({ account, name: 'ghost', scopes: ['dns:read'] }),
      admin.tokens_revoke({ id, reason: 'no log' }),
      admin.tokens_revoke_seen_since({ seen_since: 0, account, reason: 'no log' }),
      admin.permit({ account, tool: 'create_database', input: {}, reason: 'no log' }),
    ]
    for (const act of acts) await expect(act).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
    stand.audit.failsBefore = false
    expect((await admin.accounts_list({})).accounts.find(({ name }) => name === 'ghost')).toBeUndefined()
    expect((await admin.tokens_list({ account })).tokens).toMatchObject([{ id, state: 'active' }])
    expect((await admin.kill_status({})).on).toBe(false)
    expect((await admin.operations({ account })).operations).toEqual([])
    expect(codeOf(await stand.decide(token, 'whoami'))).toBe('AI_DEPLOY_NOT_ENABLED')
  })

  test('an act that fails leaves its failure in the log', async () => {
    const account = await stand.account('beta')
    await expect(stand.admin.accounts_tier({ account, tier: 'beta', reason: 'again' })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
    expect(stand.audit.entries.at(-1)).toMatchObject({ kind: 'admin', status: 500, code: 'CONFLICT' })
  })

  test('an account starts at tier none', async () => {
    const made = await stand.admin.accounts_create({ name: 'new', time_zone: 'Europe/Berlin' })
    expect(made).toMatchObject({ name: 'new', tier: 'none', frozen: false })
    expect((await stand.admin.accounts_list({})).accounts).toContainEqual(made)
    await expect(stand.admin.accounts_create({ name: 'x', time_zone: 'Mars/Base' })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
  })

  test('a token is shown once, recorded by its SHA-256, and kept as an HMAC', async () => {
    const account = await stand.account()
    const { id, token } = await stand.token(account, ['dns:write', 'dns:write'])
    expect(stand.audit.entries.at(-1)).toMatchObject({
      kind: 'token_issued',
      account,
      personal: { token: sha256Hex(token), resource: id },
    })
    expect(JSON.stringify(stand.audit.entries)).not.toContain(token)
    const [row] = await stand.deps.database.inAccount(account, (query) =>
      query('SELECT row_to_json(t)::text AS row FROM policy.tokens t'),
    )
    for (const form of [token, token.slice(4), sha256Hex(token)]) expect(row!['row']).not.toContain(form)
    expect((await stand.admin.tokens_list({ account })).tokens).toMatchObject([
      { id, scopes: ['dns:write'], state: 'active' },
    ])
  })

  test('scopes, addresses, accounts and tokens that do not exist are refused before anything is recorded', async () => {
    const account = await stand.account()
    const before = stand.audit.entries.length
    const create = (more: object) => stand.admin.tokens_create({ account, name: 'x', scopes: ['dns:read'], ...more })
    await expect(create({ scopes: ['ssl:delete'] })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await expect(create({ addresses: ['here'] })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await expect(create({ account: AccountId.parse(uuidv7()) })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(stand.admin.tokens_revoke({ id: uuidv7(), reason: 'who?' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    expect(stand.audit.entries).toHaveLength(before)
  })

  test('a revoked token never comes back', async () => {
    const { id } = await stand.token(await stand.account())
    await stand.admin.tokens_revoke({ id, reason: 'lost' })
    await expect(stand.admin.tokens_resume({ id, reason: 'found' })).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('revoking by last use takes every token that was used since, and no idle one', async () => {
    const account = await stand.account()
    const [idle, early, late] = [await stand.token(account), await stand.token(account), await stand.token(account)]
    const start = stand.clock.now()
    await stand.decide(early.token, 'whoami')
    await stand.deps.lastUse.flush(stand.clock.now())
    stand.clock.advance(10 * 60_000)
    const breakIn = stand.clock.now()
    await stand.decide(late.token, 'whoami')
    const { revoked } = await stand.admin.tokens_revoke_seen_since({ seen_since: breakIn, account, reason: 'break-in' })
    expect(revoked).toEqual([late.id])
    expect(codeOf(await stand.decide(late.token, 'whoami'))).toBe('UNAUTHENTICATED')
    expect(codeOf(await stand.decide(early.token, 'whoami'))).toBe('allow')
    expect(codeOf(await stand.decide(idle.token, 'whoami'))).toBe('allow')
    stand.clock.set(start)
  })

  test('a use that is stored up to a minute late is still caught by seen-since', async () => {
    const account = await stand.account()
    const { id, token } = await stand.token(account)
    const start = stand.clock.now()
    await stand.decide(token, 'whoami')
    await stand.deps.lastUse.flush(stand.clock.now())
    stand.clock.advance(59_999)
    await stand.decide(token, 'whoami')
    await stand.deps.lastUse.flush(stand.clock.now())
    // Another replica knows only what is stored: the first use.
    const other = await stand.replica()
    await other.ready()
    const { revoked } = await other.admin.tokens_revoke_seen_since({
      seen_since: stand.clock.now(),
      account,
      reason: 'break-in',
    })
    expect(revoked).toEqual([id])
    stand.clock.set(start)
  })

  test('a human’s permit is for the admin door, on the record, with an operation; destroying is not offered', async () => {
    const account = await stand.account('none')
    const reply = await stand.admin.permit({
      account,
      tool: 'create_database',
      input: { name: 'a' },
      reason: 'asked by mail',
    })
    if (!reply.ok) throw new Error(reply.denial.code)
    expect(isGenuine(stand.permitKey, reply.permit)).toBe(true)
    expect(reply.permit.permit).toMatchObject({
      door: 'admin',
      principal: 'admin:operator',
      account,
      scopes: ['databases:read', 'databases:write'],
    })
    expect((await stand.admin.operations({ account })).operations).toMatchObject([
      { id: reply.permit.permit.operation_id, tool: 'create_database' },
    ])
    // No switch for agents stops a human; a freeze does.
    expect(codeOf(await stand.steward.stillValid({ permit: reply.permit, resources: [] }))).toBe('allow')
    await stand.admin.freeze({ account, resource: null, on: true, reason: 'look' })
    expect(codeOf(await stand.steward.stillValid({ permit: reply.permit, resources: [] }))).toBe('RESOURCE_FROZEN')
    expect(codeOf(await stand.admin.permit({ account, tool: 'delete_database', input: {}, reason: 'wipe it' }))).toBe(
      'CONFIRMATION_REQUIRED',
    )
  })
})
