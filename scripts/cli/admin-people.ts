// The operator's acts on people and on the apps they connected, one row each. What they do is in people.ts and apps.ts.
import { Principal, readAppPrincipal } from '@bailiwick/kernel/ids'
import { PlainError } from '../embedded/plain-error.ts'
import { readEmail, readId, readOneOf, readReason, readSub, showDay, showTime, nameScopes } from './admin-options.ts'
import type { Act, Given, Shown } from './admin-options.ts'
import { revokeApp, revokeClient, type Provider } from './apps.ts'
import { table, usageError } from './command.ts'
import { findSub, invite, list, remove, reset, type PeopleDoors } from './people.ts'
import { connectRealm } from './realm-client.ts'

const DOWN = 'Keycloak cannot be reached (./bailiwick status)'

const entry = (receipt: number | null): string => (receipt === null ? '' : ` (entry ${receipt} of the log)`)

async function doorsOf({ admin, layout }: Given) {
  const { admin: realm, signIn } = await connectRealm(layout)
  return { policy: admin, realm, signIn }
}

/** `--sub` works while Keycloak is down; an e-mail address is Keycloak's to know. */
async function personOf({ find }: Given, { realm }: Pick<PeopleDoors, 'realm'>): Promise<string> {
  const [sub, email] = [find('sub'), find('email')]
  if ((sub === undefined) === (email === undefined)) throw usageError('this takes either --sub or --email')
  return sub === undefined ? findSub(realm, readEmail(email!)) : readSub(sub)
}

const appOf = (need: Given['need']): Principal => {
  const text = need('app')
  if (!readAppPrincipal(text))
    throw usageError(`--app: "${text}" is no app; one such as oauth:PERSON:CLIENT of ./bailiwick admin apps list`)
  return readId(Principal, '--app', text)
}

const setApp =
  (verb: 'pause' | 'resume') =>
  async ({ admin, need }: Given): Promise<Shown> => {
    const data = await admin[`apps_${verb}`]({ principal: appOf(need), reason: readReason(need) })
    const line = `the app is ${verb === 'pause' ? 'paused' : 'active again'}${entry(data.receipt)}`
    return { data: { ...data, provider: 'done' }, lines: [line] }
  }

const providerLines = (provider: Provider, left: string): string[] =>
  provider === 'done' ? [] : [`${DOWN}: it is refused here all the same. ${left} is left; run this again`]

export const PEOPLE_ACTS: Readonly<Record<string, Act>> = {
  'members invite': {
    takes: ['account', 'email', 'name', 'role', 'reason'],
    async run(given) {
      const { need, find, account } = given
      const email = readEmail(need('email'))
      const role = readOneOf('--role', find('role') ?? 'owner', ['owner', 'member'] as const)
      const reason = find('reason') === undefined ? 'invited by the operator' : readReason(need)
      const doors = await doorsOf(given)
      const id = await account()
      if (!(await given.admin.accounts_list({})).accounts.some((each) => each.id === id))
        throw new PlainError(`there is no account ${id}: ./bailiwick admin accounts list`)
      const invited = await invite(doors, { account: id, email, name: find('name'), role, reason })
      const { signIn } = doors
      return {
        data: { account: id, ...invited, email, role, sign_in: signIn },
        lines: [
          `${email} belongs to account ${need('account')} as ${role}. Tell them, by a way that only they read:`,
          '',
          `  sign in at          ${signIn}`,
          `  as                  ${email}`,
          `  temporary password  ${invited.temporary_password}`,
          '',
          'It is shown only now and must be changed; an authenticator app and recovery codes are set up in the same go.',
        ],
      }
    },
  },
  'members list': {
    takes: ['account'],
    async run(given) {
      const data = await list(await doorsOf(given), await given.accountIfGiven())
      const rows = data.members.map((row) => [
        row.sub,
        row.username ?? (data.provider === 'done' ? 'not at Keycloak' : '?'),
        row.role,
        showDay(row.created_at),
        row.account,
      ])
      return {
        data,
        lines: [
          ...(rows.length > 0
            ? table([['person', 'signs in as', 'role', 'since', 'account'], ...rows])
            : ['nobody yet']),
          ...(data.provider === 'done' ? [] : [`${DOWN}: the addresses are missing`]),
        ],
      }
    },
  },
  'members remove': {
    takes: ['sub', 'email', 'reason'],
    async run(given) {
      const reason = readReason(given.need)
      const doors = await doorsOf(given)
      const sub = await personOf(given, doors)
      const { receipt, provider } = await remove(doors, sub, reason)
      return {
        data: { ok: true, sub, receipt, provider },
        lines: [
          `${sub} is removed: their apps and tokens are refused${entry(receipt)}`,
          ...providerLines(provider, 'Closing the sign-in'),
        ],
      }
    },
  },
  'members reset': {
    takes: ['sub', 'email', 'reason'],
    async run(given) {
      const reason = readReason(given.need)
      const doors = await doorsOf(given)
      const data = await reset(doors, await personOf(given, doors), reason)
      return {
        data,
        lines: [
          `password and second factors are reset${entry(data.receipt)}. Tell them, by a way that only they read:`,
          '',
          `  sign in at          ${doors.signIn}`,
          `  temporary password  ${data.temporary_password}`,
          '',
          'It is shown only now and must be changed. Their apps ask them to sign in once more.',
        ],
      }
    },
  },
  'apps list': {
    takes: ['account'],
    async run({ admin, accountIfGiven }) {
      const data = await admin.apps_list({ account: await accountIfGiven() })
      const rows = data.apps.map((row) => [
        row.principal,
        row.state,
        showTime(row.last_used_at),
        row.account,
        nameScopes(row.scopes),
      ])
      return {
        data,
        lines: rows.length > 0 ? table([['app', 'state', 'last used', 'account', 'scopes'], ...rows]) : ['no app yet'],
      }
    },
  },
  'apps pause': { takes: ['app', 'reason'], run: setApp('pause') },
  'apps resume': { takes: ['app', 'reason'], run: setApp('resume') },
  'apps revoke': {
    takes: ['app', 'reason'],
    async run(given) {
      const [principal, reason] = [appOf(given.need), readReason(given.need)]
      const { receipt, provider } = await revokeApp(await doorsOf(given), principal, reason)
      return {
        data: { ok: true, receipt, provider },
        lines: [
          `the app is refused until the person consents to it anew${entry(receipt)}`,
          ...providerLines(provider, 'Its consent at Keycloak'),
        ],
      }
    },
  },
  'apps revoke-client': {
    takes: ['client', 'reason'],
    async run(given) {
      const client = given.need('client')
      if (!/^\S{1,256}$/.test(client)) throw usageError('--client is a client’s id: ./bailiwick admin apps list')
      const data = await revokeClient(await doorsOf(given), client, readReason(given.need))
      const { revoked, receipt, provider } = data
      return {
        data,
        lines: [
          `the client is refused for everybody until each consents anew; ${revoked.length} apps in use${entry(receipt)}`,
          ...revoked,
          ...(provider === 'unknown'
            ? ['Keycloak knows no client of this id: is it the one you mean? ./bailiwick admin apps list']
            : providerLines(provider, 'Its consents at Keycloak')),
        ],
      }
    },
  },
}
