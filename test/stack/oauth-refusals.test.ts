// What the authorization server and the edge must refuse, driven from outside. What policy refuses of a token is tested where
// tokens can be forged: services/policy/test.
import { uuidv7 } from '@bailiwick/kernel/ids'
import { addressesIn, sendRaw } from './http.ts'
import { OAuthAgent } from './oauth-agent.ts'
import { CALLBACK, claimsOf, codeOf, newProof, peek, sendForm } from './oauth.ts'
import { askForCode, authorize, connect, invite } from './people.ts'
import type { Person } from './person.ts'
import { freshAccount, sharedStack, type Account } from './shared-stack.ts'

const stack = sharedStack()
const ADDRESS = '127.0.0.22'
/** Sign-in pages are limited per address too. */
const nextAddress = addressesIn('127.0.22')
const issuer = `${stack.origin}/realms/bailiwick`
let account: Account
let person: Person
let agent: OAuthAgent

beforeAll(async () => {
  account = await freshAccount(stack, 'oauth-refusals')
  ;({ person } = await invite(stack, account.id, nextAddress))
  agent = (await connect(stack, person, 'profile:read databases:read', { from: ADDRESS })).agent
})

/** Where an authorization request leads at once: the parameters of the callback, or the refusing page's status. */
async function ask(changes: Readonly<Record<string, string>>, scope = 'profile:read') {
  const { status, params } = await person.look(agent.authorizationUrl(scope, newProof().challenge, changes), CALLBACK)
  return params ?? { page: String(status) }
}

describe('an authorization request', () => {
  test('without PKCE, or with `plain`, yields no code', async () => {
    expect(await ask({ code_challenge: '', code_challenge_method: '' })).toMatchObject({ error: 'invalid_request' })
    const { verifier } = newProof()
    expect(await ask({ code_challenge: verifier, code_challenge_method: 'plain' })).toMatchObject({
      error: 'invalid_request',
    })
    // The same request as it should be: it is PKCE that was missing.
    expect(await ask({})).toHaveProperty('code')
  })

  test.each(['token', 'id_token', 'id_token token', 'code token'])('of type %s is refused', async (type) => {
    const answer = await ask({ response_type: type, nonce: 'n' })
    expect(answer).toMatchObject({ error: 'unauthorized_client' })
    expect(answer).not.toHaveProperty('access_token')
  })

  test('of type none is answered, with nothing to redeem', async () => {
    const answer = await ask({ response_type: 'none', nonce: 'n' })
    expect(Object.keys(answer).sort()).toEqual(['iss', 'session_state', 'state'])
  })

  test.each([
    ['a longer path', 'https://agent.example.test/callback/more'],
    ['a prefix of it', 'https://agent.example.test/call'],
    ['another case', 'https://agent.example.test/Callback'],
    ['another port', 'https://agent.example.test:8443/callback'],
    ['a user before the host', 'https://agent.example.test@evil.example/callback'],
    ['a user in it', 'https://user@agent.example.test/callback'],
    ['a fragment', 'https://agent.example.test/callback#x'],
    ['a query', 'https://agent.example.test/callback?next=https://evil.example'],
    ['a longer host', 'https://agent.example.test.evil.example/callback'],
    ['dots in the path', 'https://agent.example.test/x/../callback'],
    ['plain http', 'http://agent.example.test/callback'],
    ['another port of the loopback', 'http://127.0.0.1:41112/callback'],
    ['a name for the loopback', 'http://localhost:41111/callback'],
  ])('to %s is answered with a page, and sent nowhere', async (_what, redirect_uri) => {
    const other = new OAuthAgent(stack, ADDRESS)
    await other.discover()
    other.clientId = await exactClient()
    const url = other.authorizationUrl('profile:read', newProof().challenge, { redirect_uri })
    expect(await person.look(url, 'nowhere:')).toEqual({ status: 400, params: null })
  })

  test('for a scope that does not exist is refused', async () => {
    expect(await ask({}, 'profile:read everything:delete')).toMatchObject({ error: 'invalid_scope' })
  })
})

let exact: Promise<string> | undefined
/** One client with exact addresses, for all near misses. */
const exactClient = (): Promise<string> =>
  (exact ??= (async () => {
    const other = new OAuthAgent(stack, ADDRESS)
    const { status, body } = await other.register({
      redirect_uris: ['https://agent.example.test/callback', 'http://127.0.0.1:41111/callback'],
    })
    if (status !== 201) throw new Error(JSON.stringify(body))
    return body.client_id
  })())

describe('a code', () => {
  const code = async (): Promise<{ code: string; verifier: string }> => {
    const { params, verifier } = await askForCode(agent, person, 'profile:read')
    return { code: codeOf({ params }), verifier }
  }
  test('with another verifier, another address or another client is worth nothing', async () => {
    const wrong = await agent.exchange((await code()).code, newProof().verifier)
    expect([wrong.status, wrong.body]).toEqual([400, expect.objectContaining({ error: 'invalid_grant' })])
    const missing = await code()
    expect((await agent.exchange(missing.code, '')).status).toBe(400)
    const elsewhere = await code()
    expect(
      (await agent.exchange(elsewhere.code, elsewhere.verifier, { redirect_uri: 'http://127.0.0.1/other' })).status,
    ).toBe(400)
    const stolen = await code()
    expect((await agent.exchange(stolen.code, stolen.verifier, { client_id: await exactClient() })).status).toBe(400)
  })
  test('works once; used again, nothing can be renewed with what it brought', async () => {
    const { code: once, verifier } = await code()
    const first = await agent.exchange(once, verifier)
    expect(first.status).toBe(200)
    const again = await agent.exchange(once, verifier)
    expect([again.status, again.body]).toEqual([400, expect.objectContaining({ error: 'invalid_grant' })])
    const refreshed = await agent.refresh(first.body.refresh_token!)
    expect([refreshed.status, refreshed.body]).toEqual([400, expect.objectContaining({ error: 'invalid_grant' })])
  })
})

describe('a refresh token', () => {
  const fresh = async () => {
    // A family that was ended takes with it what was issued in the same second.
    await new Promise((resolve) => setTimeout(resolve, 2000))
    return (await authorize(agent, person, 'profile:read databases:read')).tokens
  }

  test('used again ends its family', async () => {
    const first = (await fresh()).refresh_token!
    const second = await agent.refresh(first)
    expect(second.status).toBe(200)
    // The server tells a reuse from a retry by the second.
    await new Promise((resolve) => setTimeout(resolve, 2000))
    expect((await agent.refresh(first)).status).toBe(400)
    expect((await agent.refresh(second.body.refresh_token!)).status).toBe(400)
  })
  test('does not grow, whatever scope it asks for', async () => {
    const { refresh_token: token } = await fresh()
    const wider = await agent.refresh(token!, { scope: 'profile:read databases:read databases:delete' })
    // RFC 6749 §6 lets the server refuse, or give what was granted: ours gives no more than that.
    expect(wider.body.scope.split(' ').sort()).toEqual(['databases:read', 'profile:read'])
    expect(
      (await agent.call(wider.body.access_token, 'preview_delete_database', { database_id: uuidv7() })).status,
    ).toBe(403)
  })
  test('of another client is refused', async () => {
    const { refresh_token: token } = await fresh()
    expect((await agent.refresh(token!, { client_id: await exactClient() })).status).toBe(400)
  })
})

describe('a registration', () => {
  const other = new OAuthAgent(stack, nextAddress)

  test('for client_credentials is refused, so that no token has nobody behind it', async () => {
    const { status, body } = await other.register({
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      scope: 'databases:read databases:delete',
    })
    expect([status, body]).toEqual([403, expect.not.objectContaining({ client_id: expect.anything() })])
  })
  test('without PKCE gets it anyway', async () => {
    const { body } = await other.register()
    const without = { client_id: body.client_id, code_challenge: '', code_challenge_method: '' }
    const { params } = await person.look(other.authorizationUrl('profile:read', '', without), CALLBACK)
    expect(params).toMatchObject({ error: 'invalid_request' })
  })
})

describe('the password grant, device flow and token exchange', () => {
  test.each([
    ['password', 'unauthorized_client', { username: 'x', password: 'y' }],
    ['urn:ietf:params:oauth:grant-type:device_code', 'unsupported_grant_type', { device_code: 'x' }],
    ['urn:ietf:params:oauth:grant-type:token-exchange', 'unsupported_grant_type', { subject_token: 'x' }],
    ['urn:openid:params:grant-type:ciba', 'unsupported_grant_type', { auth_req_id: 'x' }],
  ])('%s is refused', async (grant_type, error, form) => {
    const answer = await agent.token({ grant_type, ...(form as Record<string, string>) })
    expect([answer.status, answer.body]).toMatchObject([400, { error }])
    expect(answer.body).not.toHaveProperty('access_token')
  })
})

describe('the gateway', () => {
  test('refuses a token in the query string, and says that it is burnt', async () => {
    const { access_token: token } = (await authorize(agent, person, 'profile:read')).tokens
    for (const path of ['/mcp', '/api/v1/tools/whoami']) {
      const { status, body } = await agent.post(`${path}?access_token=${token}`, {})
      expect([path, status, body['code']]).toEqual([path, 400, 'TOKEN_IN_QUERY'])
    }
  })
  test('refuses ID tokens, refresh tokens and tokens that were made for another audience', async () => {
    const { tokens } = await authorize(agent, person, 'openid profile:read')
    expect(claimsOf(tokens.id_token)['typ']).toBe('ID')
    expect((await agent.call(tokens.id_token!, 'whoami')).status).toBe(401)
    expect((await agent.call(tokens.refresh_token!, 'whoami')).status).toBe(401)
    const forAccount = await accountToken()
    expect([claimsOf(forAccount)['aud']].flat()).not.toContain(agent.resource)
    expect((await agent.call(forAccount, 'whoami')).status).toBe(401)
  })
  test.each(['https://evil.example/mcp', `${stack.origin}/mcp/`])(
    'no token comes of `resource` %s',
    async (resource) => {
      for (const atTheEnd of [resource, agent.resource]) {
        const { verifier, challenge } = newProof()
        const arrival = await person.look(agent.authorizationUrl('profile:read', challenge, { resource }), CALLBACK)
        const answer = await agent.exchange(codeOf(arrival), verifier, { resource: atTheEnd })
        expect([answer.status, answer.body]).toEqual([400, expect.objectContaining({ error: 'invalid_target' })])
      }
    },
  )
})

/** What the account pages hold: a token of the same person, for another audience. */
async function accountToken(): Promise<string> {
  const { verifier, challenge } = newProof()
  const callback = `${issuer}/account/`
  const changes = { client_id: 'account-console', redirect_uri: callback, resource: '' }
  const arrival = await person.visit(agent.authorizationUrl('openid', challenge, changes), callback)
  const { body } = await agent.exchange(codeOf(arrival), verifier, changes)
  return body.access_token
}

describe('the edge', () => {
  test.each([
    '/admin',
    '/admin/',
    '/admin/master/console/',
    '/admin/realms/bailiwick/users',
    '/realms/master',
    '/realms/master/.well-known/openid-configuration',
    '/realms/master/protocol/openid-connect/token',
    '/realms/bailiwick/protocol/openid-connect/token/introspect',
    '/realms/bailiwick/protocol/openid-connect/auth/device',
    '/realms/bailiwick/broker/x/endpoint',
    '/realms/bailiwick/../master/.well-known/openid-configuration',
    '/realms/bailiwick/account/..%2f..%2fmaster',
    '/realms/bailiwick/account/%2e%2e/%2e%2e/master',
    '/realms//master',
    '/metrics',
    '/health/ready',
    '/q/dev',
  ])('%s is not there', async (path) => {
    const { status } = await sendRaw(stack.origin, path, agent.world)
    expect([400, 404]).toContain(status)
  })

  test('a hundred requests at a time for clients that do not exist hold up no call of an app', async () => {
    const { tokens } = await authorize(agent, person, 'profile:read')
    const proof = newProof().challenge
    const refused = new Map<number, number>()
    const end = Date.now() + 8000
    const flood = async (lane: number): Promise<void> => {
      for (let tries = 0; Date.now() < end; tries += 1) {
        const url = agent.authorizationUrl('profile:read', proof, { client_id: `nobody-${lane}-${tries}` })
        const { status } = await peek({ ...agent.world, from: '127.0.0.27' }, url)
        refused.set(status, (refused.get(status) ?? 0) + 1)
      }
    }
    const calls: number[] = []
    const call = async (): Promise<void> => {
      // Somewhat longer: policy counts its last answer of Keycloak's as fresh for five seconds.
      while (Date.now() < end + 3000) {
        calls.push((await agent.call(tokens.access_token, 'whoami')).status)
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
    }
    await Promise.all([call(), ...Array.from({ length: 100 }, (_, lane) => flood(lane))])
    expect(new Set(calls)).toEqual(new Set([200]))
    // Many did reach Keycloak, and the edge stopped the others.
    expect(refused.get(400)).toBeGreaterThan(50)
    expect(refused.get(429)).toBeGreaterThan(50)
    expect(new Set(refused.keys())).toEqual(new Set([400, 429]))
  })

  test('a refresh token posted to the logout address does not pass, and ends nothing', async () => {
    const { tokens } = await authorize(agent, person, 'profile:read')
    const form = { client_id: agent.clientId, refresh_token: tokens.refresh_token! }
    const { status } = await sendForm(agent.world, `${issuer}/protocol/openid-connect/logout`, form)
    expect(status).toBe(405)
    expect((await agent.refresh(tokens.refresh_token!)).status).toBe(200)
  })

  test('a flood of registrations from one address is stopped, and not for the others', async () => {
    const flood = new OAuthAgent(stack, '127.0.0.25')
    await flood.discover()
    const statuses: number[] = []
    for (let tries = 0; tries < 40; tries += 1) statuses.push((await flood.register()).status)
    const taken = statuses.filter((status) => status === 201).length
    expect(statuses).toContain(429)
    expect(taken).toBeLessThanOrEqual(25)
    const other = new OAuthAgent(stack, '127.0.0.26')
    expect((await other.register()).status).toBe(201)
  })
})
