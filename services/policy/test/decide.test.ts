import { randomUUID } from 'node:crypto'
import { inputHash, isGenuine } from '@bailiwick/contracts/permit'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { asked, codeOf, openStand, type Stand } from './support/stand.ts'

describe('decide', () => {
  let stand: Stand
  beforeAll(async () => {
    stand = await openStand()
    await stand.ready()
  })
  afterAll(() => stand.close())
  const last = () => stand.audit.entries.at(-1)!

  test('answers a good call with a sealed permit for exactly this input', async () => {
    const account = await stand.account()
    const { id, token } = await stand.token(account)
    const reply = await stand.decide(token, 'list_databases', { limit: 5 })
    if (!reply.ok) throw new Error(reply.denial.code)
    const { permit } = reply.permit
    expect(isGenuine(stand.permitKey, reply.permit)).toBe(true)
    expect(permit).toMatchObject({
      account,
      principal: `pat:${id}`,
      token_id: sha256Hex(token),
      tool: 'list_databases',
      risk: 'read',
      operation_id: null,
      input_hash: inputHash({ limit: 5 }),
      address: '203.0.113.7',
    })
    expect(reply.rate).toEqual({ limit: 60, remaining: 59, reset_s: expect.any(Number) })
  })

  test('gives every change an operation with its undo window', async () => {
    const { token } = await stand.token(await stand.account())
    const reply = await stand.decide(token, 'set_dns_records', { domain_id: 'x' })
    if (!reply.ok) throw new Error(reply.denial.code)
    expect(reply.permit.permit.operation_id).toMatch(/^[0-9a-f-]{36}$/)
    expect(reply.permit.permit.undo_until).toBe(stand.clock.now() + 30 * 86_400_000)
    expect(reply.permit.permit.obligations).toEqual(['critical_dns'])
  })

  test('refuses missing, malformed, unknown and foreign credentials alike, telling no figures', async () => {
    const good = (await stand.token(await stand.account())).token
    const flipped = good.slice(0, -1) + (good.endsWith('0') ? '1' : '0')
    const { makePersonalToken } = await import('../src/checks/token-format.ts')
    for (const credential of [null, '', 'mpt_12', flipped, makePersonalToken(), 'eyJh.eyJz.c2ln']) {
      const reply = await stand.decide(credential, 'list_databases')
      expect(reply).toEqual({ ok: false, denial: { code: 'UNAUTHENTICATED' }, rate: null })
    }
  })

  test('records a refusal before it answers, with the input redacted by the tool’s own rule', async () => {
    const account = await stand.account()
    const { id, token } = await stand.token(account, ['databases:read'])
    const reply = await stand.decide(token, 'create_database', { name: 'shop', secret_note: 'hush' })
    expect(reply).toMatchObject({
      ok: false,
      denial: { code: 'INSUFFICIENT_SCOPE', required_scopes: ['databases:write'] },
    })
    expect(last()).toMatchObject({
      kind: 'call',
      account,
      decision: 'deny',
      code: 'INSUFFICIENT_SCOPE',
      status: 403,
      tool: 'create_database',
      personal: {
        principal: `pat:${id}`,
        token: sha256Hex(token),
        input: { name: 'shop', secret_note: { sha256: sha256Hex('"hush"') } },
      },
    })
  })

  test('keeps the reason for the log away from the wire, and an unknown tool’s name out of the leaf', async () => {
    const { token } = await stand.token(await stand.account())
    const reply = await stand.decide(token, 'mail_me_at_jane', {})
    expect(reply).toMatchObject({ ok: false, denial: { code: 'TOOL_UNKNOWN' } })
    expect(JSON.stringify(reply)).not.toContain('why')
    expect(last()).toMatchObject({ tool: null, personal: { why: 'called mail_me_at_jane' } })
  })

  test('records what the gateway could not read', async () => {
    const { token } = await stand.token(await stand.account())
    const reply = await stand.decide(token, '', null, { parse_error: 'duplicate_key' })
    expect(codeOf(reply)).toBe('PARSE_ERROR')
    expect(last()).toMatchObject({ code: 'PARSE_ERROR', personal: { why: 'duplicate_key' } })
    expect(codeOf(await stand.decide(token, 'list_databases', ['not', 'an', 'object']))).toBe('INPUT_INVALID')
  })

  test('follows the tiers, and the kill switch before them', async () => {
    const account = await stand.account('none')
    const { token } = await stand.token(account)
    expect(codeOf(await stand.decide(token, 'list_databases'))).toBe('AI_DEPLOY_NOT_ENABLED')
    await stand.admin.accounts_tier({ account, tier: 'sandbox', reason: 'try it' })
    expect(codeOf(await stand.decide(token, 'list_databases'))).toBe('allow')
    expect(codeOf(await stand.decide(token, 'create_database', { name: 'a' }))).toBe('AI_DEPLOY_TIER_TOO_LOW')
    await stand.admin.kill({ on: true, reason: 'drill' })
    expect(codeOf(await stand.decide(token, 'list_databases'))).toBe('AI_DEPLOY_GLOBALLY_DISABLED')
    await stand.admin.kill({ on: false, reason: 'drill is over' })
    expect(codeOf(await stand.decide(token, 'list_databases'))).toBe('allow')
  })

  test('stops the 501st change of a beta account’s UTC day, and starts anew with the next', async () => {
    const account = await stand.account('beta')
    const { token } = await stand.token(account)
    const { deps, clock } = stand
    const today = new Date(clock.now()).toISOString().slice(0, 10)
    await deps.database.inAccount(account, (query) =>
      query('INSERT INTO policy.daily_counts VALUES ($1, $2, 499)', [account, today]),
    )
    expect(codeOf(await stand.decide(token, 'create_database', { name: 'a' }))).toBe('allow')
    const refused = await stand.decide(token, 'create_database', { name: 'b' })
    const midnight = (Math.floor(clock.now() / 86_400_000) + 1) * 86_400_000
    expect(refused).toMatchObject({
      denial: { code: 'AI_DEPLOY_DAILY_LIMIT', extra: { reset_at: new Date(midnight).toISOString() } },
    })
    expect(codeOf(await stand.decide(token, 'list_databases'))).toBe('allow')
    const before = clock.now()
    clock.set(midnight)
    expect(codeOf(await stand.decide(token, 'create_database', { name: 'b' }))).toBe('allow')
    clock.set(before)
  })

  test('freezes stop changes to the account or the resource, and reading goes on', async () => {
    const account = await stand.account()
    const { token } = await stand.token(account)
    const [frozen, other] = [uuidv7(), uuidv7()]
    await stand.admin.freeze({ account, resource: frozen, on: true, reason: 'look first' })
    const set = (database_id: string) => stand.decide(token, 'set_database_limits', { database_id })
    expect(codeOf(await set(frozen))).toBe('RESOURCE_FROZEN')
    expect(codeOf(await set(frozen.toUpperCase()))).toBe('RESOURCE_FROZEN')
    expect(codeOf(await set(other))).toBe('allow')
    expect(codeOf(await stand.decide(token, 'get_database', { database_id: frozen }))).toBe('allow')
    await stand.admin.freeze({ account, resource: null, on: true, reason: 'all of it' })
    expect(codeOf(await set(other))).toBe('RESOURCE_FROZEN')
    expect((await stand.admin.freezes_list({})).freezes.filter((freeze) => freeze.account === account)).toHaveLength(2)
    await stand.admin.freeze({ account, resource: null, on: false, reason: 'done' })
    expect(codeOf(await set(other))).toBe('allow')
  })

  test('a token with addresses works from there alone', async () => {
    const { token } = await stand.token(await stand.account(), ['databases:read'], ['198.51.100.0/24', '2001:db8::/32'])
    const from = async (address: string) => codeOf(await stand.decide(token, 'list_databases', {}, { address }))
    expect(await from('198.51.100.9')).toBe('allow')
    expect(await from('::ffff:198.51.100.9')).toBe('allow')
    expect(await from('2001:db8::1')).toBe('allow')
    expect(await from('198.51.101.9')).toBe('TOKEN_ADDRESS_REFUSED')
    expect(await from('nonsense')).toBe('TOKEN_ADDRESS_REFUSED')
  })

  test('an expired token is refused from its last millisecond on', async () => {
    const { token, expires_at } = await stand.token(await stand.account())
    const before = stand.clock.now()
    stand.clock.set(expires_at - 1)
    expect(codeOf(await stand.decide(token, 'list_databases'))).toBe('allow')
    stand.clock.set(expires_at)
    expect(codeOf(await stand.decide(token, 'list_databases'))).toBe('UNAUTHENTICATED')
    stand.clock.set(before)
  })

  test('undo needs the deed’s scopes or its domain’s write, and finds nothing in another account', async () => {
    const account = await stand.account()
    const { token } = await stand.token(account)
    const deed = await stand.decide(token, 'install_wordpress', { name: 'blog' })
    if (!deed.ok) throw new Error(deed.denial.code)
    const operation_id = deed.permit.permit.operation_id!
    const undoWith = async (scopes: string[], where = account) =>
      stand.decide((await stand.token(where, scopes)).token, 'undo', { operation_id })
    expect(await undoWith(['dns:write'])).toMatchObject({
      denial: { code: 'INSUFFICIENT_SCOPE', required_scopes: ['websites:write', 'databases:write'] },
    })
    expect(codeOf(await undoWith(['databases:write']))).toBe('INSUFFICIENT_SCOPE')
    expect(codeOf(await undoWith(['websites:write', 'databases:write']))).toBe('allow')
    const byDomain = await undoWith(['websites:write'])
    if (!byDomain.ok) throw new Error(byDomain.denial.code)
    expect(byDomain.permit.permit).toMatchObject({ tool: 'undo', risk: 'write' })
    // Undo of the undo needs the same as the undo.
    const again = { operation_id: byDomain.permit.permit.operation_id! }
    expect(codeOf(await stand.decide((await stand.token(account, ['websites:write'])).token, 'undo', again))).toBe(
      'allow',
    )
    const foreign = await undoWith(['websites:write'], await stand.account())
    const absent = await stand.decide(token, 'undo', { operation_id: randomUUID() })
    expect(codeOf(foreign)).toBe('NOT_FOUND')
    expect(absent).toMatchObject({ denial: (foreign as { denial: object }).denial })
  })

  test('identify names the tools that the token may call now, and counts as a call', async () => {
    const account = await stand.account('beta')
    const { token } = await stand.token(account, ['databases:delete'])
    const listed = async () => {
      const reply = await stand.gateway.identify({ ...asked(token), method: 'tools/list' })
      return reply.ok ? reply.tools : reply.denial.code
    }
    expect(await listed()).toEqual([
      'preview_delete_database',
      'delete_database',
      'list_trash',
      'undo',
      'confirm_action',
    ])
    await stand.admin.accounts_tier({ account, tier: 'sandbox', reason: 'calm down' })
    expect(await listed()).toEqual(['preview_delete_database', 'list_trash'])
    expect(await stand.decide(token, 'list_trash')).toMatchObject({ ok: true, rate: { remaining: 57 } })
    await stand.admin.accounts_tier({ account, tier: 'none', reason: 'off' })
    expect(await listed()).toBe('AI_DEPLOY_NOT_ENABLED')
    expect(last().personal.why).toBe('tools/list: AI_DEPLOY_NOT_ENABLED')
  })
})
