// The few requests that policy makes to Keycloak: a token for itself, and the lists of events. It may read these and nothing
// else (role view-events).
import { z } from 'zod'

/** https://www.keycloak.org/docs-api/latest/rest-api, EventRepresentation; what we use of it. Times in ms. */
export const UserEvent = z.looseObject({
  id: z.string().min(1).max(200),
  time: z.number().int(),
  type: z.string().max(200),
  clientId: z.string().nullish(),
  userId: z.string().nullish(),
  sessionId: z.string().nullish(),
  ipAddress: z.string().nullish(),
  error: z.string().nullish(),
  details: z.record(z.string(), z.string().nullable()).nullish(),
})
export type UserEvent = z.infer<typeof UserEvent>

/** AdminEventRepresentation. `representation` may hold personal data: it is read for a client's name, and never kept. */
export const AdminEvent = z.looseObject({
  id: z.string().min(1).max(200),
  time: z.number().int(),
  operationType: z.string().max(200),
  resourceType: z.string().max(200),
  resourcePath: z.string().nullish(),
  representation: z.string().nullish(),
  error: z.string().nullish(),
  authDetails: z
    .looseObject({ clientId: z.string().nullish(), userId: z.string().nullish(), ipAddress: z.string().nullish() })
    .nullish(),
})
export type AdminEvent = z.infer<typeof AdminEvent>

export type Keycloak = {
  /** All since `from` (ms, inclusive), oldest first. */
  userEvents(from: number): Promise<UserEvent[]>
  adminEvents(from: number): Promise<AdminEvent[]>
}

const CLIENT_ID = 'bailiwick-policy'
const PAGE = 500
const TIMEOUT_MS = 2000
/** A token is renewed so long before its end. */
const MARGIN_MS = 60_000

const TokenReply = z.looseObject({ access_token: z.string(), expires_in: z.number() })

/** `url`: Keycloak's own address, `realm` its path there (`/realms/bailiwick`). Unreachable, slow or refused: throws. */
export function connectKeycloak(options: { url: string; realm: string; clientSecret: string }): Keycloak {
  const { url, realm, clientSecret } = options
  let token: { text: string; renewAt: number } | null = null

  const send = async (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(new URL(path, url), { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) })

  const renew = async (): Promise<string> => {
    const began = performance.now()
    const response = await send(`${realm}/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: CLIENT_ID,
        client_secret: clientSecret,
      }),
    })
    if (!response.ok) throw new Error(`no token for policy: status ${response.status}`)
    const { access_token: text, expires_in } = TokenReply.parse(await response.json())
    const lifeMs = expires_in * 1000
    token = { text, renewAt: began + Math.max(lifeMs - MARGIN_MS, lifeMs / 2) }
    return text
  }

  /** Both lists are asked for at once, and need one token. */
  let renewing: Promise<string> | null = null
  const renewTogether = (): Promise<string> =>
    (renewing ??= renew().finally(() => {
      renewing = null
    }))

  const get = async (path: string): Promise<unknown> => {
    const held = token && performance.now() < token.renewAt ? token.text : await renewTogether()
    const authorized = (text: string): Promise<Response> => send(path, { headers: { authorization: `Bearer ${text}` } })
    let response = await authorized(held)
    // Our own token was taken back too, as by "sign out everybody": with a new one, at once.
    if (response.status === 401)
      response = await authorized(token && token.text !== held ? token.text : await renewTogether())
    if (!response.ok) throw new Error(`${path}: status ${response.status}`)
    return response.json()
  }

  /** Oldest first: an event that is committed late shifts the later pages back, so that some come twice and none is left out. */
  const list = async <T>(kind: 'events' | 'admin-events', from: number, row: z.ZodType<T>): Promise<T[]> => {
    const found: T[] = []
    for (let first = 0; ; first += PAGE) {
      const query = new URLSearchParams({
        dateFrom: String(from),
        direction: 'asc',
        first: String(first),
        max: String(PAGE),
      })
      const page = z.array(row).parse(await get(`/admin${realm}/${kind}?${query.toString()}`))
      found.push(...page)
      if (page.length < PAGE) return found
    }
  }

  return {
    userEvents: (from) => list('events', from, UserEvent),
    adminEvents: (from) => list('admin-events', from, AdminEvent),
  }
}
