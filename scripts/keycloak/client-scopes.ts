// The client scopes of the realm: ours, one for each of the 33, and the few that Keycloak's own tokens need.
import { SCOPES, scopeDomain } from '@bailiwick/contracts/scopes'
import { DOMAIN_NAMES, SCOPE_TEXTS } from './scope-texts.ts'

type Mapper = { name: string; protocol: string; protocolMapper: string; config: Readonly<Record<string, string>> }
export type ClientScope = {
  name: string
  description: string
  protocol: string
  attributes: Readonly<Record<string, string>>
  protocolMappers: readonly Mapper[]
}

const mapper = (name: string, protocolMapper: string, config: Readonly<Record<string, string>>): Mapper => ({
  name,
  protocol: 'openid-connect',
  protocolMapper,
  config,
})

/**
 * In every scope and not in one default scope: a client that names `scope` when it registers loses the realm's default scopes,
 * and its tokens would have no audience.
 */
const AUDIENCE = mapper('audience', 'oidc-audience-mapper', {
  'included.client.audience': '@MCP_URL@',
  'access.token.claim': 'true',
  'id.token.claim': 'false',
  'introspection.token.claim': 'true',
})

/** `read`, `write`, `delete`, or `offline` for the one scope that is no right of its own. */
const scopeRight = (scope: string): string => (scope === 'offline_access' ? 'offline' : scope.split(':')[1]!)

/** The theme and the consent page read `bailiwick.right` and `bailiwick.domain`; they know no scope by name. */
function describeScope(name: string, index: number): ClientScope {
  const text = SCOPE_TEXTS[name]
  if (text === undefined) throw new Error(`scope-texts.ts has no sentence for ${name}`)
  const domain = name === 'offline_access' ? 'session' : scopeDomain(name)
  return {
    name,
    description: text,
    protocol: 'openid-connect',
    attributes: {
      'bailiwick.domain': domain,
      'bailiwick.domain.name': DOMAIN_NAMES[domain] ?? 'This connection',
      'bailiwick.right': scopeRight(name),
      'consent.screen.text': text,
      'display.on.consent.screen': 'true',
      'gui.order': String(index + 1),
      'include.in.openid.provider.metadata': 'true',
      'include.in.token.scope': 'true',
    },
    protocolMappers: [AUDIENCE],
  }
}

const inner = (name: string, description: string, protocolMappers: readonly Mapper[] = []): ClientScope => ({
  name,
  description,
  protocol: 'openid-connect',
  attributes: {
    'display.on.consent.screen': 'false',
    'include.in.openid.provider.metadata': 'false',
    'include.in.token.scope': 'false',
  },
  protocolMappers,
})

const noteMapper = (name: string, note: string, claim: string, type: string): Mapper =>
  mapper(name, 'oidc-usersessionmodel-note-mapper', {
    'user.session.note': note,
    'claim.name': claim,
    'jsonType.label': type,
    'access.token.claim': 'true',
    'id.token.claim': 'true',
    'introspection.token.claim': 'true',
  })

/** Claims of every token, and of the tokens with which our own clients speak to Keycloak. */
const INNER_SCOPES: readonly ClientScope[] = [
  inner('basic', 'Who the token stands for, and when that person signed in', [
    mapper('sub', 'oidc-sub-mapper', { 'access.token.claim': 'true', 'introspection.token.claim': 'true' }),
    noteMapper('auth_time', 'AUTH_TIME', 'auth_time', 'long'),
  ]),
  inner('acr', 'How strongly that person signed in', [
    mapper('acr', 'oidc-acr-mapper', {
      'access.token.claim': 'true',
      'id.token.claim': 'true',
      'introspection.token.claim': 'true',
    }),
  ]),
  // The account page and our console only; never offered to agents.
  inner('roles', 'The roles of a person, for our own pages', [
    mapper('realm roles', 'oidc-usermodel-realm-role-mapper', {
      'claim.name': 'realm_access.roles',
      'jsonType.label': 'String',
      multivalued: 'true',
      'access.token.claim': 'true',
      'introspection.token.claim': 'true',
    }),
    mapper('client roles', 'oidc-usermodel-client-role-mapper', {
      'claim.name': 'resource_access.${client_id}.roles',
      'jsonType.label': 'String',
      multivalued: 'true',
      'access.token.claim': 'true',
      'introspection.token.claim': 'true',
    }),
    mapper('audience resolve', 'oidc-audience-resolve-mapper', {
      'access.token.claim': 'true',
      'introspection.token.claim': 'true',
    }),
  ]),
  inner('identity', 'The name and e-mail address of a person, for our own pages', [
    mapper('username', 'oidc-usermodel-attribute-mapper', {
      'user.attribute': 'username',
      'claim.name': 'preferred_username',
      'jsonType.label': 'String',
      'access.token.claim': 'true',
      'id.token.claim': 'true',
      'userinfo.token.claim': 'true',
    }),
    mapper('email', 'oidc-usermodel-attribute-mapper', {
      'user.attribute': 'email',
      'claim.name': 'email',
      'jsonType.label': 'String',
      'id.token.claim': 'true',
      'userinfo.token.claim': 'true',
    }),
    mapper('full name', 'oidc-full-name-mapper', { 'id.token.claim': 'true', 'userinfo.token.claim': 'true' }),
  ]),
  inner('service_account', 'Which of our services a token stands for', [
    noteMapper('client id', 'client_id', 'client_id', 'String'),
  ]),
]

/**
 * Empty on purpose. Several agents ask for them out of habit when they register, and a registration with an unknown scope is
 * refused as a whole. They are accepted and give nothing: an agent learns no name and no address.
 */
export const EMPTY_SCOPES: readonly ClientScope[] = [
  inner('profile', 'Asked for by habit; holds nothing'),
  inner('email', 'Asked for by habit; holds nothing'),
]

/** What every client of the realm gets unasked. Nothing that lets it do anything. */
export const DEFAULT_SCOPES: readonly string[] = ['basic', 'acr']
/** What a client that registers itself may name. */
export const OPTIONAL_SCOPES: readonly string[] = [...SCOPES, ...EMPTY_SCOPES.map(({ name }) => name)]

export const CLIENT_SCOPES: readonly ClientScope[] = [...INNER_SCOPES, ...EMPTY_SCOPES, ...SCOPES.map(describeScope)]

/** Only an owner's token can carry them: a service account or a stranger holds no such role, so its scopes come out empty. */
export const SCOPE_ROLES = SCOPES.map((clientScope) => ({ clientScope, roles: ['owner'] }))
