// The Keycloak of the shared stack, as its operator and as the world sees it.
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { RealmAdmin } from '../../scripts/embedded/keycloak/realm-admin.ts'
import { realmValues } from '../../scripts/embedded/keycloak/realms.ts'
import { layoutOf } from '../../scripts/embedded/layout.ts'
import { ensureState } from '../../scripts/embedded/state.ts'
import { addressesIn } from './http.ts'
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
export async function openRealm(): Promise<TestRealm> {
  const stack = sharedStack()
  const layout = layoutOf({ root: ROOT, state: stack.state, portBase: stack.portBase })
  const values = await realmValues(layout, await ensureState(stack.state))
  const url = `http://127.0.0.1:${layout.ports.keycloak}`
  const operatorSecret = values['OPERATOR_SECRET']!
  return {
    world: { issuer: `${layout.publicUrl}/realms/bailiwick`, ca: readFileSync(stack.caFile), from: nextAddress },
    url,
    mcp: `${layout.publicUrl}/mcp`,
    publicUrl: layout.publicUrl,
    operatorSecret,
    policySecret: values['POLICY_SECRET']!,
    consoleSecret: values['CONSOLE_SECRET']!,
    admin: new RealmAdmin({ url, secret: operatorSecret }),
  }
}

/** The realm is tried here, not the edge's limits by address: no address asks twice in a minute. */
export const nextAddress = addressesIn('127.0.61')

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
