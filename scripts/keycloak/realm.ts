// The realm, put together. Pure: the same code gives the same file. `@NAME@` is filled in when the realm is first imported.
import { buildFlows, REQUIRED_ACTIONS } from './flows.ts'
import { CLIENT_POLICIES, REGISTRATION_RULES } from './client-policies.ts'
import { CLIENT_SCOPES, DEFAULT_SCOPES, OPTIONAL_SCOPES, SCOPE_ROLES } from './client-scopes.ts'
import { CLIENT_ROLE_SCOPES, CLIENTS, ROLE_SCOPES, ROLES, USERS } from './clients.ts'
import { EVENT_TYPES } from './events.ts'

const DAY = 86_400
const SIGN_IN_HOURS = 8

const TOKENS = {
  defaultSignatureAlgorithm: 'ES256',
  accessTokenLifespan: 600,
  accessCodeLifespan: 60,
  accessCodeLifespanLogin: 1800,
  accessCodeLifespanUserAction: 900,
  ssoSessionIdleTimeout: SIGN_IN_HOURS * 3600,
  ssoSessionMaxLifespan: 24 * 3600,
  offlineSessionIdleTimeout: 30 * DAY,
  offlineSessionMaxLifespanEnabled: true,
  offlineSessionMaxLifespan: 180 * DAY,
  revokeRefreshToken: true,
  refreshTokenMaxReuse: 0,
}

const SIGN_IN = {
  registrationAllowed: false,
  resetPasswordAllowed: false,
  rememberMe: false,
  verifyEmail: false,
  loginWithEmailAllowed: true,
  duplicateEmailsAllowed: false,
  editUsernameAllowed: false,
  passwordPolicy:
    'hashAlgorithm(argon2) and length(14) and maxLength(128) and notUsername and notEmail and notContainsUsername and passwordHistory(5)',
  otpPolicyType: 'totp',
  // What every authenticator app knows; the code's strength is its 30 seconds and the lockout, not the hash.
  otpPolicyAlgorithm: 'HmacSHA1',
  otpPolicyDigits: 6,
  otpPolicyPeriod: 30,
  otpPolicyLookAheadWindow: 1,
  otpPolicyInitialCounter: 0,
  otpPolicyCodeReusable: false,
  webAuthnPolicyRpEntityName: 'Bailiwick',
  webAuthnPolicySignatureAlgorithms: ['ES256', 'RS256'],
  webAuthnPolicyUserVerificationRequirement: 'preferred',
  webAuthnPolicyPasswordlessRpEntityName: 'Bailiwick',
  webAuthnPolicyPasswordlessSignatureAlgorithms: ['ES256', 'RS256'],
  webAuthnPolicyPasswordlessResidentKey: 'required',
  webAuthnPolicyPasswordlessUserVerificationRequirement: 'required',
  webAuthnPolicyPasswordlessPasskeysEnabled: true,
}

/** Five wrong tries, then one minute, two, four ... up to 15; never for good, or anybody could lock anybody out. */
const BRUTE_FORCE = {
  bruteForceProtected: true,
  bruteForceStrategy: 'MULTIPLE',
  permanentLockout: false,
  maxTemporaryLockouts: 0,
  failureFactor: 5,
  waitIncrementSeconds: 60,
  maxFailureWaitSeconds: 900,
  maxDeltaTimeSeconds: 43_200,
  quickLoginCheckMilliSeconds: 1000,
  minimumQuickLoginWaitSeconds: 60,
}

const EVENTS = {
  eventsEnabled: true,
  eventsExpiration: 30 * DAY,
  // None writes them to the log as well: who mistypes puts a password where the user name goes.
  eventsListeners: [],
  enabledEventTypes: EVENT_TYPES,
  adminEventsEnabled: true,
  adminEventsDetailsEnabled: true,
}

const LOOK = {
  displayName: 'Bailiwick',
  displayNameHtml: 'Bailiwick',
  loginTheme: 'bailiwick',
  accountTheme: 'bailiwick',
  internationalizationEnabled: false,
  supportedLocales: ['en'],
  defaultLocale: 'en',
  browserSecurityHeaders: {
    contentSecurityPolicy:
      "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-src 'self'; frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
    contentSecurityPolicyReportOnly: '',
    referrerPolicy: 'no-referrer',
    strictTransportSecurity: 'max-age=31536000; includeSubDomains',
    xContentTypeOptions: 'nosniff',
    xFrameOptions: 'SAMEORIGIN',
    xRobotsTag: 'none',
  },
}

const generatedKey = (
  name: string,
  providerId: string,
  config: Readonly<Record<string, readonly string[]>>,
): object => ({
  name,
  providerId,
  subComponents: {},
  config: { priority: ['100'], ...config },
})

/** Made by Keycloak at the import. No RSA key exists, so a token signed in any other way cannot be ours. */
const KEYS = [
  generatedKey('tokens', 'ecdsa-generated', { ecdsaEllipticCurveKey: ['P-256'] }),
  // Inside Keycloak only: refresh tokens, cookies.
  generatedKey('sessions', 'hmac-generated', { algorithm: ['HS512'] }),
  generatedKey('cookies', 'aes-generated', { secretSize: ['32'] }),
]

const bothEdit = { view: ['admin', 'user'], edit: ['admin', 'user'] }
/** Name and e-mail are optional: an invitation needs a user name only. No other attribute can be stored. */
const PROFILE = {
  unmanagedAttributePolicy: 'ADMIN_VIEW',
  attributes: [
    {
      name: 'username',
      displayName: '${username}',
      validations: {
        length: { min: 3, max: 254 },
        'username-prohibited-characters': {},
        'up-username-not-idn-homograph': {},
      },
      permissions: { view: ['admin', 'user'], edit: ['admin'] },
    },
    {
      name: 'email',
      displayName: '${email}',
      validations: { email: {}, length: { max: 254 } },
      // Changed by an operator only: the address is a name to sign in with, and nothing here verifies it.
      permissions: { view: ['admin', 'user'], edit: ['admin'] },
    },
    ...['firstName', 'lastName'].map((name) => ({
      name,
      displayName: `\${${name}}`,
      validations: { length: { max: 100 }, 'person-name-prohibited-characters': {} },
      permissions: bothEdit,
    })),
  ],
  groups: [],
}

/** `migration`: the number of the newest migration; a fresh realm needs none of them. */
export function buildRealm({ migration }: { migration: number }): object {
  return {
    realm: 'bailiwick',
    enabled: true,
    sslRequired: 'external',
    organizationsEnabled: false,
    ...LOOK,
    ...TOKENS,
    ...SIGN_IN,
    ...BRUTE_FORCE,
    ...EVENTS,
    attributes: {
      'acr.loa.map': JSON.stringify({ mfa: 1, approve: 2 }),
      adminEventsExpiration: String(30 * DAY),
      'bailiwick.migration': String(migration),
    },
    roles: ROLES,
    defaultRole: { name: 'default-roles-bailiwick' },
    clientScopes: CLIENT_SCOPES,
    defaultDefaultClientScopes: DEFAULT_SCOPES,
    defaultOptionalClientScopes: OPTIONAL_SCOPES,
    clients: CLIENTS,
    users: USERS,
    scopeMappings: [...SCOPE_ROLES, ...ROLE_SCOPES],
    clientScopeMappings: CLIENT_ROLE_SCOPES,
    components: {
      ...REGISTRATION_RULES,
      'org.keycloak.keys.KeyProvider': KEYS,
      'org.keycloak.userprofile.UserProfileProvider': [
        {
          providerId: 'declarative-user-profile',
          subComponents: {},
          config: { 'kc.user.profile.config': [JSON.stringify(PROFILE)] },
        },
      ],
    },
    ...CLIENT_POLICIES,
    ...buildFlows(),
    requiredActions: REQUIRED_ACTIONS,
  }
}
