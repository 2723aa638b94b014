// What an event of the identity provider takes back, and what the log is told of it. Pure. What is not understood but touches a
// person or a client tightens: it costs their apps a refresh, while a revocation that is overlooked would stand for minutes.
import type { EntryInput } from '@bailiwick/contracts/doors/audit'
import { appPrincipal } from '@bailiwick/kernel/ids'
import type { AdminEvent, UserEvent } from './keycloak.ts'

type BoundKind = 'realm' | 'subject' | 'app' | 'client' | 'session'
/** Tokens of whoever `key` names, issued until the event, are refused. */
export type Bound = {
  readonly kind: BoundKind
  readonly key: string
  /** Tokens of the event's own second stand: the one that it led to among them. */
  readonly sparesItsSecond?: true
}

export type Reading = {
  readonly bounds: readonly Bound[]
  /** The principal that was consented to: ends a revocation by the operator. */
  readonly consent: string | null
  /** The person whom it is about: the entry goes to that person's account. */
  readonly about: string | null
  readonly entry: Pick<EntryInput, 'kind' | 'door' | 'decision' | 'code' | 'personal'>
}

const app = (sub: string, client: string): Bound => ({ kind: 'app', key: appPrincipal(sub, client) })
const subject = (sub: string): Bound => ({ kind: 'subject', key: sub })
const REALM: Bound = { kind: 'realm', key: '' }

/** Of a person or a client, and nothing in them takes anything back. A person who changes a password ends sessions apart. */
const HARMLESS = new Set([
  'LOGIN',
  'REGISTER',
  'CODE_TO_TOKEN',
  'REFRESH_TOKEN',
  'CLIENT_LOGIN',
  'TOKEN_EXCHANGE',
  'GRANT_CONSENT',
  'UPDATE_CONSENT',
  'CLIENT_REGISTER',
  'UPDATE_PROFILE',
  'UPDATE_EMAIL',
  'VERIFY_EMAIL',
  'VERIFY_PROFILE',
  'UPDATE_PASSWORD',
  'UPDATE_TOTP',
  'UPDATE_CREDENTIAL',
  'REMOVE_TOTP',
  'REMOVE_CREDENTIAL',
  'RESET_PASSWORD',
  'EXECUTE_ACTIONS',
  'EXECUTE_ACTION_TOKEN',
  'CUSTOM_REQUIRED_ACTION',
  // Anybody can bring it about, with wrong passwords: it must not stop the apps.
  'USER_DISABLED_BY_TEMPORARY_LOCKOUT',
])

/** An error about nobody that anybody can bring about, as often as they like. */
export const isStrangers = ({ bounds, about, entry }: Reading): boolean =>
  entry.door === 'internal' && entry.decision === 'deny' && about === null && bounds.length === 0

export function readUserEvent(event: UserEvent): Reading {
  const { type, clientId, userId, sessionId, ipAddress, error } = event
  const isConsent = (type === 'GRANT_CONSENT' || type === 'UPDATE_CONSENT') && userId && clientId
  return {
    bounds: boundsOf(event),
    consent: isConsent ? app(userId, clientId).key : null,
    about: userId ?? event.details?.['refresh_token_sub'] ?? null,
    entry: {
      kind: kindOf(type),
      door: 'internal',
      decision: type.endsWith('_ERROR') ? 'deny' : 'allow',
      code: word(type),
      personal: {
        user: short(userId),
        client: short(clientId),
        address: short(ipAddress),
        principal: userId && clientId ? short(app(userId, clientId).key) : null,
        resource_kind: sessionId ? 'session' : null,
        resource: short(sessionId),
        input: { at: new Date(event.time).toISOString(), ...detailsOf(event) },
        why: short(error),
      },
    },
  }
}

function boundsOf({ type, clientId, userId, sessionId, details }: UserEvent): Bound[] {
  if (type.endsWith('_ERROR')) {
    // A refresh token was used a second time. Person and client are those of a token that the identity provider verified; the
    // session is not bounded, because it holds the person's other apps. Of a code that was used twice nothing is known: session
    // and client are what the request said, whoever sent it, so it takes nothing back here. The provider ends the app's refreshing.
    const sub = details?.['refresh_token_sub']
    const isReuse = type === 'REFRESH_TOKEN_ERROR' && /reuse/i.test(details?.['reason'] ?? '')
    return isReuse && sub && clientId ? [app(sub, clientId)] : []
  }
  // Unticked what was ticked before: what the app holds still says more than the person allows. It refreshes, and has less.
  if (type === 'UPDATE_CONSENT' && userId && clientId && details?.['withdrawn_scope'])
    return [{ ...app(userId, clientId), sparesItsSecond: true }]
  if (HARMLESS.has(type)) return []
  if (type === 'REVOKE_GRANT' && userId) {
    const client = details?.['revoked_client'] ?? clientId
    return [client ? app(userId, client) : subject(userId)]
  }
  if ((type === 'LOGOUT' || type === 'USER_SESSION_DELETED') && sessionId) return [{ kind: 'session', key: sessionId }]
  if (userId) return [subject(userId)]
  return clientId ? [{ kind: 'client', key: clientId }] : []
}

const KINDS: readonly (readonly [pattern: RegExp, kind: EntryInput['kind']])[] = [
  [/^(GRANT_CONSENT|UPDATE_CONSENT|REVOKE_GRANT)(_ERROR)?$/, 'consent'],
  [/^(CODE_TO_TOKEN|REFRESH_TOKEN|CLIENT_LOGIN|TOKEN_EXCHANGE)$/, 'token_issued'],
  [/^(CODE_TO_TOKEN|REFRESH_TOKEN|CLIENT_LOGIN|TOKEN_EXCHANGE)_ERROR$/, 'token_refused'],
  [/^(LOGIN|LOGOUT|USER_SESSION_DELETED)(_ERROR)?$/, 'sign_in'],
]
const kindOf = (type: string): EntryInput['kind'] => KINDS.find(([pattern]) => pattern.test(type))?.[1] ?? 'identity'

/** Neither tokens nor codes nor what was typed into a form: a wrong user name may be a password. */
const KEPT_DETAILS = [
  'auth_method',
  'client_auth_method',
  'consent',
  'credential_type',
  'grant_type',
  'reason',
  'refresh_token_type',
  'revoked_client',
  'scope',
  'withdrawn_scope',
]

const detailsOf = ({ details }: UserEvent): Record<string, string> =>
  Object.fromEntries(
    KEPT_DETAILS.flatMap((name) => {
      const value = short(details?.[name])
      return value === null ? [] : [[name, value]]
    }),
  )

/** Places of the administration where nothing can be taken back from anybody. */
const HARMLESS_PLACES = new Set(['attack-detection', 'authentication', 'localization'])

export function readAdminEvent(event: AdminEvent): Reading {
  const { operationType, resourceType, authDetails, error } = event
  const path = event.resourcePath ?? ''
  const [place, id] = path.split('/')
  return {
    bounds: error ? [] : adminBoundsOf(event, path),
    consent: null,
    about: place === 'users' && id ? id : null,
    entry: {
      kind: 'identity',
      door: 'admin',
      decision: error ? 'deny' : 'allow',
      code: word(`${resourceType}_${operationType}`),
      personal: {
        user: short(authDetails?.userId),
        client: short(authDetails?.clientId),
        address: short(authDetails?.ipAddress),
        resource_kind: short(resourceType.toLowerCase()),
        resource: short(path),
        input: { at: new Date(event.time).toISOString() },
        why: short(error),
      },
    },
  }
}

function adminBoundsOf(event: AdminEvent, path: string): Bound[] {
  const [place = '', id = '', part, ...rest] = path.split('/')
  const isNew = event.operationType === 'CREATE' && part === undefined
  if (place === 'users' && id !== '') {
    // A client's id may be a URL, with slashes of its own.
    if (part === 'consents' && rest.length > 0) return [app(id, decode(rest.join('/')))]
    return isNew ? [] : [subject(id)]
  }
  if (place === 'sessions' && id !== '') return [{ kind: 'session', key: id }]
  if (place === 'clients' && id !== '') {
    const client = clientOf(event)
    if (isNew) return []
    return [client === null || part !== undefined ? REALM : { kind: 'client', key: client }]
  }
  // New things bind nobody yet; whatever else changed may be what somebody's token rests on.
  return isNew || HARMLESS_PLACES.has(place) ? [] : [REALM]
}

/** The path names a client by its row; only the representation by its id. */
function clientOf({ representation }: AdminEvent): string | null {
  try {
    const { clientId } = JSON.parse(representation ?? '') as { clientId?: unknown }
    return typeof clientId === 'string' ? clientId : null
  } catch {
    return null
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const short = (text: string | null | undefined): string | null =>
  text === null || text === undefined || text === '' ? null : text.toWellFormed().slice(0, 500)
const word = (text: string): string => text.replace(/[^\w]/g, '_').slice(0, 100)
