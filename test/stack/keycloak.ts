// The Keycloak of the shared stack, as its operator and as the world sees it. TEST_KEYCLOAK (JSON: issuer, url, mcp and the two
// secrets) names another one, so that the realm can be worked on without a whole stack.
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { RealmAdmin } from '../../scripts/embedded/keycloak/realm-admin.ts'
import { realmValues } from '../../scripts/embedded/keycloak/realms.ts'
import { layoutOf } from '../../scripts/embedded/layout.ts'
import { ensureState } from '../../scripts/embedded/state.ts'
import { Person } from './person.ts'
import { sharedStack } from './shared-stack.ts'
import { ROOT } from './support.ts'
import type { World } from './oauth.ts'

export type TestRealm = {
  world: World
  /** Keycloak itself, over loopback. */
  url: string
  mcp: string
  publicUrl: string
  operatorSecret: string
  policySecret: string
  consoleSecret: string
  admin: RealmAdmin
}
type Given = {
  issuer: string
  url: string
  mcp: string
  operatorSecret: string
  policySecret: string
  consoleSecret: string
}

export async function openRealm(): Promise<TestRealm> {
  const given = process.env['TEST_KEYCLOAK']
  const found: Given & { ca?: Buffer } = given ? (JSON.parse(given) as Given) : await ofSharedStack()
  const { issuer, url, ca, operatorSecret } = found
  return {
    ...found,
    world: {
      issuer,
      ...(ca ? { ca } : {}),
      get from() {
        return nextAddress()
      },
    },
    publicUrl: issuer.replace(/\/realms\/.*/, ''),
    admin: new RealmAdmin({ url, secret: operatorSecret }),
  }
}

async function ofSharedStack(): Promise<Given & { ca: Buffer }> {
  const stack = sharedStack()
  const layout = layoutOf({ root: ROOT, state: stack.state, portBase: stack.portBase })
  const values = await realmValues(layout, await ensureState(stack.state))
  return {
    issuer: `${layout.publicUrl}/realms/bailiwick`,
    url: `http://127.0.0.1:${layout.ports.keycloak}`,
    mcp: `${layout.publicUrl}/mcp`,
    operatorSecret: values['OPERATOR_SECRET']!,
    policySecret: values['POLICY_SECRET']!,
    consoleSecret: values['CONSOLE_SECRET']!,
    ca: readFileSync(stack.caFile),
  }
}

let addresses = 0
/** The realm is tried here, not the edge's limits by address: no address asks twice in a minute. */
export const nextAddress = (): string => `127.0.61.${(addresses = (addresses % 250) + 1)}`

const PASSWORD = 'A-first-password-1'

/** Somebody invited as `roles`, who still has to choose a password and set up an app. */
export async function invite(
  realm: Pick<TestRealm, 'admin' | 'world'>,
  roles: readonly string[] = ['owner'],
  requiredActions: readonly string[] = ['UPDATE_PASSWORD', 'CONFIGURE_TOTP', 'CONFIGURE_RECOVERY_AUTHN_CODES'],
): Promise<{ id: string; person: Person }> {
  const username = `person-${randomUUID()}@example.test`
  const id = await realm.admin.createUser({ username, email: username, enabled: true, requiredActions })
  await realm.admin.put(`/users/${id}/reset-password`, {
    type: 'password',
    value: PASSWORD,
    temporary: requiredActions.includes('UPDATE_PASSWORD'),
  })
  if (roles.length > 0) await realm.admin.addRealmRoles(id, roles)
  const { ca } = realm.world
  return { id, person: new Person(username, PASSWORD, { ...(ca ? { ca } : {}), from: nextAddress }) }
}
