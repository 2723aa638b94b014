// What every client must keep to: the rules of registration, and those of each request. keycloak/README.md says why each is here.

const POLICY_TYPE = 'org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy'

type Settings = Readonly<Record<string, readonly string[]>>
const rule = (name: string, providerId: string, subType: string, config: Settings = {}): object => ({
  name,
  providerId,
  subType,
  subComponents: {},
  config,
})

// No "trusted hosts": an agent may come from anywhere. Its redirect addresses, and how many clients there may be, are held by our
// own rules below (AgentRules.java), which hold for metadata documents too.
const registrationRules = (subType: 'anonymous' | 'authenticated'): object[] => [
  rule('Consent always', 'consent-required', subType),
  rule('No full scope', 'scope', subType),
  // An empty list: a client must not put claims of its choice into its tokens.
  rule('No mappers', 'allowed-protocol-mappers', subType),
  // The realm's default and optional scopes, so never `roles` or `identity`.
  rule('Only our scopes', 'allowed-client-templates', subType, { 'allow-default-scopes': ['true'] }),
  rule('No foreign origins', 'registration-web-origins', subType),
]

export const REGISTRATION_RULES = {
  [POLICY_TYPE]: [...registrationRules('anonymous'), ...registrationRules('authenticated')],
}

type Part = { executor: string; configuration: Readonly<Record<string, unknown>> }
const part = (executor: string, configuration: Readonly<Record<string, unknown>> = {}): Part => ({
  executor,
  configuration,
})

const PROFILES = [
  {
    name: 'everybody',
    description: 'Holds at every request of every client',
    executors: [
      // At a registration it writes S256 into the client, at a request it refuses whatever else comes.
      part('pkce-enforcer', { 'auto-configure': true }),
      part('reject-implicit-grant', { 'auto-configure': false }),
      part('reject-ropc-grant', { 'auto-configure': false }),
      // Ours (keycloak/provider): what an agent may register as, and which grants exist at all.
      part('bailiwick-agent-rules'),
    ],
  },
  {
    name: 'metadata-document',
    description: 'The client id is the address of a document that describes the client',
    executors: [
      part('bailiwick-metadata-document', {
        'cimd-allow-http-scheme': false,
        // Every host passes in ours; an empty list would mean none.
        'cimd-allow-permitted-domains': ['*'],
        'cimd-restrict-same-domain': false,
        'cimd-required-properties': [],
        'only-allow-confidential-client': false,
      }),
    ],
  },
]

const when = (condition: string, configuration: Readonly<Record<string, unknown>> = {}): object => ({
  condition,
  configuration,
})
const policy = (name: string, profile: string, conditions: readonly object[]): object => ({
  name,
  enabled: true,
  conditions,
  profiles: [profile],
})

const POLICIES = [
  policy('every client', 'everybody', [when('any-client')]),
  policy('agents with a metadata document', 'metadata-document', [when('bailiwick-document-address')]),
]

export const CLIENT_POLICIES = {
  clientProfiles: { profiles: PROFILES },
  clientPolicies: { policies: POLICIES },
}
