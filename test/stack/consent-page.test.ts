// The page on which a person ticks what an agent may do (keycloak/provider): nothing is granted that was not ticked there, by
// whatever way it was asked for.
import { Buffer } from 'node:buffer'
import { SCOPES } from '@bailiwick/contracts/scopes'
import { formBody, send } from './http.ts'
import { invite, nextAddress, openRealm, type TestRealm } from './keycloak.ts'
import {
  AGENT,
  CALLBACK,
  codeOf,
  newProof,
  redeem,
  refresh,
  register,
  signInUrl,
  type Json,
  type World,
} from './oauth.ts'
import type { Answers, Arrival, Person } from './person.ts'

let realm: TestRealm
let world: World
let owner: { id: string; person: Person }

const WRITE_ASKED = 'dns:read dns:write dns:delete offline_access'

beforeAll(async () => {
  realm = await openRealm()
  world = { ...realm.world, from: nextAddress }
  owner = await invite(realm)
}, 120_000)

async function newAgent(metadata: Json = {}): Promise<string> {
  const { status, body } = await register(world, { ...AGENT, scope: SCOPES.join(' '), ...metadata })
  if (status !== 201) throw new Error(`registration: ${status} ${JSON.stringify(body)}`)
  return String(body['client_id'])
}

type Asked = Readonly<Record<string, string | undefined>>
async function ask(
  clientId: string,
  fields: Asked,
  answers: Answers = {},
  person = owner.person,
): Promise<{ arrival: Arrival; proof: ReturnType<typeof newProof>; offered: Record<string, boolean> }> {
  const proof = newProof()
  person.offered = []
  const url = signInUrl(world, { client_id: clientId, code_challenge: proof.challenge, ...fields })
  const arrival = await person.visit(url, CALLBACK, answers)
  return { arrival, proof, offered: Object.fromEntries(person.offered.map(({ name, ticked }) => [name, ticked])) }
}

const tick = (...names: string[]): Answers => ({ tick: () => names })
const sorted = (scope: unknown): string[] => String(scope).split(' ').sort()

/** To tokens; `scope` is what the token endpoint says was granted. */
async function connect(clientId: string, fields: Asked, answers: Answers): Promise<Json & { scope: string[] }> {
  const { arrival, proof } = await ask(clientId, fields, answers)
  const { status, body } = await redeem(world, clientId, codeOf(arrival), proof)
  if (status !== 200) throw new Error(`token: ${status} ${JSON.stringify(body)}`)
  return { ...body, scope: sorted(body['scope']) }
}

describe('the page', () => {
  test('ticks looking beforehand, and neither changing, deleting nor staying connected', async () => {
    const { offered } = await ask(await newAgent(), { scope: WRITE_ASKED })
    expect(offered).toEqual({ 'dns:read': true, 'dns:write': false, 'dns:delete': false, offline_access: false })
  })

  test('ticks what the same person gave the same agent before', async () => {
    const agent = await newAgent()
    await connect(agent, { scope: WRITE_ASKED }, tick('dns:read', 'dns:write'))
    const { offered } = await ask(agent, { scope: WRITE_ASKED })
    expect(offered).toEqual({ 'dns:read': true, 'dns:write': true, 'dns:delete': false, offline_access: false })
  })

  test('does not come for what is on record, and comes once when consent is asked for anew', async () => {
    const agent = await newAgent()
    await connect(agent, { scope: WRITE_ASKED }, tick('dns:read'))
    expect((await ask(agent, { scope: 'dns:read' })).arrival.pages).toEqual([])
    const anew = await ask(agent, { scope: 'dns:read', prompt: 'consent' })
    expect(anew.arrival.pages).toEqual(['tick'])
    expect(anew.arrival.params).toHaveProperty('code')
  })

  test('comes again when nothing is ticked, also when only staying connected is', async () => {
    const agent = await newAgent()
    for (const ticks of [tick(), tick('offline_access')]) {
      await expect(ask(agent, { scope: WRITE_ASKED }, ticks)).rejects.toThrow(/refused at tick/)
      expect(owner.person.page).toContain('Nothing is ticked.')
    }
    expect(await consentsOf(agent)).toBeNull()
  })

  test('comes also for an agent that asks for no scope the first time it is met', async () => {
    const agent = await newAgent()
    const first = await ask(agent, { scope: 'openid' })
    expect([first.arrival.pages, first.offered]).toEqual([['tick'], {}])
    expect((await ask(agent, { scope: 'openid' })).arrival.pages).toEqual([])
  })

  test('offers looking, and nothing else, to a request without a scope', async () => {
    const { offered } = await ask(await newAgent(), { scope: undefined })
    const reads = SCOPES.filter((scope) => scope.endsWith(':read'))
    expect(offered).toEqual(Object.fromEntries(reads.map((scope) => [scope, true])))
  })

  test('shows a name that is made up to mislead as one harmless line, and where the answer goes', async () => {
    const agent = await newAgent({ client_name: 'Good\u202Eppa <b>bold</b>\nBailiwick ${x} {0}' })
    await ask(agent, { scope: 'dns:read' }, { connect: false })
    expect(owner.person.page).toContain('calls itself “ Good ppa &lt;b&gt;bold&lt;/b&gt; Bailiwick ${x} {0} ”')
    expect(owner.person.page).toContain('this computer (127.0.0.1)')
  })
})

describe('never more than ticked', () => {
  test('names in the form that were not on the page count for nothing', async () => {
    const agent = await newAgent()
    const tokens = await connect(agent, { scope: WRITE_ASKED }, tick('dns:read', 'files:delete', 'roles', 'openid'))
    expect(tokens.scope).toEqual(['dns:read'])
  })

  test.each(['a request object', 'claims and resource'])('by %s', async (way) => {
    const agent = await newAgent()
    const proof = newProof()
    const wide = { scope: 'dns:read dns:delete', redirect_uri: CALLBACK, response_type: 'code', client_id: agent }
    const pkce = { code_challenge: proof.challenge, code_challenge_method: 'S256' }
    const base64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const fields: Asked =
      way === 'a request object'
        ? { scope: 'dns:read', request: `${base64({ alg: 'none' })}.${base64({ ...wide, ...pkce })}.` }
        : { scope: wide.scope, claims: '{"id_token":{"dns:delete":{"essential":true}}}', resource: realm.mcp }
    const { arrival } = await ask(agent, { ...fields, code_challenge: proof.challenge }, tick('dns:read'))
    const { body } = await redeem(world, agent, codeOf(arrival), proof, { scope: 'dns:read dns:delete' })
    expect([arrival.pages, body['scope']]).toEqual([['tick'], 'dns:read'])
  })

  test('a request cannot be pushed past the page: the build has no such endpoint, at the edge or behind it', async () => {
    const path = '/protocol/openid-connect/ext/par/request'
    const fields = formBody({ client_id: await newAgent(), scope: 'dns:delete', response_type: 'code' })
    for (const server of [realm.world.issuer, `${realm.url}/realms/bailiwick`])
      expect((await post(`${server}${path}`, fields)).status).toBe(404)
  })

  test('without a page there is nothing beyond the record', async () => {
    const agent = await newAgent()
    await connect(agent, { scope: WRITE_ASKED }, tick('dns:read'))
    const wider = await ask(agent, { scope: WRITE_ASKED, prompt: 'none' })
    expect(wider.arrival.params).toMatchObject({ error: 'interaction_required' })
    const within = await ask(agent, { scope: 'dns:read', prompt: 'none' })
    expect(within.arrival.params).toHaveProperty('code')
  })

  test('naming the page as the action to start does not skip it', async () => {
    const { arrival, offered } = await ask(await newAgent(), {
      scope: WRITE_ASKED,
      kc_action: 'bailiwick-scope-choice',
    })
    expect(arrival.pages).toEqual(['tick'])
    expect(offered).toMatchObject({ 'dns:delete': false })
  })

  test('a form is of no use without its session, twice, or at the endpoint of the page it replaces', async () => {
    const agent = await newAgent()
    let sent = { url: '', body: '' }
    const beforePost = async (kind: string, url: string, fields: readonly [string, string][]): Promise<void> => {
      if (kind !== 'tick') return
      sent = { url, body: formBody([...fields, ['scope', 'dns:delete']]) }
      const stranger = await post(sent.url, sent.body)
      expect([stranger.status, stranger.headers.location]).toEqual([400, undefined])
      const old = new URL(url)
      old.pathname = old.pathname.replace('required-action', 'consent')
      expect((await post(old.href, `code=${old.searchParams.get('session_code')}&accept=Yes`)).status).toBe(400)
      expect(await consentsOf(agent)).toBeNull()
    }
    await ask(agent, { scope: WRITE_ASKED }, { ...tick('dns:read'), beforePost })
    const replayed = await post(sent.url, sent.body)
    expect([replayed.status, replayed.headers.location]).toEqual([400, undefined])
    expect(await consentsOf(agent)).toEqual(['dns:read'])
  })

  test('an agent whose default scopes would be added unasked gets no code', async () => {
    const agent = await newAgent()
    const [client] = await realm.admin.get<{ id: string }[]>(`/clients?clientId=${agent}`)
    const scopes = await realm.admin.get<{ id: string; name: string }[]>('/client-scopes')
    const scope = scopes.find(({ name }) => name === 'dns:delete')!.id
    await realm.admin.delete(`/clients/${client!.id}/optional-client-scopes/${scope}`)
    await realm.admin.put(`/clients/${client!.id}/default-client-scopes/${scope}`, {})
    expect((await ask(agent, { scope: 'dns:read' })).arrival.params).toMatchObject({ error: 'access_denied' })
  })
})

describe('the record', () => {
  test('cancelling tells the agent so, and leaves no consent', async () => {
    const agent = await newAgent()
    const { arrival } = await ask(agent, { scope: WRITE_ASKED, state: 'mine' }, { connect: false })
    expect(arrival.params).toMatchObject({ error: 'access_denied', state: 'mine', iss: world.issuer })
    expect(await consentsOf(agent)).toBeNull()
  })

  test('unticking takes a scope from every session of the agent, and from those that never had it nothing', async () => {
    const agent = await newAgent()
    const narrow = await connect(agent, { scope: WRITE_ASKED }, tick('dns:read'))
    const wide = await connect(agent, { scope: WRITE_ASKED }, tick('dns:read', 'dns:write', 'offline_access'))
    await connect(agent, { scope: WRITE_ASKED }, tick('dns:read'))
    expect((await refresh(world, agent, wide['refresh_token'])).body).toMatchObject({ error: 'invalid_scope' })
    const kept = await refresh(world, agent, narrow['refresh_token'])
    expect([kept.status, sorted(kept.body['scope'])]).toEqual([200, ['dns:read']])
  })

  test('a second installation that asks for less takes nothing from the first', async () => {
    const agent = await newAgent()
    const first = await connect(agent, { scope: WRITE_ASKED }, tick('dns:read', 'dns:write'))
    await connect(agent, { scope: 'files:read' }, tick('files:read'))
    expect((await refresh(world, agent, first['refresh_token'])).status).toBe(200)
    expect(await consentsOf(agent)).toEqual(['dns:read', 'dns:write', 'files:read'])
  })

  test('each answer is an event that says what is now granted and what was withdrawn', async () => {
    const agent = await newAgent()
    await connect(agent, { scope: WRITE_ASKED }, tick('dns:read', 'dns:write'))
    await ask(agent, { scope: WRITE_ASKED }, tick('dns:read'))
    const events = await realm.admin.get<{ type: string; details: Json }[]>(`/events?client=${agent}&max=50`)
    const consents = events
      .filter(({ type }) => type.endsWith('_CONSENT'))
      .map(({ type, details }) => ({ type, ...details }))
    // Newest first.
    expect(consents).toMatchObject([
      { type: 'UPDATE_CONSENT', granted_client: agent, scope: 'dns:read', withdrawn_scope: 'dns:write' },
      { type: 'GRANT_CONSENT', granted_client: agent, scope: 'dns:read dns:write' },
    ])
  })
})

const post = (url: string, body: string) =>
  send(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' },
    body,
    ...(world.ca ? { ca: world.ca } : {}),
  })

async function consentsOf(clientId: string): Promise<string[] | null> {
  type Consent = { clientId: string; grantedClientScopes: string[] }
  const consents = await realm.admin.get<Consent[]>(`/users/${owner.id}/consents`)
  return consents.find((consent) => consent.clientId === clientId)?.grantedClientScopes.sort() ?? null
}
