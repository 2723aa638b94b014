// The realm file says what it must: texts for every scope, the audience and the owner's role on each, and no way around a person.
import { readFileSync } from 'node:fs'
import { SCOPES, scopeDomain } from '@bailiwick/contracts/scopes'
import { EMPTY_SCOPES } from '../client-scopes.ts'
import { buildRealm } from '../realm.ts'
import { DOMAIN_NAMES, SCOPE_TEXTS } from '../scope-texts.ts'
import { writeRealm } from '../write.ts'

const ROOT = new URL('../../..', import.meta.url).pathname.replace(/\/$/, '')

type Mapper = { protocolMapper: string; config: Record<string, string> }
type Scope = { name: string; attributes: Record<string, string>; protocolMappers: Mapper[] }
type Client = Record<string, unknown> & { clientId: string; enabled: boolean; redirectUris: string[] }
type Execution = { authenticator?: string; requirement: string; flowAlias?: string; authenticatorConfig?: string }
type Flow = { alias: string; topLevel: boolean; authenticationExecutions: Execution[] }
type Realm = Record<string, unknown> & {
  clientScopes: Scope[]
  defaultDefaultClientScopes: string[]
  defaultOptionalClientScopes: string[]
  scopeMappings: { clientScope?: string; client?: string; roles: string[] }[]
  clients: Client[]
  authenticationFlows: Flow[]
  authenticatorConfig: { alias: string; config: Record<string, string> }[]
  requiredActions: { alias: string; priority: number; defaultAction: boolean }[]
  roles: { realm: { name: string; composites?: { realm?: string[]; client?: Record<string, string[]> } }[] }
  attributes: Record<string, string>
}

const realm = buildRealm({ migration: 7 }) as Realm
const scope = (name: string): Scope => realm.clientScopes.find((each) => each.name === name)!

describe('scopes', () => {
  test('each of the 33 has one sentence, and no sentence is left over', () => {
    expect(SCOPES).toHaveLength(33)
    expect(Object.keys(SCOPE_TEXTS).sort()).toEqual([...SCOPES].sort())
    for (const [name, text] of Object.entries(SCOPE_TEXTS))
      // One sentence, in words: the page is narrow, and nobody reads a paragraph 33 times.
      expect({ name, ok: /^[A-Z][^.!?:]{20,160}\.$/.test(text) && !/[<>&`_]/.test(text) }).toEqual({ name, ok: true })
    expect(new Set(Object.values(SCOPE_TEXTS)).size).toBe(33)
  })

  test('each domain has a heading', () => {
    const domains = [...new Set(SCOPES.filter((name) => name !== 'offline_access').map(scopeDomain))]
    expect(Object.keys(DOMAIN_NAMES).sort()).toEqual(domains.sort())
  })

  test('what deletes says so, and for how long it can be undone', () => {
    for (const name of SCOPES.filter((each) => each.endsWith(':delete'))) {
      expect(SCOPE_TEXTS[name]).toMatch(/^(Delete|Remove) /)
      expect(SCOPE_TEXTS[name]).toMatch(/30 days/)
    }
    for (const name of SCOPES.filter((each) => each.endsWith(':read'))) expect(SCOPE_TEXTS[name]).toMatch(/^See /)
  })

  test.each(SCOPES)('%s: shown for consent, marked with its right, audience of its own, for owners only', (name) => {
    const right = name === 'offline_access' ? 'offline' : name.split(':')[1]
    expect(scope(name).attributes).toMatchObject({
      'bailiwick.right': right,
      'display.on.consent.screen': 'true',
      'include.in.token.scope': 'true',
      'consent.screen.text': SCOPE_TEXTS[name],
    })
    const audiences = scope(name).protocolMappers.filter(
      ({ protocolMapper }) => protocolMapper === 'oidc-audience-mapper',
    )
    expect(audiences.map(({ config }) => config['included.client.audience'])).toEqual(['@MCP_URL@'])
    expect(realm.scopeMappings.filter(({ clientScope }) => clientScope === name)).toEqual([
      { clientScope: name, roles: ['owner'] },
    ])
  })

  test('nothing that lets an agent do anything comes unasked, and nothing of our own pages can be asked for', () => {
    expect(realm.defaultDefaultClientScopes).toEqual(['basic', 'acr'])
    expect([...realm.defaultOptionalClientScopes].sort()).toEqual([...SCOPES, 'profile', 'email'].sort())
    for (const { name } of EMPTY_SCOPES) expect(scope(name).protocolMappers).toEqual([])
  })
})

describe('clients', () => {
  test('none can use a password or the implicit flow, and none has full scope', () => {
    for (const client of realm.clients)
      expect(client).toMatchObject({
        directAccessGrantsEnabled: false,
        implicitFlowEnabled: false,
        fullScopeAllowed: false,
      })
  })

  test("Keycloak's own spare clients are named, because it would make them open, and switched off", () => {
    for (const clientId of ['admin-cli', 'security-admin-console', 'broker'])
      expect(realm.clients.find((client) => client.clientId === clientId)).toMatchObject({ enabled: false })
  })

  test('only our two services act without a person, and neither can carry a scope', () => {
    const services = realm.clients.filter((client) => client['serviceAccountsEnabled'] === true)
    expect(services.map(({ clientId }) => clientId)).toEqual(['bailiwick-policy', 'bailiwick-operator'])
    for (const client of services)
      expect(client).toMatchObject({ optionalClientScopes: [], standardFlowEnabled: false })
  })

  test('redirect addresses are exact but for the account page, which is a path of our own origin', () => {
    const open = realm.clients.filter(({ redirectUris }) => redirectUris.some((uri) => uri.includes('*')))
    expect(open).toMatchObject([{ clientId: 'account-console', redirectUris: ['/realms/bailiwick/account/*'] }])
  })

  test('no role that lets apps in comes by default', () => {
    const base = realm.roles.realm.find(({ name }) => name === 'default-roles-bailiwick')!
    expect(base.composites?.realm ?? []).toEqual([])
    expect(Object.keys(base.composites?.client ?? {})).toEqual(['account'])
  })
})

describe('flows', () => {
  const flow = (alias: string): Flow => realm.authenticationFlows.find((each) => each.alias === alias)!

  test('every flow and setting that is named exists, and every flow is used', () => {
    const aliases = realm.authenticationFlows.map(({ alias }) => alias)
    const used = realm.authenticationFlows.flatMap(({ authenticationExecutions }) =>
      authenticationExecutions.flatMap(({ flowAlias }) => flowAlias ?? []),
    )
    const bound = Object.entries(realm).flatMap(([key, value]) => (key.endsWith('Flow') ? [String(value)] : []))
    expect([...used, ...bound].sort()).toEqual([...aliases].sort())
    const settings = realm.authenticationFlows.flatMap(({ authenticationExecutions }) =>
      authenticationExecutions.flatMap(({ authenticatorConfig }) => authenticatorConfig ?? []),
    )
    expect(settings.sort()).toEqual(realm.authenticatorConfig.map(({ alias }) => alias).sort())
  })

  test('ways in other than our sign-in page end in a refusal', () => {
    for (const key of [
      'directGrantFlow',
      'registrationFlow',
      'resetCredentialsFlow',
      'firstBrokerLoginFlow',
      'dockerAuthenticationFlow',
    ])
      expect(flow(String(realm[key])).authenticationExecutions).toMatchObject([
        { authenticator: 'deny-access-authenticator', requirement: 'REQUIRED' },
      ])
  })

  test('an approval is never remembered and takes no recovery code', () => {
    const { authenticationExecutions } = flow('sign-in: approve')
    const level = realm.authenticatorConfig.find(
      ({ alias }) => alias === authenticationExecutions[0]!.authenticatorConfig,
    )
    expect(level?.config).toEqual({ 'loa-condition-level': '2', 'loa-max-age': '0' })
    const ways = flow('sign-in: fresh factor').authenticationExecutions.map(({ authenticator }) => authenticator)
    expect(ways).not.toContain('auth-recovery-authn-code-form')
    expect(JSON.parse(realm.attributes['acr.loa.map']!)).toEqual({ mfa: 1, approve: 2 })
  })

  test('the choice of scopes comes last, for a person who is fully set up', () => {
    const last = realm.requiredActions.toSorted((a, b) => a.priority - b.priority).at(-1)
    expect(last).toMatchObject({ alias: 'bailiwick-scope-choice' })
  })
})

describe('the file', () => {
  test('is the same each time, and is the committed one', () => {
    expect(writeRealm(ROOT)).toBe(writeRealm(ROOT))
    expect(readFileSync(`${ROOT}/keycloak/realm.json`, 'utf8')).toBe(writeRealm(ROOT))
  })

  test('holds placeholders where secrets and addresses go, and the newest migration', () => {
    const text = JSON.stringify(realm)
    expect([...new Set(text.match(/@[A-Z_]+@/g))].sort()).toEqual(
      ['@CONSOLE_SECRET@', '@MCP_URL@', '@OPERATOR_SECRET@', '@POLICY_SECRET@', '@PUBLIC_URL@'].sort(),
    )
    for (const client of realm.clients)
      if (client['secret'] !== undefined) expect(client['secret']).toMatch(/^@[A-Z_]+_SECRET@$/)
    expect(text).not.toMatch(/localhost|127\.0\.0\.1|privateKey/)
    expect(realm.attributes['bailiwick.migration']).toBe('7')
  })
})
