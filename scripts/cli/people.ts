// People, for the operator: who may sign in (Keycloak) and which account they belong to (policy). Two places, so every act is a
// row of steps that may break off after any of them; the same command again goes on where it stopped.
// A way in is opened at policy first and at Keycloak last, and closed at policy first: what is half done lets nobody in.
import { randomInt } from 'node:crypto'
import type { AccountId } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import { isUnreachable, RealmFault, type RealmAdmin, type RealmUser } from '../embedded/keycloak/realm-admin.ts'
import { PlainError } from '../embedded/plain-error.ts'
import type { Admin } from './admin-client.ts'

export type PeopleDoors = {
  readonly policy: Pick<Admin, 'members_list' | 'members_add' | 'members_remove' | 'members_reset'>
  readonly realm: Pick<
    RealmAdmin,
    | 'findUser'
    | 'user'
    | 'createUser'
    | 'changeUser'
    | 'setTemporaryPassword'
    | 'addRealmRoles'
    | 'removeRealmRoles'
    | 'credentials'
    | 'deleteCredential'
    | 'consents'
    | 'revokeConsent'
    | 'signOut'
  >
}
type Member = Awaited<ReturnType<Admin['members_list']>>['members'][number]
type Role = Member['role']
type Invitation = { account: AccountId; email: string; name?: string | undefined; role: Role; reason: string }
export type Invited = { sub: string; username: string; temporary_password: string }

/** Every scope is mapped to this role: without it a person's apps get none. */
const REALM_ROLE = 'owner'
/** What a person does at the first sign-in before anything else opens. */
const SET_UP = ['UPDATE_PASSWORD', 'CONFIGURE_TOTP', 'CONFIGURE_RECOVERY_AUTHN_CODES']

export async function invite({ policy, realm }: PeopleDoors, invitation: Invitation): Promise<Invited> {
  const { account, email, role, reason } = invitation
  const found = await realm.findUser(email)
  const membership = found ? await membershipOf(policy, found.id) : undefined
  if (found) refuseIfTaken(found, membership, account, role)
  // Switched off until everything stands: whoever is half invited cannot sign in. The address is the user name, and Keycloak
  // takes each once: an invitation that broke off after this finds the person it made.
  const sub = found?.id ?? (await createDisabled(realm, invitation))
  const temporary_password = makePassword()
  await setUpAnew(realm, sub, temporary_password, namesOf(invitation.name))
  if (found) await takeAway(realm, sub)
  await realm.addRealmRoles(sub, [REALM_ROLE])
  if (!membership) await policy.members_add({ account, sub, role, reason })
  await realm.changeUser(sub, { enabled: true })
  return { sub, username: email, temporary_password }
}

/**
 * Goes on with who was left switched off: an invitation that broke off, or a person who was removed and comes back. What they
 * had before (second factors, apps) is taken away.
 */
function refuseIfTaken(found: RealmUser, membership: Member | undefined, account: AccountId, role: Role): void {
  const { email, username, id } = found
  const who = email ?? username
  if (membership && membership.account !== account)
    throw new PlainError(
      `${who} is in use: this person belongs to account ${membership.account}. One person, one account`,
    )
  if (membership && found.enabled)
    throw new PlainError(`${who} is invited already: ./bailiwick admin members reset gives a new temporary password`)
  if (membership && membership.role !== role)
    throw new PlainError(
      `${who} was invited as ${membership.role}; to change that: members remove, then members invite`,
    )
  if (!membership && found.enabled)
    throw new PlainError(
      `${who} is in use: Keycloak has this person (${id}), who belongs to no account. If a removal broke off: ./bailiwick admin members remove --sub ${id}; then invite`,
    )
}

async function createDisabled(realm: PeopleDoors['realm'], { email, name }: Invitation): Promise<string> {
  try {
    return await realm.createUser({ username: email, email, emailVerified: true, enabled: false, ...namesOf(name) })
  } catch (error) {
    if (error instanceof RealmFault && error.status === 409) throw new PlainError(`${email} is in use`)
    throw error
  }
}

/** What must be set up first, then the password: at no moment does it alone get further than to the pages that set a factor up. */
async function setUpAnew(
  realm: PeopleDoors['realm'],
  sub: string,
  password: string,
  names: { firstName?: string; lastName?: string } = {},
): Promise<void> {
  await realm.changeUser(sub, { ...names, requiredActions: SET_UP })
  await realm.setTemporaryPassword(sub, password)
}

/** After that: what opened the door before. Ending the sessions also voids every token of the person's that is out. */
async function takeAway(realm: PeopleDoors['realm'], sub: string): Promise<void> {
  for (const { id, type } of await realm.credentials(sub))
    if (type !== 'password') await realm.deleteCredential(sub, id)
  await realm.signOut(sub)
}

type Removed = { receipt: number | null; provider: 'done' | 'unreachable' }

/** Effective when policy has answered: the person's apps and tokens are refused. Then the sign-in is closed. */
export async function remove({ policy, realm }: PeopleDoors, sub: string, reason: string): Promise<Removed> {
  let receipt: number | null = null
  try {
    receipt = (await policy.members_remove({ sub, reason })).receipt
  } catch (error) {
    // Gone there: an earlier removal may have broken off before Keycloak.
    if (!(error instanceof Fault && error.code === 'NOT_FOUND')) throw error
  }
  try {
    await closeSignIn(realm, sub)
    return { receipt, provider: 'done' }
  } catch (error) {
    if (error instanceof RealmFault && error.status === 404) {
      if (receipt === null) throw new PlainError(`there is no person ${sub}: ./bailiwick admin members list`)
      return { receipt, provider: 'done' }
    }
    if (receipt === null || !isUnreachable(error)) throw error
    return { receipt, provider: 'unreachable' }
  }
}

async function closeSignIn(realm: PeopleDoors['realm'], sub: string): Promise<void> {
  await realm.changeUser(sub, { enabled: false })
  await realm.signOut(sub)
  for (const { clientId } of await realm.consents(sub)) await realm.revokeConsent(sub, clientId)
  await realm.removeRealmRoles(sub, [REALM_ROLE])
}

/** A new temporary password; the old one, every second factor and session end. Apps must be connected anew, the consents stay. */
export async function reset(
  { policy, realm }: PeopleDoors,
  sub: string,
  reason: string,
): Promise<{ sub: string; temporary_password: string; receipt: number }> {
  const user = await realm.user(sub)
  const membership = await membershipOf(policy, sub)
  if (!membership) throw new PlainError(`${user.username} belongs to no account: members invite, not reset`)
  if (!user.enabled)
    throw new PlainError(`the invitation of ${user.username} is not finished: run members invite again`)
  // On the record before it happens; what Keycloak then does is polled from its events into the log.
  const { receipt } = await policy.members_reset({ sub, reason })
  const temporary_password = makePassword()
  await setUpAnew(realm, sub, temporary_password)
  await takeAway(realm, sub)
  return { sub, temporary_password, receipt }
}

/** With the address that each signs in with; `null` where Keycloak does not know the person, or does not answer. */
export async function list(
  { policy, realm }: PeopleDoors,
  account: AccountId | null,
): Promise<{ members: (Member & { username: string | null })[]; provider: 'done' | 'unreachable' }> {
  const { members } = await policy.members_list({ account })
  let provider: 'done' | 'unreachable' = 'done'
  const named = []
  for (const member of members) {
    let username: string | null = null
    if (provider === 'done') {
      try {
        username = (await realm.user(member.sub)).username
      } catch (error) {
        if (isUnreachable(error)) provider = 'unreachable'
        else if (!(error instanceof RealmFault && error.status === 404)) throw error
      }
    }
    named.push({ ...member, username })
  }
  return { members: named, provider }
}

export async function findSub(realm: PeopleDoors['realm'], email: string): Promise<string> {
  const user = await realm.findUser(email)
  if (!user) throw new PlainError(`nobody signs in as ${email}: ./bailiwick admin members list`)
  return user.id
}

const membershipOf = async (policy: PeopleDoors['policy'], sub: string): Promise<Member | undefined> =>
  (await policy.members_list({ account: null })).members.find((member) => member.sub === sub)

function namesOf(name: string | undefined): { firstName?: string; lastName?: string } {
  if (name === undefined) return {}
  const [first, ...rest] = name.trim().split(/\s+/)
  return { firstName: first!, ...(rest.length > 0 ? { lastName: rest.join(' ') } : {}) }
}

/** No letters that look alike when they are read out; 20 of 31 are 99 bits. */
const ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789'

/** In groups of five, to be typed from a screen once. */
export const makePassword = (): string =>
  Array.from({ length: 4 }, () => Array.from({ length: 5 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')).join(
    '-',
  )
