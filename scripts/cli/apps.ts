// Apps that people connected, for the operator. Policy comes first: from its answer on, every replica refuses the app. What Keycloak
// holds (consent, refresh tokens) is taken away after that; while it is down the app stays refused all the same.
import { Fault } from '@bailiwick/kernel/result'
import { readAppPrincipal, type Principal } from '@bailiwick/kernel/ids'
import { isUnreachable, RealmFault, type RealmAdmin } from '../embedded/keycloak/realm-admin.ts'
import type { Admin } from './admin-client.ts'

export type AppDoors = {
  readonly policy: Pick<Admin, 'apps_list' | 'apps_revoke' | 'apps_revoke_client' | 'members_list'>
  readonly realm: Pick<RealmAdmin, 'revokeConsent' | 'findClient' | 'put'>
}
export type Provider = 'done' | 'unreachable'
type Clock = () => number

/** `receipt` is null when the app was revoked before: then only Keycloak's part is done again. */
export async function revokeApp(
  { policy, realm }: AppDoors,
  principal: Principal,
  reason: string,
): Promise<{ receipt: number | null; provider: Provider }> {
  let receipt: number | null = null
  try {
    receipt = (await policy.apps_revoke({ principal, reason })).receipt
  } catch (error) {
    if (!(error instanceof Fault && error.code === 'CONFLICT' && (await isRevoked(policy, principal)))) throw error
  }
  const { sub, client } = readAppPrincipal(principal)!
  const provider = await atKeycloak(() => realm.revokeConsent(sub, client))
  return { receipt, provider }
}

async function isRevoked(policy: AppDoors['policy'], principal: Principal): Promise<boolean> {
  const { apps } = await policy.apps_list({ account: null })
  return apps.some((app) => app.principal === principal && app.state === 'revoked')
}

/** Everybody's grants to one client. At Keycloak: all its tokens end by date, and the consent of every person who belongs here. */
export async function revokeClient(
  { policy, realm }: AppDoors,
  client: string,
  reason: string,
  now: Clock = Date.now,
): Promise<{ revoked: string[]; receipt: number; provider: Provider | 'unknown' }> {
  const { revoked, receipt } = await policy.apps_revoke_client({ client, reason })
  let isKnown = true
  const provider = await atKeycloak(async () => {
    const found = await realm.findClient(client)
    if (!found) {
      isKnown = false
      return
    }
    await realm.put(`/clients/${encodeURIComponent(found.id)}`, { ...found, notBefore: Math.floor(now() / 1000) })
    const { members } = await policy.members_list({ account: null })
    for (const { sub } of members) await realm.revokeConsent(sub, client)
  })
  return { revoked, receipt, provider: isKnown ? provider : 'unknown' }
}

/** A person or consent that is not there is what was wanted. */
async function atKeycloak(work: () => Promise<void>): Promise<Provider> {
  try {
    await work()
    return 'done'
  } catch (error) {
    if (error instanceof RealmFault && error.status === 404) return 'done'
    if (isUnreachable(error)) return 'unreachable'
    throw error
  }
}
