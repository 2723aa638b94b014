// The clients and roles that the realm is born with. Agents are not here: they register themselves.

const SERVICE_MARK = { 'bailiwick.part': 'service' }

/** Everything a client might do, switched off; each client below switches on what it needs. */
const CLOSED = {
  enabled: true,
  protocol: 'openid-connect',
  publicClient: false,
  bearerOnly: false,
  standardFlowEnabled: false,
  implicitFlowEnabled: false,
  directAccessGrantsEnabled: false,
  serviceAccountsEnabled: false,
  fullScopeAllowed: false,
  consentRequired: false,
  frontchannelLogout: false,
  redirectUris: [] as string[],
  webOrigins: [] as string[],
  defaultClientScopes: [] as string[],
  optionalClientScopes: [] as string[],
}

const service = (clientId: string, name: string, secret: string): object => ({
  ...CLOSED,
  clientId,
  name,
  secret,
  serviceAccountsEnabled: true,
  attributes: SERVICE_MARK,
  defaultClientScopes: ['basic', 'roles', 'service_account'],
})

/** Keycloak makes these itself when the file does not name them, one of them (admin-cli) with the password grant. */
const shut = (clientId: string): object => ({ ...CLOSED, clientId, name: 'Not used', enabled: false, bearerOnly: true })

const ACCOUNT_PAGE = {
  ...CLOSED,
  rootUrl: '${authBaseUrl}',
  baseUrl: '/realms/bailiwick/account/',
  redirectUris: ['/realms/bailiwick/account/*'],
  publicClient: true,
  standardFlowEnabled: true,
}

export const CLIENTS: readonly object[] = [
  {
    ...CLOSED,
    clientId: '@MCP_URL@',
    name: 'The MCP endpoint',
    description: 'What agents get tokens for: its id is the audience.',
    bearerOnly: true,
    attributes: { resource_url: '@MCP_URL@' },
  },
  service('bailiwick-policy', 'Policy: reads events', '@POLICY_SECRET@'),
  service('bailiwick-operator', 'The operator: invites people, migrates the realm', '@OPERATOR_SECRET@'),
  {
    ...CLOSED,
    clientId: 'bailiwick-console',
    name: 'Bailiwick console',
    secret: '@CONSOLE_SECRET@',
    standardFlowEnabled: true,
    rootUrl: '@PUBLIC_URL@',
    baseUrl: '/console/',
    redirectUris: ['@PUBLIC_URL@/console/callback'],
    attributes: {
      'pkce.code.challenge.method': 'S256',
      'post.logout.redirect.uris': '@PUBLIC_URL@/console/',
      'acr.loa.map': JSON.stringify({ mfa: 1, approve: 2 }),
    },
    defaultClientScopes: ['basic', 'acr', 'roles', 'identity'],
  },
  // Holds the roles of the page; its own old way of signing in is shut.
  { ...ACCOUNT_PAGE, clientId: 'account', name: '${client_account}', standardFlowEnabled: false, redirectUris: [] },
  {
    ...ACCOUNT_PAGE,
    clientId: 'account-console',
    name: '${client_account-console}',
    attributes: { 'pkce.code.challenge.method': 'S256', 'post.logout.redirect.uris': '+' },
    defaultClientScopes: ['basic', 'acr', 'roles', 'identity'],
  },
  ...['admin-cli', 'security-admin-console', 'broker'].map(shut),
]

/** What a person may do on the account page: see and end what they let in, change their own password and second factors. */
const ACCOUNT_ROLES: Readonly<Record<string, readonly string[]>> = {
  'view-profile': [],
  'manage-account': [],
  'view-applications': [],
  'view-consent': [],
  'manage-consent': ['view-consent'],
}
const OWN_ACCOUNT = ['view-profile', 'manage-account', 'view-applications', 'manage-consent']

export const ROLES = {
  realm: [
    {
      name: 'owner',
      description: 'May let apps in for an account',
      composite: true,
      composites: { realm: ['offline_access'] },
    },
    { name: 'admin', description: 'Operates the installation' },
    { name: 'auditor', description: 'Reads the audit log of all accounts, on the record' },
    // Keycloak gives offline tokens only to who holds a role of this very name.
    { name: 'offline_access', description: 'May let an app stay connected' },
    {
      name: 'default-roles-bailiwick',
      description: 'What everybody has who can sign in: their own account page',
      composite: true,
      composites: { client: { account: OWN_ACCOUNT } },
    },
  ],
  client: {
    account: Object.entries(ACCOUNT_ROLES).map(([name, contains]) => ({
      name,
      description: `\${role_${name}}`,
      clientRole: true,
      composite: contains.length > 0,
      ...(contains.length > 0 ? { composites: { client: { account: contains } } } : {}),
    })),
  },
}

const PEOPLE = ['owner', 'admin', 'auditor']
export const ROLE_SCOPES = [{ client: 'bailiwick-console', roles: PEOPLE }]

/** A client's token carries a role only when both the subject holds it and the client is let use it: the second half. */
export const CLIENT_ROLE_SCOPES = {
  account: [{ client: 'account-console', roles: OWN_ACCOUNT }],
  'realm-management': [
    { client: 'bailiwick-policy', roles: ['view-events'] },
    { client: 'bailiwick-operator', roles: ['realm-admin'] },
  ],
}

const serviceUser = (clientId: string, role: string): object => ({
  username: `service-account-${clientId}`,
  enabled: true,
  serviceAccountClientId: clientId,
  // No default role: a service account has no account page.
  realmRoles: [],
  clientRoles: { 'realm-management': [role] },
})

export const USERS: readonly object[] = [
  serviceUser('bailiwick-policy', 'view-events'),
  serviceUser('bailiwick-operator', 'realm-admin'),
]
