// How people and clients prove who they are. Naming flows in the file replaces all of Keycloak's own, which is what we want:
// what is not written here does not exist.

type Requirement = 'REQUIRED' | 'ALTERNATIVE' | 'CONDITIONAL'
type Step =
  | { requirement: Requirement; authenticator: string; config?: Readonly<Record<string, string>> }
  | { requirement: Requirement; flow: string; about: string; steps: readonly Step[] }

const must = (authenticator: string, config?: Readonly<Record<string, string>>): Step => ({
  requirement: 'REQUIRED',
  authenticator,
  ...(config ? { config } : {}),
})
const may = (authenticator: string): Step => ({ requirement: 'ALTERNATIVE', authenticator })
const flow = (requirement: Requirement, name: string, about: string, steps: readonly Step[]): Step => ({
  requirement,
  flow: name,
  about,
  steps,
})

const SECOND_FACTOR = 'sign-in: second factor'

const FIRST_LEVEL = flow('CONDITIONAL', 'sign-in: mfa', 'Level 1: password and second factor, or a passkey', [
  must('conditional-level-of-authentication', { 'loa-condition-level': '1', 'loa-max-age': '28800' }),
  must('auth-username-password-form'),
  // A passkey that was used in place of the password has checked the person (user verification): it is both factors at once.
  flow('CONDITIONAL', 'sign-in: after a password', 'Skipped after a passkey', [
    must('conditional-credential', { credentials: 'webauthn-passwordless', included: 'false' }),
    flow('CONDITIONAL', SECOND_FACTOR, 'Whichever the person has', [
      must('conditional-user-configured'),
      may('auth-otp-form'),
      may('webauthn-authenticator'),
      may('auth-recovery-authn-code-form'),
    ]),
    // Nobody gets in with a password alone, also when an invitation forgot to say so.
    flow('CONDITIONAL', 'sign-in: set up a second factor', 'Has none yet: sets one up now', [
      must('conditional-sub-flow-executed', { flow_to_check: SECOND_FACTOR, check_result: 'not-executed' }),
      must('auth-otp-form'),
    ]),
  ]),
])

/** Never remembered (`loa-max-age` 0), and no recovery code: who approves a deletion has the device at hand. */
const APPROVE_LEVEL = flow('CONDITIONAL', 'sign-in: approve', 'Level 2: the second factor once more, now', [
  must('conditional-level-of-authentication', { 'loa-condition-level': '2', 'loa-max-age': '0' }),
  flow('REQUIRED', 'sign-in: fresh factor', 'One of them', [
    may('auth-otp-form'),
    may('webauthn-authenticator'),
    may('webauthn-authenticator-passwordless'),
  ]),
])

const DENY = (name: string, about: string): Step => flow('REQUIRED', name, about, [must('deny-access-authenticator')])

type FlowNames = {
  browserFlow: string
  directGrantFlow: string
  registrationFlow: string
  resetCredentialsFlow: string
  firstBrokerLoginFlow: string
  dockerAuthenticationFlow: string
  clientAuthenticationFlow: string
}

const NAMES: FlowNames = {
  browserFlow: 'bailiwick browser',
  directGrantFlow: 'no password grant',
  registrationFlow: 'no self-registration',
  resetCredentialsFlow: 'no password reset',
  firstBrokerLoginFlow: 'no foreign sign-in',
  dockerAuthenticationFlow: 'no docker sign-in',
  clientAuthenticationFlow: 'bailiwick clients',
}

function topFlows(): readonly { step: Step; provider: string }[] {
  const browser = flow('REQUIRED', NAMES.browserFlow, 'Who is it', [
    flow('REQUIRED', 'sign-in', 'A running session, or the forms', [
      may('auth-cookie'),
      flow('ALTERNATIVE', 'sign-in: forms', 'By levels', [FIRST_LEVEL, APPROVE_LEVEL]),
    ]),
  ])
  const clients = flow('REQUIRED', NAMES.clientAuthenticationFlow, 'How a client proves who it is', [
    may('client-secret'),
    may('client-jwt'),
  ])
  return [
    { step: browser, provider: 'basic-flow' },
    { step: clients, provider: 'client-flow' },
    ...[
      DENY(NAMES.directGrantFlow, 'Passwords are typed on our sign-in page only'),
      DENY(NAMES.registrationFlow, 'Owners are invited'),
      DENY(NAMES.resetCredentialsFlow, 'An operator resets a password'),
      DENY(NAMES.firstBrokerLoginFlow, 'There are no foreign identity providers'),
      DENY(NAMES.dockerAuthenticationFlow, 'There is no registry'),
    ].map((step) => ({ step, provider: 'basic-flow' })),
  ]
}

type Execution = Readonly<Record<string, string | number | boolean>>
type Flow = {
  alias: string
  description: string
  providerId: string
  topLevel: boolean
  builtIn: boolean
  authenticationExecutions: Execution[]
}
type Config = { alias: string; config: Readonly<Record<string, string>> }

/** Keycloak's file is flat and names its parts by alias; ours is a tree. */
export function buildFlows(): FlowNames & {
  authenticationFlows: Flow[]
  authenticatorConfig: Config[]
} {
  const flows: Flow[] = []
  const configs: Config[] = []
  const add = (step: Step, providerId: string, isTop: boolean): void => {
    if (!('flow' in step)) throw new Error('a step is not a flow')
    flows.push({
      alias: step.flow,
      description: step.about,
      providerId,
      topLevel: isTop,
      builtIn: false,
      authenticationExecutions: step.steps.map((child, index) => {
        const common = { requirement: child.requirement, priority: (index + 1) * 10, userSetupAllowed: false }
        if ('flow' in child) return { ...common, authenticatorFlow: true, flowAlias: child.flow }
        const execution = { ...common, authenticatorFlow: false, authenticator: child.authenticator }
        if (!child.config) return execution
        const alias = `${step.flow}: ${child.authenticator}`
        configs.push({ alias, config: child.config })
        return { ...execution, authenticatorConfig: alias }
      }),
    })
    for (const child of step.steps) if ('flow' in child) add(child, providerId, false)
  }
  for (const { step, provider } of topFlows()) add(step, provider, true)
  return { ...NAMES, authenticationFlows: flows, authenticatorConfig: configs }
}

const action = (alias: string, name: string, config: Readonly<Record<string, string>> = {}): object => ({
  alias,
  name,
  providerId: alias,
  enabled: true,
  defaultAction: false,
  config,
})

/**
 * In this order when several wait: a new password first, then the second factor, then the codes for the day it is lost, and last,
 * for a person who is fully set up, what the app may do. None is a default action: an invitation names them, and the flow above
 * stops who has no second factor anyway. What is not listed (e-mail, terms, deleting one's account) does not exist.
 */
export const REQUIRED_ACTIONS: readonly object[] = [
  action('UPDATE_PASSWORD', 'Set a new password'),
  action('CONFIGURE_TOTP', 'Set up an authenticator app', { 'add-recovery-codes': 'true' }),
  action('webauthn-register', 'Set up a security key'),
  action('webauthn-register-passwordless', 'Set up a passkey'),
  action('CONFIGURE_RECOVERY_AUTHN_CODES', 'Write down recovery codes'),
  action('VERIFY_PROFILE', 'Check your profile'),
  action('UPDATE_PROFILE', 'Update your profile'),
  action('delete_credential', 'Remove a second factor'),
  action('bailiwick-scope-choice', 'Choose what an app may do'),
].map((each, index) => ({ ...each, priority: (index + 1) * 10 }))
