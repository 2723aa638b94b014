// What the identity provider takes back: through its events, on the deciding door and for permits that are out already.
import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { startPoller } from '../src/identity/events.ts'
import { connectKeycloak } from '../src/identity/keycloak.ts'
import { codeOf, openStand, soon, type Stand } from './support/stand.ts'
import { makeCatalog } from './support/catalog.ts'

let stand: Stand
let sub: string
let account: string
beforeAll(async () => {
  stand = await openStand(makeCatalog(), { withIssuer: true })
  await stand.ready()
  account = await stand.account()
})
beforeEach(async () => {
  // A minute later, with windows of a person of its own.
  stand.clock.advance(60_000)
  sub = await stand.member(account)
})
afterEach(() => {
  Object.assign(stand.audit, { failsBefore: false, failsAfterEffect: false })
  stand.issuer.state.isDown = false
})
afterAll(() => stand.close())

const use = async (token: string, by: Pick<Stand, 'decide'> = stand): Promise<string> =>
  codeOf(await by.decide(token, 'list_databases'))
const becomes = (token: string, code: string, by: Pick<Stand, 'decide'> = stand): Promise<boolean> =>
  soon(async () => (await use(token, by)) === code)
/** Signed in, used once. */
async function connected(more: Record<string, unknown> = {}) {
  const sid = randomUUID()
  const token = await stand.issuer.token({ sub, sid, ...more })
  if (!(await soon(async () => (await use(token)) === 'allow', 10_000))) throw new Error(await use(token))
  return { token, sid }
}
const later = (): void => stand.clock.advance(2000)

type Way = { readonly event?: object; readonly admin?: object; readonly spares: Record<string, unknown> }
const OTHER = '00000000-0000-4000-8000-000000000001'
const ways = (sid: string): Readonly<Record<string, Way>> => ({
  'a grant revoked in the account page': {
    event: { type: 'REVOKE_GRANT', userId: sub, clientId: 'account', details: { revoked_client: 'agent' } },
    spares: { azp: 'other' },
  },
  'a scope that was ticked before, and now was not': {
    event: { type: 'UPDATE_CONSENT', userId: sub, clientId: 'agent', details: { withdrawn_scope: 'databases:write' } },
    spares: { azp: 'other' },
  },
  'a refresh token revoked by the app': {
    event: {
      type: 'REVOKE_GRANT',
      userId: sub,
      clientId: 'agent',
      sessionId: sid,
      details: { revoked_client: 'agent' },
    },
    spares: { azp: 'other' },
  },
  'an access token revoked by the app': {
    event: { type: 'REVOKE_GRANT', userId: sub, clientId: 'agent', details: { token_id: 'x' } },
    spares: { azp: 'other' },
  },
  'a session that its person ended': {
    event: { type: 'LOGOUT', userId: sub, clientId: 'account', sessionId: sid },
    spares: { sid: 'another-session' },
  },
  'a refresh token used twice': {
    event: {
      type: 'REFRESH_TOKEN_ERROR',
      clientId: 'agent',
      sessionId: sid,
      error: 'invalid_token',
      details: { reason: 'Maximum allowed refresh token reuse exceeded', refresh_token_sub: sub },
    },
    // Of the very same session.
    spares: { azp: 'other' },
  },
  'a person locked out for good': {
    event: { type: 'USER_DISABLED_BY_PERMANENT_LOCKOUT', userId: sub },
    spares: { sub: OTHER },
  },
  'a client that removed itself': { event: { type: 'CLIENT_DELETE', clientId: 'agent' }, spares: { azp: 'other' } },
  'an event of tomorrow about the person': { event: { type: 'SOMETHING_NEW', userId: sub }, spares: { sub: OTHER } },
  'an event of tomorrow about the client': {
    event: { type: 'SOMETHING_NEW', clientId: 'agent' },
    spares: { azp: 'other' },
  },
  'a consent removed by an administrator': {
    admin: { operationType: 'ACTION', resourceType: 'USER', resourcePath: `users/${sub}/consents/agent` },
    spares: { azp: 'other' },
  },
  'a session removed by an administrator': {
    admin: { operationType: 'DELETE', resourceType: 'USER_SESSION', resourcePath: `sessions/${sid}` },
    spares: { sid: 'another-session' },
  },
  'a person signed out by an administrator': {
    admin: { operationType: 'ACTION', resourceType: 'USER', resourcePath: `users/${sub}/logout` },
    spares: { sub: OTHER },
  },
  'a person disabled': {
    admin: {
      operationType: 'UPDATE',
      resourceType: 'USER',
      resourcePath: `users/${sub}`,
      representation: '{"enabled":false}',
    },
    spares: { sub: OTHER },
  },
  'a person deleted': {
    admin: { operationType: 'DELETE', resourceType: 'USER', resourcePath: `users/${sub}` },
    spares: { sub: OTHER },
  },
  'a role taken away': {
    admin: {
      operationType: 'DELETE',
      resourceType: 'REALM_ROLE_MAPPING',
      resourcePath: `users/${sub}/role-mappings/realm`,
    },
    spares: { sub: OTHER },
  },
  'a password reset by an administrator': {
    admin: { operationType: 'ACTION', resourceType: 'USER', resourcePath: `users/${sub}/reset-password` },
    spares: { sub: OTHER },
  },
  'a client disabled': {
    admin: {
      operationType: 'UPDATE',
      resourceType: 'CLIENT',
      resourcePath: 'clients/0c7ed1f2',
      representation: '{"clientId":"agent","enabled":false}',
    },
    spares: { azp: 'other' },
  },
  'a client deleted': {
    admin: {
      operationType: 'DELETE',
      resourceType: 'CLIENT',
      resourcePath: 'clients/0c7ed1f2',
      representation: '{"clientId":"agent"}',
    },
    spares: { azp: 'other' },
  },
})
/** These know nobody in particular: everybody starts anew. */
const REALM_WIDE: Readonly<Record<string, object>> = {
  'everybody signed out': {
    operationType: 'ACTION',
    resourceType: 'REALM',
    resourcePath: 'logout-all',
    representation: '{}',
  },
  'a client’s tokens revoked, of which only the row is named': {
    operationType: 'ACTION',
    resourceType: 'CLIENT',
    resourcePath: 'clients/0c7ed1f2/push-revocation',
  },
  'the realm changed': { operationType: 'UPDATE', resourceType: 'REALM', representation: '{"notBefore":1}' },
  'a role changed': { operationType: 'UPDATE', resourceType: 'REALM_ROLE', resourcePath: 'roles/owner' },
  'a place of tomorrow': { operationType: 'ACTION', resourceType: 'NEW', resourcePath: 'new/thing' },
}

test.each(Object.keys(ways('')))(
  '%s: its tokens and its permits are refused within a second, no others, and newer ones are good',
  async (name) => {
    const { token, sid } = await connected()
    const { event, admin, spares } = ways(sid)[name]!
    if (spares['sub'] === OTHER) spares['sub'] = await stand.member(account)
    const spared = await stand.issuer.token({ sub, sid, ...spares })
    expect(await use(spared)).toBe('allow')
    const reply = await stand.decide(token, 'create_database', {})
    if (!reply.ok) throw new Error(reply.denial.code)
    const stillValid = async (): Promise<string> =>
      codeOf(await stand.steward.stillValid({ permit: reply.permit, resources: [] }))
    expect(await stillValid()).toBe('allow')
    later()
    if (event) stand.issuer.happens({ ...event })
    if (admin) stand.issuer.administers({ ...admin })
    expect(await becomes(token, 'UNAUTHENTICATED')).toBe(true)
    expect(await stillValid()).toBe('UNAUTHENTICATED')
    expect(await use(spared)).toBe('allow')
    later()
    expect(await use(await stand.issuer.token({ sub, sid }))).toBe('allow')
  },
)

test('the token that an unticking led to is good at once, though it says the same second', async () => {
  const { token } = await connected()
  later()
  stand.issuer.happens({
    type: 'UPDATE_CONSENT',
    userId: sub,
    clientId: 'agent',
    details: { withdrawn_scope: 'databases:write' },
  })
  const next = await stand.issuer.token({ sub })
  expect(await becomes(token, 'UNAUTHENTICATED')).toBe(true)
  expect(await use(next)).toBe('allow')
})

test.each(Object.keys(REALM_WIDE))('%s: everything issued until then is refused', async (name) => {
  const [one, other] = [await connected(), await connected({ azp: 'other' })]
  later()
  stand.issuer.administers({ ...REALM_WIDE[name] })
  expect(await becomes(one.token, 'UNAUTHENTICATED')).toBe(true)
  expect(await use(other.token)).toBe('UNAUTHENTICATED')
  later()
  expect(await use(await stand.issuer.token({ sub }))).toBe('allow')
})

test('what anybody can bring about, or takes nothing back, stops no app', async () => {
  const { token, sid } = await connected()
  later()
  const about = { userId: sub, clientId: 'agent', sessionId: sid }
  for (const type of [
    'LOGIN',
    'CODE_TO_TOKEN',
    'REFRESH_TOKEN',
    'UPDATE_PASSWORD',
    'UPDATE_TOTP',
    'USER_DISABLED_BY_TEMPORARY_LOCKOUT',
  ])
    stand.issuer.happens({ ...about, type })
  for (const type of [
    'LOGIN_ERROR',
    'REFRESH_TOKEN_ERROR',
    'CODE_TO_TOKEN_ERROR',
    'REVOKE_GRANT_ERROR',
    'SOMETHING_NEW_ERROR',
  ])
    stand.issuer.happens({ ...about, type, error: 'invalid_request' })
  stand.issuer.administers({ operationType: 'CREATE', resourceType: 'USER', resourcePath: `users/${randomUUID()}` })
  stand.issuer.administers({ operationType: 'CREATE', resourceType: 'CLIENT', resourcePath: 'clients/1' })
  const failed = { operationType: 'DELETE', resourceType: 'USER', resourcePath: `users/${sub}`, error: 'not allowed' }
  const last = stand.issuer.administers(failed)
  expect(await soon(() => stand.audit.entries.some(({ event_id }) => event_id === last))).toBe(true)
  expect(await use(token)).toBe('allow')
})

test('a code used twice stops nobody: session and client of the request are whatever a stranger wrote into it', async () => {
  const { token, sid } = await connected()
  later()
  const details = { code_id: sid, client_auth_method: 'client-secret', grant_type: 'authorization_code' }
  stand.issuer.happens({
    type: 'CODE_TO_TOKEN_ERROR',
    clientId: 'agent',
    sessionId: sid,
    error: 'invalid_code',
    details,
  })
  await heardOfAll()
  expect(await use(token)).toBe('allow')
})

test('a refresh token used twice by an app ends nothing of the other apps of its person, nor of the same app of others', async () => {
  const { token, sid } = await connected()
  const another = await connected({ sub: await stand.member(account) })
  later()
  stand.issuer.happens({
    type: 'REFRESH_TOKEN_ERROR',
    clientId: 'other',
    sessionId: sid,
    error: 'invalid_token',
    details: { reason: 'Maximum allowed refresh token reuse exceeded', refresh_token_sub: sub },
  })
  // Nobody's token: nothing of the request is proven.
  stand.issuer.happens({
    type: 'REFRESH_TOKEN_ERROR',
    clientId: 'agent',
    sessionId: sid,
    error: 'invalid_token',
    details: { reason: 'Maximum allowed refresh token reuse exceeded' },
  })
  await heardOfAll()
  expect(await use(token)).toBe('allow')
  expect(await use(another.token)).toBe('allow')
})

/** All that happened until now is in force. */
async function heardOfAll(): Promise<void> {
  const last = stand.issuer.happens({ type: 'LOGIN', userId: sub })
  expect(await soon(() => stand.audit.entries.some(({ event_id }) => event_id === last), 3000)).toBe(true)
}

test('an event that was dated long before it could be read is still taken', async () => {
  const { token } = await connected()
  const dated = stand.clock.now() + 1000
  // Polls go on, and others happen meanwhile.
  stand.clock.advance(12_000)
  stand.issuer.happens({ type: 'LOGIN', userId: sub })
  await new Promise((resolve) => setTimeout(resolve, 600))
  expect(await use(token)).toBe('allow')
  stand.issuer.happens({ type: 'REVOKE_GRANT', userId: sub, clientId: 'agent', time: dated })
  expect(await becomes(token, 'UNAUTHENTICATED')).toBe(true)
})

test('an event that was dated minutes before it could be read is taken by the longer look back, once', async () => {
  const { token } = await connected()
  const dated = stand.clock.now() + 1000
  stand.clock.advance(120_000)
  await new Promise((resolve) => setTimeout(resolve, 400))
  const fresh = await stand.issuer.token({ sub, iat: Math.floor(dated / 1000) - 1 })
  const id = stand.issuer.happens({ type: 'REVOKE_GRANT', userId: sub, clientId: 'agent', time: dated })
  await new Promise((resolve) => setTimeout(resolve, 600))
  expect(await use(token)).toBe('allow')
  const poller = startPoller({
    keycloak: connectKeycloak({ ...stand.issuer.config, realm: '/realms/bailiwick' }),
    ...stand.deps,
    afterwards: () => undefined,
    lookBackEveryMs: 50,
  })
  expect(await becomes(token, 'UNAUTHENTICATED')).toBe(true)
  expect(await use(fresh)).toBe('UNAUTHENTICATED')
  await poller.close()
  expect(await soon(() => stand.audit.entries.filter(({ event_id }) => event_id === id).length === 1)).toBe(true)
})

test('what one replica heard, the other refuses; and each does the polling when the other is gone', async () => {
  const other = await stand.replica()
  await other.ready()
  const { token } = await connected()
  expect(await becomes(token, 'allow', other)).toBe(true)
  later()
  stand.issuer.happens({ type: 'REVOKE_GRANT', userId: sub, clientId: 'agent' })
  expect(await becomes(token, 'UNAUTHENTICATED', other)).toBe(true)
  expect(await becomes(token, 'UNAUTHENTICATED')).toBe(true)
  await other.close()
  later()
  const second = await connected()
  later()
  stand.issuer.happens({ type: 'REVOKE_GRANT', userId: sub, clientId: 'agent' })
  expect(await becomes(second.token, 'UNAUTHENTICATED')).toBe(true)
})

test('policy’s own token taken back costs no poll', async () => {
  const { token } = await connected()
  later()
  stand.issuer.state.takesBackTokens = true
  stand.issuer.happens({ type: 'REVOKE_GRANT', userId: sub, clientId: 'agent' })
  expect(await becomes(token, 'UNAUTHENTICATED')).toBe(true)
})

test('more events than a page holds are all taken', async () => {
  const { token } = await connected()
  later()
  const from = stand.audit.entries.length
  for (let count = 0; count < 1200; count += 1) stand.issuer.happens({ type: 'LOGIN', userId: randomUUID() })
  stand.issuer.happens({ type: 'REVOKE_GRANT', userId: sub, clientId: 'agent' })
  expect(await soon(async () => (await use(token)) === 'UNAUTHENTICATED', 5000)).toBe(true)
  expect(
    await soon(
      () => stand.audit.entries.slice(from).filter(({ event_id }) => event_id !== null).length === 1201,
      10_000,
    ),
  ).toBe(true)
})

test('when the identity provider is away for five seconds its tokens are refused, personal ones go on, and it comes back by itself', async () => {
  const { token } = await connected()
  const own = (await stand.token(account)).token
  const reply = await stand.decide(token, 'create_database', {})
  if (!reply.ok) throw new Error(reply.denial.code)
  stand.issuer.state.isDown = true
  const wentAt = performance.now()
  const refused = await soon(async () => {
    stand.clock.advance(1)
    await new Promise((resolve) => setTimeout(resolve, 150))
    return (await use(token)) === 'IDENTITY_UNAVAILABLE'
  }, 8000)
  expect(refused).toBe(true)
  expect(performance.now() - wentAt).toBeGreaterThan(2000)
  expect(await stand.decide(token, 'list_databases')).toMatchObject({ denial: { retry_after_s: 2 } })
  expect(codeOf(await stand.steward.stillValid({ permit: reply.permit, resources: [] }))).toBe('IDENTITY_UNAVAILABLE')
  expect(await use(own)).toBe('allow')
  expect(stand.audit.entries.at(-1)).toMatchObject({
    code: 'IDENTITY_UNAVAILABLE',
    personal: { user: sub, client: 'agent' },
  })
  // Revoked while nobody could hear of it: not let in even once when it is back.
  later()
  stand.issuer.happens({ type: 'REVOKE_GRANT', userId: sub, clientId: 'agent' })
  stand.issuer.state.isDown = false
  const codes = new Set<string>()
  await soon(async () => {
    codes.add(await use(token))
    return codes.has('UNAUTHENTICATED')
  }, 3000)
  expect([...codes].sort()).toEqual(['IDENTITY_UNAVAILABLE', 'UNAUTHENTICATED'])
}, 30_000)

test('a clock that was set back counts as no news: tokens are refused at once, and good with the next poll', async () => {
  const { token } = await connected()
  const superuser = new Client({ connectionString: stand.database.superuser })
  await superuser.connect()
  stand.issuer.state.isDown = true
  await superuser.query(`UPDATE policy.identity_polls SET polled_at = clock_timestamp() + interval '1 hour'`)
  await superuser.end()
  expect(await soon(async () => (await use(token)) === 'IDENTITY_UNAVAILABLE', 3000)).toBe(true)
  stand.issuer.state.isDown = false
  expect(await soon(async () => (await use(token)) === 'allow', 3000)).toBe(true)
})

describe('in the log', () => {
  const about = (id: string) => stand.audit.entries.filter(({ event_id }) => event_id === id)

  test('each event stands once, in its person’s account, with who, from where and through what; never a token or a code', async () => {
    const id = stand.issuer.happens({
      type: 'CODE_TO_TOKEN',
      userId: sub,
      clientId: 'agent',
      sessionId: 'a-session',
      ipAddress: '198.51.100.7',
      details: {
        token_id: 'TOKEN',
        refresh_token_id: 'REFRESH',
        code_id: 'CODE',
        username: 'hunter2',
        scope: 'dns:read',
      },
    })
    const admin = stand.issuer.administers({
      operationType: 'UPDATE',
      resourceType: 'USER',
      resourcePath: `users/${sub}`,
      representation: '{"email":"erika@example.org","credentials":"SECRET"}',
      authDetails: { userId: 'somebody', clientId: 'row', ipAddress: '198.51.100.8' },
    })
    expect(await soon(() => about(id).length > 0 && about(admin).length > 0)).toBe(true)
    expect(about(id)).toMatchObject([
      {
        kind: 'token_issued',
        account,
        door: 'internal',
        decision: 'allow',
        code: 'CODE_TO_TOKEN',
        request_id: id,
        personal: {
          user: sub,
          client: 'agent',
          address: '198.51.100.7',
          principal: `oauth:${sub}:agent`,
          input: { scope: 'dns:read' },
        },
      },
    ])
    expect(about(admin)).toMatchObject([
      {
        kind: 'identity',
        account,
        door: 'admin',
        code: 'USER_UPDATE',
        personal: { user: 'somebody', resource: `users/${sub}` },
      },
    ])
    const text = JSON.stringify([about(id), about(admin)])
    for (const secret of ['TOKEN"', 'REFRESH"', 'CODE"', 'hunter2', 'SECRET', 'erika'])
      expect(text).not.toContain(`"${secret}`)
    await soon(async () => (await unrecorded()) === 0)
    expect(await unrecorded()).toBe(0)
  })

  const unrecorded = async (): Promise<number> => {
    const [row] = await stand.deps.database.query<{ waiting: string }>(
      'SELECT count(*) AS waiting FROM policy.taken_events WHERE entry IS NOT NULL',
    )
    return Number(row!.waiting)
  }

  test('kinds tell sign-ins, consents, tokens and the rest apart', async () => {
    const expected = {
      LOGIN: 'sign_in',
      LOGIN_ERROR: 'sign_in',
      LOGOUT: 'sign_in',
      GRANT_CONSENT: 'consent',
      UPDATE_CONSENT: 'consent',
      REVOKE_GRANT: 'consent',
      REFRESH_TOKEN: 'token_issued',
      CLIENT_LOGIN: 'token_issued',
      REFRESH_TOKEN_ERROR: 'token_refused',
      CLIENT_REGISTER: 'identity',
      UPDATE_TOTP: 'identity',
    }
    const ids = Object.entries(expected).map(([type, kind]) => ({
      id: stand.issuer.happens({ type, userId: sub }),
      type,
      kind,
    }))
    expect(await soon(() => ids.every(({ id }) => about(id).length > 0))).toBe(true)
    for (const { id, type, kind } of ids) expect(about(id)).toMatchObject([{ kind, code: type }])
  })

  test('errors about nobody are one entry per address and minute, and none of their own', async () => {
    const ids = Array.from({ length: 20 }, () =>
      stand.issuer.happens({ type: 'LOGIN_ERROR', error: 'user_not_found', ipAddress: '198.51.100.9' }),
    )
    await heardOfAll()
    // A person whom it is about sees it.
    const own = stand.issuer.happens({ type: 'LOGIN_ERROR', userId: sub, ipAddress: '198.51.100.9' })
    expect(await soon(() => about(own).length === 1)).toBe(true)
    expect(ids.flatMap(about)).toEqual([])
    stand.clock.advance(60_000)
    await stand.deps.refusals.flush()
    expect(stand.audit.entries.filter(({ personal }) => personal.address === '198.51.100.9')).toMatchObject([
      { kind: 'sign_in', account, count: 1 },
      { kind: 'refusals_unauthenticated', account: null, code: 'LOGIN_ERROR', decision: 'deny', count: 20 },
    ])
  })

  test('an event that stands under another account already holds up none of those that wait behind it', async () => {
    stand.audit.failsBefore = true
    const ids = Array.from({ length: 3 }, () => stand.issuer.happens({ type: 'LOGIN', userId: sub }))
    expect(await soon(async () => (await unrecorded()) >= 3)).toBe(true)
    stand.audit.standsOtherwise.add(ids[0]!)
    stand.audit.failsBefore = false
    expect(await soon(async () => (await unrecorded()) === 0, 3000)).toBe(true)
    expect(ids.map((id) => about(id).length)).toEqual([0, 1, 1])
  })

  test('a log that is away stops no revocation; it is told later, once, also of what it had written already', async () => {
    const { token } = await connected()
    later()
    stand.audit.failsBefore = true
    const id = stand.issuer.happens({ type: 'REVOKE_GRANT', userId: sub, clientId: 'agent' })
    expect(await becomes(token, 'UNAUTHENTICATED')).toBe(true)
    expect(about(id)).toEqual([])
    Object.assign(stand.audit, { failsBefore: false, failsAfterEffect: true })
    expect(await soon(() => about(id).length === 1)).toBe(true)
    expect(await unrecorded()).toBeGreaterThan(0)
    stand.audit.failsAfterEffect = false
    expect(await soon(async () => (await unrecorded()) === 0)).toBe(true)
    expect(about(id)).toHaveLength(1)
  })

  test('an event whose taking was lost half way has neither effect nor entry, and is taken again', async () => {
    const { token } = await connected()
    const superuser = new Client({ connectionString: stand.database.superuser })
    await superuser.connect()
    // The event is inserted, its bound is not: a crash between the two.
    await superuser.query(`ALTER TABLE policy.not_before ADD CONSTRAINT broken CHECK (key = '') NOT VALID`)
    later()
    const id = stand.issuer.happens({ type: 'REVOKE_GRANT', userId: sub, clientId: 'agent' })
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(await use(token)).toBe('allow')
    expect(about(id)).toEqual([])
    await superuser.query('ALTER TABLE policy.not_before DROP CONSTRAINT broken')
    await superuser.end()
    expect(await becomes(token, 'UNAUTHENTICATED')).toBe(true)
    expect(await soon(() => about(id).length === 1)).toBe(true)
  })
})
