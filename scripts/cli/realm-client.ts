// The operator's line to Keycloak: the realm's administration over loopback, with a secret that only root can unseal.
import { readFileSync } from 'node:fs'
import { requireStrongKey } from '@bailiwick/kernel/config'
import { openSealedFile } from '@bailiwick/kernel/secrets'
import { isUnreachable, RealmAdmin, RealmFault } from '../embedded/keycloak/realm-admin.ts'
import { inState, portsFrom, type Layout } from '../embedded/layout.ts'
import { PlainError } from '../embedded/plain-error.ts'
import { sealKeyOf } from '../embedded/state.ts'
import { requireRunning } from './admin-client.ts'

export type Realm = {
  readonly admin: RealmAdmin
  /** Where a person signs in to set up and look after their own account. */
  readonly signIn: string
}

export async function connectRealm(layout: Layout): Promise<Realm> {
  const { portBase } = requireRunning(layout)
  const ports = portsFrom(portBase)
  const master = requireStrongKey('seal.key', readFileSync(inState.sealKey(layout.state), 'utf8').trim())
  const secrets = openSealedFile(inState.secrets(layout.state, 'supervisor'), sealKeyOf(master, 'supervisor'))
  return {
    admin: new RealmAdmin({
      url: `http://127.0.0.1:${ports.keycloak}`,
      secret: await secrets.get('keycloak_operator_secret'),
    }),
    signIn: `https://localhost:${ports.https}/realms/bailiwick/account/`,
  }
}

/** A fault of Keycloak's as a sentence. */
export function explainRealmFault(error: unknown): unknown {
  if (isUnreachable(error))
    return new PlainError(
      'Keycloak cannot be reached: ./bailiwick status, ./bailiwick logs keycloak; then run this again',
    )
  return error instanceof RealmFault ? new PlainError(error.message) : error
}
