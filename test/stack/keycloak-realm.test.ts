// What the realm guarantees, tried on a running Keycloak: sign-in, registration, grants, refresh, step-up, and every refusal.
import { setTimeout as pause } from 'node:timers/promises'
import { SCOPES } from '@bailiwick/contracts/scopes'
import { send } from './http.ts'
import { invite, openRealm, type TestRealm } from './keycloak.ts'
import {
  AGENT,
  CALLBACK,
  askToken,
  claimsOf,
  codeOf,
  headerOf,
  newProof,
  peek,
  redeem,
  refresh,
  register,
  sendJson,
  signInUrl,
  type Json,
  type World,
} from './oauth.ts'
import type { Arrival, Person } from './person.ts'

let realm: TestRealm
let world: World
/** Set up once; each test has its own client. */
let owner: { id: string; person: Person }
let firstPages: string[] = []
/** Every agent of this file. */
const agents = new Set<string>()
const startedAt = Date.now()

async function newAgent(metadata: Json = {}): Promise<{ id: string; body: Json }> {
  const { status, body } = await register(world, { ...AGENT, scope: SCOPES.join(' '), ...metadata })
  if (status !== 201) throw new Error(`registration: ${status} ${JSON.stringify(body)}`)
  const id = String(body['client_id'])
  agents.add(id)
  return { id, body }
}

async function connect(
  clientId: string,
  scope: string,
  tick?: readonly string[],
  person = owner.person,
): Promise<{ arrival: Arrival; proof: ReturnType<typeof newProof> }> {
  const proof = newProof()
  const url = signInUrl(world, { client_id: clientId, scope, code_challenge: proof.challenge, resource: realm.mcp })
  return { arrival: await person.visit(url, CALLBACK, tick ? { tick: () => tick } : {}), proof }
}

async function tokensFor(clientId: string, scope: string, tick?: readonly string[]): Promise<Json> {
  const { arrival, proof } = await connect(clientId, scope, tick)
  const { status, body } = await redeem(world, clientId, codeOf(arrival), proof, { resource: realm.mcp })
  if (status !== 200) throw new Error(`token: ${status} ${JSON.stringify(body)}`)
  return body
}

const scopesOf = (token: unknown): string[] => String(claimsOf(token)['scope']).split(' ').sort()

beforeAll(async () => {
  realm = await openRealm()
  world = realm.world
  owner = await invite(realm)
  firstPages = (await connect((await newAgent()).id, 'databases:read')).arrival.pages
}, 120_000)

describe('signing in', () => {
  test('an invited person chooses a password, sets up an app and recovery codes, and only then decides on the agent', () => {
    expect(firstPages).toEqual(['password', 'new password', 'set up app', 'recovery codes', 'tick'])
    expect(owner.person.recoveryCodes).toHaveLength(12)
  })

  test('who has no second factor must set one up, also when the invitation did not ask for it', async () => {
    const { id, person } = await invite(realm, ['owner'], [])
    const { arrival } = await connect((await newAgent()).id, 'databases:read', undefined, person)
    expect(arrival.pages.slice(0, 2)).toEqual(['password', 'set up app'])
    const types = (await realm.admin.credentials(id)).map(({ type }) => type)
    expect(types).toContain('otp')
  })

  test('a second sign-in asks for the password and the code', async () => {
    owner.person.closeBrowser()
    const { arrival } = await connect((await newAgent()).id, 'databases:read')
    expect(arrival.pages).toEqual(['password', 'code', 'tick'])
  })

  test('a running session is enough for the next agent, but not for its consent', async () => {
    const { arrival } = await connect((await newAgent()).id, 'databases:read')
    expect(arrival.pages).toEqual(['tick'])
  })

  test('passwords are kept as argon2id', async () => {
    const password = (await realm.admin.credentials(owner.id)).find(({ type }) => type === 'password')
    expect(JSON.stringify(password)).toContain('argon2')
    expect(JSON.stringify(password)).toContain('"id"')
  })

  test('wrong passwords lock for a while, and not for good', async () => {
    const { id, person } = await invite(realm, ['owner'], [])
    person.password = 'not-the-password'
    const agent = await newAgent()
    // Three within a second would do; five do at any speed.
    for (let tries = 0; tries < 5; tries += 1)
      await expect(connect(agent.id, 'databases:read', undefined, person)).rejects.toThrow(/refused at password/)
    expect(await realm.admin.get(`/attack-detection/brute-force/users/${id}`)).toMatchObject({ disabled: true })
    expect((await realm.admin.user(id)).enabled).toBe(true)
  })
})

describe('tokens', () => {
  test('are ES256, for the MCP endpoint alone, for ten minutes, and say who, which client and how strongly', async () => {
    const agent = await newAgent()
    const body = await tokensFor(agent.id, 'databases:read profile:read')
    expect(headerOf(body['access_token'])).toMatchObject({ alg: 'ES256', typ: 'JWT' })
    const claims = claimsOf(body['access_token'])
    expect(claims).toMatchObject({
      iss: world.issuer,
      aud: realm.mcp,
      sub: owner.id,
      azp: agent.id,
      acr: 'mfa',
      typ: 'Bearer',
    })
    expect(Number(claims['exp']) - Number(claims['iat'])).toBe(600)
    for (const personal of ['email', 'name', 'preferred_username', 'realm_access', 'resource_access'])
      expect(claims).not.toHaveProperty(personal)
  })

  test('have the audience also when the agent names no scope at registration and no resource', async () => {
    const { scope: _, ...metadata } = { ...AGENT, scope: undefined }
    const { body } = await register(world, metadata)
    const proof = newProof()
    const url = signInUrl(world, {
      client_id: String(body['client_id']),
      scope: 'websites:read',
      code_challenge: proof.challenge,
    })
    const arrival = await owner.person.visit(url, CALLBACK)
    const tokens = await redeem(world, String(body['client_id']), codeOf(arrival), proof)
    expect(tokens.body).not.toHaveProperty('error')
    expect(claimsOf(tokens.body['access_token'])['aud']).toBe(realm.mcp)
  })

  test('hold what was ticked and nothing else, also after a refresh that asks for more', async () => {
    const agent = await newAgent()
    const body = await tokensFor(agent.id, 'databases:read databases:write databases:delete', ['databases:read'])
    expect(scopesOf(body['access_token'])).toEqual(['databases:read'])
    const more = await refresh(world, agent.id, body['refresh_token'], { scope: 'databases:read databases:delete' })
    expect([more.status, scopesOf(more.body['access_token'])]).toEqual([200, ['databases:read']])
  })

  test('are not for who is no owner: there is nothing to tick', async () => {
    const { person } = await invite(realm, [])
    const agent = await newAgent()
    const { arrival } = await connect(agent.id, 'databases:read databases:delete', undefined, person)
    expect(person.offered).toEqual([])
    expect(arrival.params).toMatchObject({ error: 'access_denied' })
    expect(arrival.params).not.toHaveProperty('code')
  })
})

describe('codes', () => {
  test.each([
    ['no PKCE', 'invalid_request', { code_challenge: undefined, code_challenge_method: undefined }],
    ['PKCE plain', 'invalid_request', { code_challenge_method: 'plain' }],
    ['PKCE without a method', 'invalid_request', { code_challenge_method: undefined }],
    ['the implicit flow', 'unauthorized_client', { response_type: 'token', nonce: 'n' }],
    ['a hybrid flow', 'unauthorized_client', { response_type: 'code id_token', nonce: 'n' }],
    ['an unknown scope', 'invalid_scope', { scope: 'databases:drop' }],
    ['a scope that is not for agents', 'invalid_scope', { scope: 'roles' }],
  ])('a request with %s is refused before anybody signs in', async (_, error, fields) => {
    const agent = await newAgent()
    const url = signInUrl(world, {
      client_id: agent.id,
      scope: 'databases:read',
      code_challenge: newProof().challenge,
      ...(fields as Record<string, string | undefined>),
    })
    const { status, to } = await peek(world, url)
    // What was asked for as a token is answered in the fragment.
    const answer = new URLSearchParams(`${to?.search.slice(1)}&${to?.hash.slice(1)}`)
    expect([status, answer.get('error')]).toEqual([302, error])
    expect([answer.get('code'), answer.get('access_token')]).toEqual([null, null])
  })

  test('a scope that the registration did not name is refused', async () => {
    const agent = await newAgent({ scope: 'databases:read' })
    const { to } = await peek(
      world,
      signInUrl(world, { client_id: agent.id, scope: 'databases:delete', code_challenge: newProof().challenge }),
    )
    expect(to?.searchParams.get('error')).toBe('invalid_scope')
  })

  test('a wrong verifier gets nothing and spends the code; a code is good once', async () => {
    const agent = await newAgent()
    const first = await connect(agent.id, 'databases:read')
    const code = codeOf(first.arrival)
    expect((await redeem(world, agent.id, code, newProof())).status).toBe(400)
    expect((await redeem(world, agent.id, code, first.proof)).status).toBe(400)

    const second = await connect(agent.id, 'databases:read')
    const again = codeOf(second.arrival)
    const good = await redeem(world, agent.id, again, second.proof)
    expect(good.status).toBe(200)
    expect((await redeem(world, agent.id, again, second.proof)).status).toBe(400)
    // RFC 6749 §4.1.2: who replays a code may have stolen it, so what was issued for it dies.
    expect((await refresh(world, agent.id, good.body['refresh_token'])).status).toBe(400)
  })

  test('the answer names its issuer (RFC 9207)', async () => {
    const { arrival } = await connect((await newAgent()).id, 'databases:read')
    expect(arrival.params['iss']).toBe(world.issuer)
  })

  const REGISTERED = 'https://agent.example/oauth/callback'
  test.each([
    ['a longer path', `${REGISTERED}/more`],
    ['a shorter path', 'https://agent.example/oauth'],
    ['a path above', 'https://agent.example/oauth/../oauth/callback'],
    ['another case in the path', 'https://agent.example/OAuth/callback'],
    ['another port', 'https://agent.example:8443/oauth/callback'],
    ['a user part', 'https://agent.example@elsewhere.example/oauth/callback'],
    ['another host before', 'https://elsewhere.example/https://agent.example/oauth/callback'],
    ['a host that begins so', 'https://agent.example.elsewhere.example/oauth/callback'],
    ['a fragment', `${REGISTERED}#part`],
    ['a query', `${REGISTERED}?next=elsewhere`],
    ['http', 'http://agent.example/oauth/callback'],
    ['an encoded slash', 'https://agent.example/oauth%2Fcallback'],
    ['a slash at its end', `${REGISTERED}/`],
    ['a backslash', 'https://agent.example\\@elsewhere.example/oauth/callback'],
  ])('a redirect address with %s is refused, and nobody is sent there', async (_, address) => {
    const agent = await newAgent({ redirect_uris: [REGISTERED] })
    const { status, to } = await peek(
      world,
      signInUrl(world, {
        client_id: agent.id,
        scope: 'databases:read',
        code_challenge: newProof().challenge,
        redirect_uri: address,
      }),
    )
    expect({ status, to }).toEqual({ status: 400, to: null })
  })

  test('a loopback address that was registered without a port may have any; one with a port only that', async () => {
    const look = async (registered: string, asked: string): Promise<number> => {
      const agent = await newAgent({ redirect_uris: [registered] })
      const url = signInUrl(world, {
        client_id: agent.id,
        scope: 'databases:read',
        code_challenge: newProof().challenge,
        redirect_uri: asked,
      })
      return (await peek(world, url)).status
    }
    expect(await look('http://127.0.0.1/callback', 'http://127.0.0.1:41234/callback')).toBe(200)
    expect(await look('http://127.0.0.1:5000/callback', 'http://127.0.0.1:41234/callback')).toBe(400)
    expect(await look('http://127.0.0.1/callback', 'http://127.0.0.1:41234/other')).toBe(400)
  })
})

describe('registration', () => {
  test.each([
    ['https on any host', 'https://agent.example/cb'],
    ['https with a port', 'https://agent.example:8443/cb?from=here'],
    ['this computer by address', 'http://127.0.0.1/cb'],
    ['this computer by IPv6 address', 'http://[::1]:4000/cb'],
    ['this computer by name', 'http://localhost:4000/cb'],
    ['a desktop app', 'cursor://anysphere.cursor-retrieval/oauth/callback'],
    ['a desktop app in reverse notation', 'com.example.app:/oauth'],
  ])('takes a redirect to %s', async (_, address) => {
    expect((await register(world, { ...AGENT, redirect_uris: [address] })).status).toBe(201)
  })

  test.each([
    ['http on another computer', 'http://agent.example/cb'],
    ['a wildcard', 'https://agent.example/*'],
    ['a wildcard host', 'https://*.agent.example/cb'],
    ['a fragment', 'https://agent.example/cb#x'],
    ['a user part', 'https://agent.example@elsewhere.example/cb'],
    ['an address in digits', 'https://203.0.113.7/cb'],
    ['a host without a dot', 'https://intranet/cb'],
    ['javascript', 'javascript:alert(1)'],
    ['data', 'data:text/html,x'],
    ['a file', 'file:///etc/passwd'],
    ['a name that looks like this computer', 'http://localhost.elsewhere.example/cb'],
    ['a user part that looks like this computer', 'http://127.0.0.1@elsewhere.example/cb'],
    ['a relative path', '/cb'],
    ['a lone star', '*'],
    ['the word plus', '+'],
  ])('refuses a redirect to %s', async (_, address) => {
    const { status } = await register(world, { ...AGENT, redirect_uris: [CALLBACK, address] })
    expect([400, 403]).toContain(status)
  })

  test.each([
    [
      'client_credentials',
      {
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'client_secret_basic',
        scope: 'databases:delete',
      },
    ],
    [
      'client_credentials beside the code',
      { grant_types: ['authorization_code', 'client_credentials'], token_endpoint_auth_method: 'client_secret_basic' },
    ],
    ['password', { grant_types: ['password'] }],
    ['implicit', { grant_types: ['implicit'], response_types: ['token'] }],
    ['only refresh_token', { grant_types: ['refresh_token'], response_types: [] }],
    ['no redirect address', { redirect_uris: [] }],
    ['an unknown scope', { scope: 'databases:read databases:drop' }],
    ['a scope of our own pages', { scope: 'databases:read roles' }],
    ['the identity scope', { scope: 'identity' }],
    [
      'twenty-one redirect addresses',
      { redirect_uris: Array.from({ length: 21 }, (_, n) => `https://a${n}.example/cb`) },
    ],
    ['a very long name', { client_name: 'x'.repeat(201) }],
  ])('refuses %s', async (_, metadata) => {
    const { status, body } = await register(world, { ...AGENT, ...metadata })
    expect([400, 403]).toContain(status)
    expect(body).not.toHaveProperty('client_id')
  })

  test('makes a client that needs consent, has no full scope, no default right and PKCE S256, with or without a secret', async () => {
    for (const method of ['none', 'client_secret_basic', 'client_secret_post', undefined]) {
      const { id } = await newAgent({ token_endpoint_auth_method: method })
      expect(await realm.admin.findClient(id)).toMatchObject({
        consentRequired: true,
        fullScopeAllowed: false,
        standardFlowEnabled: true,
        implicitFlowEnabled: false,
        directAccessGrantsEnabled: false,
        serviceAccountsEnabled: false,
        defaultClientScopes: expect.arrayContaining(['basic', 'acr']) as string[],
        attributes: expect.objectContaining({ 'pkce.code.challenge.method': 'S256' }) as object,
      })
      const client = await realm.admin.findClient(id)
      expect(client?.['defaultClientScopes']).toHaveLength(2)
    }
  })

  test('names no address to go to after a sign-out but its redirect addresses', async () => {
    for (const address of ['*', '+', 'https://elsewhere.example/*', 'https://elsewhere.example/']) {
      const { id } = await newAgent({ post_logout_redirect_uris: [address] })
      const kept = (await realm.admin.findClient(id))?.['attributes']
      expect(kept).toHaveProperty(['pkce.code.challenge.method'])
      expect(kept).not.toHaveProperty(['post.logout.redirect.uris'])
      const leaving = new URLSearchParams({ client_id: id, post_logout_redirect_uri: 'https://elsewhere.example/' })
      const { status, to } = await peek(world, `${world.issuer}/protocol/openid-connect/logout?${leaving.toString()}`)
      expect({ address, status, to }).toEqual({ address, status: 400, to: null })
    }
  })

  test('a subject of its own that an agent asks for is the subject of nobody here', async () => {
    const agent = await newAgent({ subject_type: 'pairwise' })
    const { sub } = claimsOf((await tokensFor(agent.id, 'databases:read'))['access_token'])
    expect(sub).not.toBe(owner.id)
    await expect(realm.admin.user(String(sub))).rejects.toThrow(/404/)
  })

  test('accepts the scopes of habit and gives nothing for them', async () => {
    const agent = await newAgent({ scope: 'openid profile email databases:read' })
    const body = await tokensFor(agent.id, 'openid profile email databases:read')
    for (const token of [body['access_token'], body['id_token']])
      for (const personal of ['email', 'name', 'preferred_username', 'given_name'])
        expect(claimsOf(token)).not.toHaveProperty(personal)
    expect(headerOf(body['id_token'])).toMatchObject({ alg: 'ES256' })
  })

  test('a secret does not spare the agent PKCE', async () => {
    const agent = await newAgent({ token_endpoint_auth_method: 'client_secret_basic' })
    const url = signInUrl(world, { client_id: agent.id, scope: 'databases:read', code_challenge_method: undefined })
    expect((await peek(world, url)).to?.searchParams.get('error')).toBe('invalid_request')
  })

  test('nobody from outside reads, changes or removes a registration, also with its token', async () => {
    const { id, body } = await newAgent({ scope: 'databases:read' })
    const token = String(body['registration_access_token'])
    const change = {
      ...AGENT,
      client_id: id,
      client_name: 'Another name',
      redirect_uris: ['https://elsewhere.example/cb'],
    }
    for (const [method, sent] of [['GET'], ['PUT', change], ['DELETE']] as const) {
      const answer = await sendJson(world, String(body['registration_client_uri']), method, sent, token)
      expect([method, answer]).toEqual([method, { status: 404, body: expect.objectContaining({ code: 'NOT_FOUND' }) }])
    }
    expect(await realm.admin.findClient(id)).toMatchObject({ name: AGENT['client_name'], redirectUris: [CALLBACK] })
  })

  test('at Keycloak itself, behind the edge, an agent cannot turn its registration into more either', async () => {
    const { id, body } = await newAgent({ scope: 'databases:read' })
    const inside: World = { issuer: `${realm.url}/realms/bailiwick` }
    const own = `${inside.issuer}/clients-registrations/openid-connect/${id}`
    let token = String(body['registration_access_token'])
    const read = await sendJson(inside, own, 'GET', undefined, token)
    expect(read.status).toBe(200)
    token = String(read.body['registration_access_token'])
    const { registration_access_token: _a, registration_client_uri: _b, ...metadata } = read.body
    for (const change of [
      { grant_types: ['authorization_code', 'client_credentials'], token_endpoint_auth_method: 'client_secret_basic' },
      { grant_types: ['authorization_code', 'implicit'], response_types: ['code', 'token'] },
      { redirect_uris: ['https://elsewhere.example/*'] },
      { scope: 'databases:read roles' },
    ]) {
      const { status } = await sendJson(inside, own, 'PUT', { ...metadata, ...change }, token)
      expect([400, 403]).toContain(status)
    }
    const after = await realm.admin.findClient(id)
    expect(after).toMatchObject({ consentRequired: true, fullScopeAllowed: false, serviceAccountsEnabled: false })
    expect(await sendJson(inside, own, 'GET')).toMatchObject({ status: 401 })
    expect((await sendJson(inside, own, 'DELETE', undefined, token)).status).toBe(204)
    expect(await realm.admin.findClient(id)).toBeNull()
  })
})

describe('grants that do not exist', () => {
  test('a password never becomes a token, with any client of the realm', async () => {
    const clients = await realm.admin.get<{ clientId: string }[]>('/clients?max=200')
    for (const { clientId } of clients) {
      const { status, body } = await askToken(world, {
        grant_type: 'password',
        client_id: clientId,
        username: owner.person.username,
        password: owner.person.password,
      })
      expect({ clientId, isRefused: status >= 400, token: body['access_token'] }).toEqual({
        clientId,
        isRefused: true,
        token: undefined,
      })
    }
  })

  test.each([
    'client_credentials',
    'urn:ietf:params:oauth:grant-type:token-exchange',
    'urn:ietf:params:oauth:grant-type:jwt-bearer',
    'urn:ietf:params:oauth:grant-type:device_code',
    'urn:ietf:params:oauth:grant-type:uma-ticket',
  ])('an agent with a secret gets nothing for %s', async (grant) => {
    const { id, body } = await newAgent({ token_endpoint_auth_method: 'client_secret_basic' })
    const person = await tokensFor((await newAgent()).id, 'databases:read')
    const answer = await askToken(
      world,
      {
        grant_type: grant,
        scope: 'databases:delete',
        subject_token: String(person['access_token']),
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        assertion: String(person['access_token']),
        device_code: 'x',
        ticket: 'x',
      },
      { id, secret: String(body['client_secret']) },
    )
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.body).not.toHaveProperty('access_token')
  })

  test('our own services get tokens without any scope of ours', async () => {
    for (const [id, secret] of [
      ['bailiwick-policy', realm.policySecret],
      ['bailiwick-operator', realm.operatorSecret],
    ] as const) {
      const inside = { issuer: `${realm.url}/realms/bailiwick` }
      const { body } = await askToken(inside, { grant_type: 'client_credentials' }, { id, secret })
      expect(scopesOf(body['access_token']).filter((scope) => SCOPES.includes(scope))).toEqual([])
      const more = await askToken(
        inside,
        { grant_type: 'client_credentials', scope: 'databases:delete' },
        { id, secret },
      )
      expect(more.status).toBe(400)
    }
  })

  test('policy may read events and nothing else', async () => {
    const { RealmAdmin } = await import('../../scripts/embedded/keycloak/realm-admin.ts')
    const policy = new RealmAdmin({ url: realm.url, clientId: 'bailiwick-policy', secret: realm.policySecret })
    expect(Array.isArray(await policy.get('/events?max=1'))).toBe(true)
    expect(Array.isArray(await policy.get('/admin-events?max=1'))).toBe(true)
    for (const path of ['/users', '/clients', '/client-scopes', `/users/${owner.id}/consents`, '/keys'])
      await expect(policy.get(path)).rejects.toThrow(/403/)
  })
})

describe('refresh', () => {
  test('each refresh token is good once; an old one ends the whole family', async () => {
    const agent = await newAgent()
    const first = await tokensFor(agent.id, 'databases:read')
    // Keycloak tells uses apart by the second.
    await pause(1100)
    const second = await refresh(world, agent.id, first['refresh_token'])
    expect(second.status).toBe(200)
    await pause(1100)
    expect((await refresh(world, agent.id, first['refresh_token'])).status).toBe(400)
    expect((await refresh(world, agent.id, second.body['refresh_token'])).status).toBe(400)
  })

  test('a refresh token is of no use to another client', async () => {
    const [agent, other] = [await newAgent(), await newAgent()]
    const tokens = await tokensFor(agent.id, 'databases:read')
    expect((await refresh(world, other.id, tokens['refresh_token'])).status).toBe(400)
  })

  test('an offline token comes only when it was asked for and ticked', async () => {
    const agent = await newAgent()
    const kind = (body: Json): unknown => claimsOf(body['refresh_token'])['typ']
    expect(kind(await tokensFor(agent.id, 'databases:read'))).toBe('Refresh')
    expect(kind(await tokensFor(agent.id, 'databases:read offline_access', ['databases:read']))).toBe('Refresh')
    const both = ['databases:read', 'offline_access']
    expect(kind(await tokensFor(agent.id, both.join(' '), both))).toBe('Offline')
  })

  test('ends when the person takes the consent back', async () => {
    const agent = await newAgent()
    const both = ['databases:read', 'offline_access']
    const tokens = await tokensFor(agent.id, both.join(' '), both)
    await realm.admin.revokeConsent(owner.id, agent.id)
    expect((await refresh(world, agent.id, tokens['refresh_token'])).status).toBe(400)
  })
})

describe('step-up', () => {
  const console_ = { id: 'bailiwick-console' }
  const back = (): string => `${realm.publicUrl}/console/callback`
  async function console(fields: Record<string, string> = {}): Promise<{ pages: string[]; id: Json }> {
    const proof = newProof()
    const url = signInUrl(world, {
      client_id: console_.id,
      scope: 'openid',
      redirect_uri: back(),
      code_challenge: proof.challenge,
      nonce: 'n',
      ...fields,
    })
    const arrival = await owner.person.visit(url, back())
    const { body } = await askToken(
      world,
      {
        grant_type: 'authorization_code',
        code: codeOf(arrival),
        redirect_uri: back(),
        code_verifier: proof.verifier,
      },
      { id: console_.id, secret: realm.consoleSecret },
    )
    return { pages: arrival.pages, id: claimsOf(body['id_token']) }
  }
  const APPROVE = JSON.stringify({ id_token: { acr: { essential: true, values: ['approve'] } } })

  test('an approval asks for the second factor every time, and the token says so', async () => {
    await console()
    for (let round = 0; round < 2; round += 1) {
      const { pages, id } = await console({ claims: APPROVE, nonce: `approval-${round}` })
      expect(pages).toEqual(['code'])
      expect(id).toMatchObject({ acr: 'approve', nonce: `approval-${round}` })
      expect(Date.now() / 1000 - Number(id['auth_time'])).toBeLessThan(10)
    }
  }, 120_000)

  test('the next ordinary sign-in does not inherit it', async () => {
    const { id } = await console()
    expect(id['acr']).toBe('mfa')
  })
})

describe('events of this very file tell of', () => {
  type Event = { clientId?: string; resourcePath?: string }
  const eventsSince = (since: number, more: string): Promise<Event[]> =>
    realm.admin.get<Event[]>(`/events?max=1000&dateFrom=${since}&${more}`)

  test.each([
    'LOGIN',
    'LOGIN_ERROR',
    'CLIENT_REGISTER',
    'GRANT_CONSENT',
    'CODE_TO_TOKEN',
    'CODE_TO_TOKEN_ERROR',
    'REFRESH_TOKEN',
    'REFRESH_TOKEN_ERROR',
    'UPDATE_CREDENTIAL',
  ])('%s', async (type) => {
    const events = await eventsSince(startedAt, `type=${type}`)
    expect(events.filter(({ clientId }) => agents.has(clientId ?? '')).length).toBeGreaterThan(0)
  })

  test('a refused registration, by the address it came from: there is no client to name', async () => {
    const from = '127.0.62.1'
    const since = Date.now()
    expect((await register({ ...world, from }, { ...AGENT, redirect_uris: ['*'] })).status).not.toBe(201)
    // Keycloak tells of it twice, once in our provider's words.
    const events = await eventsSince(since, `type=CLIENT_REGISTER_ERROR&ipAddress=${from}`)
    expect(events).toContainEqual(expect.objectContaining({ error: 'not_allowed' }))
  })

  test('what administrators do', async () => {
    const done = await realm.admin.get<Event[]>(`/admin-events?max=50&resourcePath=users/${owner.id}*`)
    expect(done.map(({ resourcePath }) => resourcePath)).toContain(`users/${owner.id}/reset-password`)
  })
})

// Last: nothing above may have made Keycloak generate a key of another kind, as a wish for RS256 would.
test('the keys on offer are ES256 only, whatever an agent asked for', async () => {
  const agent = await newAgent({ id_token_signed_response_alg: 'RS256', userinfo_signed_response_alg: 'RS256' })
  const tokens = await tokensFor(agent.id, 'openid databases:read')
  expect(headerOf(tokens['id_token'])).toMatchObject({ alg: 'ES256' })
  const reply = await send(`${world.issuer}/protocol/openid-connect/certs`, world.ca ? { ca: world.ca } : {})
  const { keys } = JSON.parse(reply.text) as { keys: { alg: string; use: string }[] }
  expect(keys.map(({ alg, use }) => `${use} ${alg}`)).toEqual(['sig ES256'])
})
