// Policy's and Keycloak's sides of the operator's commands, in memory: what they hold, and a wire that breaks at the n-th call.
import { AccountId, Principal } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import { RealmFault, type RealmUser } from '../../embedded/keycloak/realm-admin.ts'
import type { AppDoors } from '../apps.ts'
import type { PeopleDoors } from '../people.ts'

type User = RealmUser & {
  password: { value: string; temporary: boolean } | null
  factors: string[]
  roles: string[]
  consents: string[]
  sessions: number
}
type Member = Awaited<ReturnType<PeopleDoors['policy']['members_list']>>['members'][number]
type Apps = Awaited<ReturnType<AppDoors['policy']['apps_list']>>['apps']

export const ACCOUNT = AccountId.parse('01981f3e-0000-7000-8000-000000000001')
export const OTHER_ACCOUNT = AccountId.parse('01981f3e-0000-7000-8000-000000000002')

export class World {
  readonly users = new Map<string, User>()
  readonly members: Member[] = []
  readonly apps: Apps = []
  readonly clients = new Map<string, Record<string, unknown>>()
  /** Policy's log: the acts that it recorded. */
  readonly acts: string[] = []
  isKeycloakDown = false

  readonly doors: PeopleDoors & AppDoors = {
    policy: {
      members_list: async ({ account }) => ({
        members: this.members.filter((member) => account === null || member.account === account),
      }),
      members_add: async ({ account: given, sub, role }) => {
        const account = AccountId.parse(given)
        if (this.members.some((member) => member.sub === sub)) throw new Fault('CONFLICT', 'there')
        this.members.push({ account, sub, role, created_at: 0 })
        return this.#record('members_add')
      },
      members_remove: async ({ sub }) => {
        const index = this.members.findIndex((member) => member.sub === sub)
        if (index < 0) throw new Fault('NOT_FOUND', 'not there')
        this.members.splice(index, 1)
        return this.#record('members_remove')
      },
      members_reset: async () => this.#record('members_reset'),
      apps_list: async () => ({ apps: this.apps }),
      apps_revoke: async ({ principal }) => {
        const index = this.apps.findIndex((app) => app.principal === principal)
        if (index < 0) throw new Fault('NOT_FOUND', 'not there')
        if (this.apps[index]!.state === 'revoked') throw new Fault('CONFLICT', 'revoked')
        this.apps[index] = { ...this.apps[index]!, state: 'revoked' }
        return this.#record('apps_revoke')
      },
      apps_revoke_client: async ({ client }) => {
        const revoked = this.apps.filter((app) => app.client === client).map(({ principal }) => principal)
        return { revoked, receipt: this.#record('apps_revoke_client').receipt }
      },
    },
    realm: {
      findUser: async (name) => {
        this.#up()
        return [...this.users.values()].find(({ username }) => username === name) ?? null
      },
      user: async (id) => this.#user(id),
      createUser: async (user) => {
        this.#up()
        const { username } = user as { username: string }
        if ([...this.users.values()].some((each) => each.username === username))
          throw new RealmFault('user', 409, 'there')
        return this.addUser({ ...user, username }).id
      },
      changeUser: async (id, changes) => void Object.assign(this.#user(id), changes),
      setTemporaryPassword: async (id, value) => {
        this.#user(id).password = { value, temporary: true }
      },
      addRealmRoles: async (id, names) => {
        const user = this.#user(id)
        user.roles = [...new Set([...user.roles, ...names])]
      },
      removeRealmRoles: async (id, names) => {
        const user = this.#user(id)
        user.roles = user.roles.filter((role) => !names.includes(role))
      },
      credentials: async (id) => {
        const { password, factors } = this.#user(id)
        return [...(password ? ['password'] : []), ...factors].map((type) => ({ id: type, type }))
      },
      deleteCredential: async (id, credential) => {
        const user = this.#user(id)
        user.factors = user.factors.filter((factor) => factor !== credential)
      },
      consents: async (id) =>
        this.#user(id).consents.map((clientId) => ({
          clientId,
          grantedClientScopes: [],
          createdDate: 0,
          lastUpdatedDate: 0,
        })),
      revokeConsent: async (id, clientId) => {
        const user = this.#user(id)
        user.consents = user.consents.filter((each) => each !== clientId)
      },
      signOut: async (id) => {
        this.#user(id).sessions = 0
      },
      findClient: async (clientId) => {
        this.#up()
        const client = this.clients.get(clientId)
        return client ? { id: `id of ${clientId}`, clientId, ...client } : null
      },
      put: async (path, body) => {
        this.#up()
        const { clientId } = body as { clientId: string }
        if (path !== `/clients/${encodeURIComponent(`id of ${clientId}`)}`) throw new RealmFault(path, 404, '')
        this.clients.set(clientId, body as Record<string, unknown>)
      },
    },
  }

  addUser(user: Partial<User> & { username: string }): User {
    const id = `00000000-0000-4000-8000-${String(this.users.size).padStart(12, '0')}`
    const made = {
      id,
      enabled: true,
      requiredActions: [],
      password: null,
      factors: [],
      roles: [],
      consents: [],
      sessions: 0,
      ...user,
    }
    this.users.set(id, made)
    return made
  }
  addApp(sub: string, client: string): Principal {
    const principal = Principal.parse(`oauth:${sub}:${client}`)
    const [state, scopes] = ['active' as const, ['dns:read']]
    this.apps.push({ principal, account: ACCOUNT, sub, client, state, scopes, first_used_at: 0, last_used_at: 0 })
    return principal
  }

  #up(): void {
    if (this.isKeycloakDown) throw new RealmFault('anything', 0, 'refused')
  }
  #user(id: string): User {
    this.#up()
    const user = this.users.get(id)
    if (!user) throw new RealmFault('user', 404, '')
    return user
  }
  #record(act: string): { ok: true; receipt: number } {
    this.acts.push(act)
    return { ok: true, receipt: this.acts.length }
  }
}

export class Broken extends Error {}

/** The same doors; the `at`-th call fails, before or after its effect, and every one after it too: the command was killed. */
export function breakAt(
  doors: World['doors'],
  at: number,
  when: 'before' | 'after',
): { doors: World['doors']; broke: () => boolean } {
  let calls = 0
  let isBroken = false
  const wrap = <T extends object>(door: T): T =>
    new Proxy(door, {
      get: (target, name) => {
        const call = Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>
        return async (...args: unknown[]) => {
          calls += 1
          if (calls > at) throw new Broken()
          if (calls < at) return call(...args)
          isBroken = true
          if (when === 'after') await call(...args)
          throw new Broken()
        }
      },
    })
  return { doors: { policy: wrap(doors.policy), realm: wrap(doors.realm) }, broke: () => isBroken }
}
