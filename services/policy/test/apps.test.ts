// Apps that people connected, and the people: what the operator does to them, and that the whole column holds for them.
import { randomUUID } from 'node:crypto'
import { Principal } from '@bailiwick/kernel/ids'
import { codeOf, openStand, soon, type Stand } from './support/stand.ts'
import { makeCatalog } from './support/catalog.ts'

let stand: Stand
let account: Awaited<ReturnType<Stand['account']>>
let sub: string
beforeAll(async () => {
  stand = await openStand(makeCatalog(), { withIssuer: true })
  await stand.ready()
})
beforeEach(async () => {
  stand.clock.advance(60_000)
  account = await stand.account()
  sub = await stand.member(account)
  const first = await stand.issuer.token({ sub, azp: 'first' })
  if (!(await soon(async () => (await use(first)) === 'allow', 10_000))) throw new Error('not ready')
})
afterAll(() => stand.close())

const reason = 'a test'
const use = async (token: string): Promise<string> => codeOf(await stand.decide(token, 'list_databases'))
const token = (more: Record<string, unknown> = {}): Promise<string> => stand.issuer.token({ sub, ...more })
const app = (client = 'agent'): Principal => Principal.parse(`oauth:${sub}:${client}`)
const later = (): void => stand.clock.advance(2000)
async function permitted(raw: string) {
  const reply = await stand.decide(raw, 'create_database', {})
  if (!reply.ok) throw new Error(reply.denial.code)
  return async (): Promise<string> => codeOf(await stand.steward.stillValid({ permit: reply.permit, resources: [] }))
}

test('an app is listed from its first call on, with its newest token’s scopes and its last use', async () => {
  const at = stand.clock.now()
  await use(await token())
  later()
  await use(await token({ scope: 'profile:read databases:read offline_access made:up' }))
  const { apps } = await stand.admin.apps_list({ account })
  expect(apps.find(({ client }) => client === 'agent')).toEqual({
    principal: app(),
    account,
    sub,
    client: 'agent',
    state: 'active',
    scopes: ['databases:read', 'offline_access', 'profile:read'],
    first_used_at: at,
    last_used_at: at + 2000,
  })
  expect((await stand.admin.apps_list({ account: await stand.account() })).apps).toEqual([])
})

test('what a token was not given it may not do; a refusal’s entry names person, client and scopes', async () => {
  const reply = await stand.decide(await token({ scope: 'databases:read' }), 'create_database', {})
  expect(reply).toMatchObject({ denial: { code: 'INSUFFICIENT_SCOPE', required_scopes: ['databases:write'] } })
  expect(stand.audit.entries.at(-1)).toMatchObject({
    account,
    scopes: ['databases:read'],
    personal: { user: sub, client: 'agent', principal: app() },
  })
})

test('tier, kill switch and freezes hold for apps as for tokens', async () => {
  const raw = await token()
  await stand.admin.accounts_tier({ account, tier: 'sandbox', reason })
  expect(codeOf(await stand.decide(raw, 'create_database', {}))).toBe('AI_DEPLOY_TIER_TOO_LOW')
  await stand.admin.accounts_tier({ account, tier: 'full', reason })
  await stand.admin.freeze({ account, resource: null, on: true, reason })
  expect(codeOf(await stand.decide(raw, 'create_database', {}))).toBe('RESOURCE_FROZEN')
  await stand.admin.kill({ on: true, reason })
  expect(await use(raw)).toBe('AI_DEPLOY_GLOBALLY_DISABLED')
  await stand.admin.kill({ on: false, reason })
  expect(await use(raw)).toBe('allow')
})

test('a window is an app’s, whichever token it shows; hammering pauses the app, and a new token does not free it', async () => {
  const tokens = await Promise.all(Array.from({ length: 4 }, () => token()))
  const codes: string[] = []
  for (let call = 0; call < 70; call += 1) codes.push(await use(tokens[call % 4]!))
  expect(codes.filter((code) => code === 'allow')).toHaveLength(60)
  expect(await use(await token())).toBe('TOKEN_PAUSED')
  expect(
    stand.audit.entries.find(({ kind, personal }) => kind === 'token_changed' && personal.resource === app()),
  ).toMatchObject({
    account,
    personal: { resource_kind: 'app', user: sub, client: 'agent' },
  })
  expect(await use(await token({ azp: 'other' }))).toBe('allow')
})

test('pausing stops an app and its permits; resuming lets both go on', async () => {
  const raw = await token()
  const stillValid = await permitted(raw)
  await stand.admin.apps_pause({ principal: app(), reason })
  expect(await use(raw)).toBe('TOKEN_PAUSED')
  expect(await use(await token())).toBe('TOKEN_PAUSED')
  expect(await stillValid()).toBe('TOKEN_PAUSED')
  await expect(stand.admin.apps_pause({ principal: app(), reason })).rejects.toMatchObject({ code: 'CONFLICT' })
  await stand.admin.apps_resume({ principal: app(), reason })
  expect(await use(raw)).toBe('allow')
  expect(await stillValid()).toBe('allow')
})

test('a revoked app is refused, its refreshed tokens too, until the person consents anew; the old tokens stay refused', async () => {
  const old = await token()
  const stillValid = await permitted(old)
  await stand.admin.apps_revoke({ principal: app(), reason })
  expect(await use(old)).toBe('UNAUTHENTICATED')
  expect(await stillValid()).toBe('UNAUTHENTICATED')
  later()
  expect(await use(await token())).toBe('UNAUTHENTICATED')
  await expect(stand.admin.apps_resume({ principal: app(), reason })).rejects.toMatchObject({ code: 'CONFLICT' })
  expect((await stand.admin.apps_list({ account })).apps.find(({ client }) => client === 'agent')!.state).toBe(
    'revoked',
  )
  // Somebody else's consent, or to another client, is not this one.
  stand.issuer.happens({ type: 'GRANT_CONSENT', userId: randomUUID(), clientId: 'agent' })
  stand.issuer.happens({ type: 'GRANT_CONSENT', userId: sub, clientId: 'other' })
  later()
  stand.issuer.happens({ type: 'GRANT_CONSENT', userId: sub, clientId: 'agent' })
  later()
  const fresh = await token()
  expect(await soon(async () => (await use(fresh)) === 'allow')).toBe(true)
  expect(await use(old)).toBe('UNAUTHENTICATED')
  expect(await stillValid()).toBe('UNAUTHENTICATED')
})

test('a consent of before a revocation does not undo it', async () => {
  stand.issuer.happens({ type: 'UPDATE_CONSENT', userId: sub, clientId: 'agent' })
  const before = stand.audit.entries.length
  await soon(() => stand.audit.entries.length > before)
  later()
  await use(await token())
  await stand.admin.apps_revoke({ principal: app(), reason })
  later()
  expect(await use(await token())).toBe('UNAUTHENTICATED')
})

test('a client revoked for everybody stops who used it and who only connected it, in every account', async () => {
  const client = `client-${randomUUID()}`
  const used = await token({ azp: client })
  await use(used)
  const neighbour = await stand.member(await stand.account())
  const unused = await stand.issuer.token({ sub: neighbour, azp: client })
  const { revoked } = await stand.admin.apps_revoke_client({ client, reason })
  expect(revoked).toEqual([app(client)])
  expect(await use(used)).toBe('UNAUTHENTICATED')
  expect(await use(unused)).toBe('UNAUTHENTICATED')
  later()
  expect(await use(await stand.issuer.token({ sub: neighbour, azp: client }))).toBe('UNAUTHENTICATED')
  stand.issuer.happens({ type: 'GRANT_CONSENT', userId: neighbour, clientId: client })
  later()
  const anew = await stand.issuer.token({ sub: neighbour, azp: client })
  expect(await soon(async () => (await use(anew)) === 'allow')).toBe(true)
  expect(await use(await token({ azp: client }))).toBe('UNAUTHENTICATED')
})

test('revoking by last use takes the apps that were used since, and no idle one', async () => {
  const [idle, thief] = [await token({ azp: 'idle' }), await token({ azp: 'thief' })]
  await use(idle)
  stand.clock.advance(10 * 60_000)
  const breakIn = stand.clock.now()
  await use(await token({ azp: 'thief' }))
  const { apps, revoked } = await stand.admin.tokens_revoke_seen_since({ seen_since: breakIn, account, reason })
  expect({ apps, revoked }).toEqual({ apps: [app('thief')], revoked: [] })
  later()
  expect(await use(await token({ azp: 'thief' }))).toBe('UNAUTHENTICATED')
  expect(await use(thief)).toBe('UNAUTHENTICATED')
  expect(await use(await token({ azp: 'idle' }))).toBe('allow')
})

test('a person who leaves takes apps, permits and own tokens along, at once; nobody else’s', async () => {
  const raw = await token()
  const stillValid = await permitted(raw)
  const [own, others] = [await stand.token(account), await stand.token(account)]
  await asSuperuser(`UPDATE policy.tokens SET user_sub = '${sub}' WHERE id = '${own.id}'`)
  const neighbour = await stand.member(account)
  await stand.admin.members_remove({ sub, reason })
  expect(await use(raw)).toBe('NO_ACCOUNT')
  expect(await stillValid()).toBe('UNAUTHENTICATED')
  expect(await use(own.token)).toBe('UNAUTHENTICATED')
  expect(await use(others.token)).toBe('allow')
  expect(await use(await stand.issuer.token({ sub: neighbour }))).toBe('allow')
  expect((await stand.admin.members_list({ account })).members.map((member) => member.sub)).toEqual([neighbour])
  await expect(stand.admin.members_remove({ sub, reason })).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('a person who moves to another account leaves permits and grants behind', async () => {
  const raw = await token()
  const stillValid = await permitted(raw)
  const other = await stand.account()
  await expect(stand.admin.members_add({ account: other, sub, role: 'owner', reason })).rejects.toMatchObject({
    code: 'CONFLICT',
  })
  await stand.admin.members_remove({ sub, reason })
  await stand.admin.members_add({ account: other, sub, role: 'member', reason })
  expect(await stillValid()).toBe('UNAUTHENTICATED')
  const reply = await stand.decide(await token(), 'list_databases')
  expect(reply).toMatchObject({ ok: true, permit: { permit: { account: other } } })
  expect(await stillValid()).toBe('UNAUTHENTICATED')
})

test('a permit outlives its access token’s five minutes: a change may come back from a crash', async () => {
  const stillValid = await permitted(await token())
  stand.clock.advance(3_600_000)
  expect(await stillValid()).toBe('allow')
  await stand.admin.apps_revoke({ principal: app(), reason })
  expect(await stillValid()).toBe('UNAUTHENTICATED')
})

test('describe names the app', async () => {
  const reply = await stand.decide(await token(), 'list_databases')
  if (!reply.ok) throw new Error(reply.denial.code)
  expect((await stand.steward.describe({ permit: reply.permit })).token).toMatchObject({
    name: 'agent',
    scopes: ['databases:read', 'databases:write', 'profile:read'],
    expires_at: null,
    last_used_at: stand.clock.now(),
  })
})

test('acts on people and apps are intended in the log before their effect; without the log nothing happens', async () => {
  const raw = await token()
  await use(raw)
  const { admin } = stand
  stand.audit.failsBefore = true
  const acts = [
    admin.members_add({ account, sub: randomUUID(), role: 'owner', reason }),
    admin.members_remove({ sub, reason }),
    admin.apps_pause({ principal: app(), reason }),
    admin.apps_revoke({ principal: app(), reason }),
    admin.apps_revoke_client({ client: 'agent', reason }),
  ]
  for (const act of await Promise.allSettled(acts)) expect(act).toMatchObject({ reason: { code: 'AUDIT_UNAVAILABLE' } })
  stand.audit.failsBefore = false
  expect(await use(raw)).toBe('allow')
  const before = stand.audit.entries.length
  await admin.apps_revoke({ principal: app(), reason })
  expect(stand.audit.entries.slice(before).filter(({ door }) => door === 'admin')).toMatchObject([
    { kind: 'admin', account, status: null, personal: { resource: app(), resource_kind: 'app' } },
    { kind: 'token_changed', account, status: 200 },
  ])
})

test('apps and people that are not there are not found', async () => {
  const principal = Principal.parse(`oauth:${randomUUID()}:agent`)
  await expect(stand.admin.apps_revoke({ principal, reason })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(stand.admin.apps_revoke({ principal: app('never-used'), reason })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  })
  const pat = Principal.parse(`pat:${randomUUID()}`)
  await expect(stand.admin.apps_pause({ principal: pat, reason })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
})

async function asSuperuser(sql: string): Promise<void> {
  const { Client } = await import('pg')
  const client = new Client({ connectionString: stand.database.superuser })
  await client.connect()
  await client.query(sql)
  await client.end()
}
