// The realm over Keycloak's REST interface, as the client bailiwick-operator: what the operator's commands and the migrations
// use. Loopback only. It knows nothing of accounts; that is policy's.
import { setTimeout as pause } from 'node:timers/promises'

export type Json = Readonly<Record<string, unknown>>
export type RealmUser = {
  id: string
  username: string
  email?: string
  firstName?: string
  lastName?: string
  enabled: boolean
  requiredActions: string[]
  attributes?: Readonly<Record<string, readonly string[]>>
}
export type Consent = { clientId: string; grantedClientScopes: string[]; createdDate: number; lastUpdatedDate: number }
export type Credential = { id: string; type: string; userLabel?: string; createdDate?: number }

/** What Keycloak answered when it was not a success; `status` is 0 when it could not be reached. */
export class RealmFault extends Error {
  readonly status: number
  constructor(what: string, status: number, why: string) {
    super(`Keycloak: ${what}: ${status === 0 ? 'not reachable' : status}${why === '' ? '' : ` ${why}`}`)
    this.status = status
  }
}

/** Nobody answers, or it is still starting: what was asked did not happen, or may be asked again. */
export const isUnreachable = (error: unknown): boolean =>
  error instanceof RealmFault && [0, 502, 503, 504].includes(error.status)

const REALM = 'bailiwick'
const TIMEOUT_MS = 30_000
/** A token lives 300 s; one that ends within a request is no use. */
const SPARE_MS = 20_000

export class RealmAdmin {
  readonly #url: string
  readonly #clientId: string
  readonly #secret: string
  #token: { value: string; until: number } | null = null

  /** `url`: `http://127.0.0.1:<port>`, without a slash at its end. */
  constructor({ url, secret, clientId = 'bailiwick-operator' }: RealmDoor) {
    this.#url = url
    this.#clientId = clientId
    this.#secret = secret
  }

  get<T = Json>(path: string): Promise<T> {
    return this.#call('GET', path).then(({ body }) => body as T)
  }
  async put(path: string, body: unknown): Promise<void> {
    await this.#call('PUT', path, body)
  }
  /** Returns the id of what was made, where Keycloak names one. */
  async post(path: string, body: unknown): Promise<string | null> {
    const { location } = await this.#call('POST', path, body)
    return location?.split('/').at(-1) ?? null
  }
  /** Idempotent: what is not there counts as removed. */
  async delete(path: string, body?: unknown): Promise<void> {
    await this.#call('DELETE', path, body).catch((error: unknown) => {
      if (!(error instanceof RealmFault && error.status === 404)) throw error
    })
  }

  /** The realm's own settings; what is not named stays. Attributes are added to those that are there. */
  async changeRealm({ attributes, ...settings }: Json & { attributes?: Json }): Promise<void> {
    // Keycloak drops every attribute that a request does not repeat, its own among them.
    const all = attributes ? { attributes: { ...((await this.get('')).attributes as Json), ...attributes } } : {}
    await this.put('', { ...settings, ...all })
  }
  async attribute(name: string): Promise<string | null> {
    const realm = await this.get<{ attributes?: Record<string, string> }>('')
    return realm.attributes?.[name] ?? null
  }

  /** By user name or e-mail address, exactly. */
  async findUser(name: string): Promise<RealmUser | null> {
    for (const field of ['username', 'email']) {
      const found = await this.get<RealmUser[]>(`/users?exact=true&${field}=${encodeURIComponent(name)}`)
      if (found[0]) return found[0]
    }
    return null
  }
  user(id: string): Promise<RealmUser> {
    return this.get(`/users/${encodeURIComponent(id)}`)
  }
  async createUser(user: Json): Promise<string> {
    const id = await this.post('/users', user)
    if (id === null) throw new RealmFault('the new user has no id', 201, '')
    return id
  }
  async changeUser(id: string, changes: Json): Promise<void> {
    await this.put(`/users/${encodeURIComponent(id)}`, { ...(await this.user(id)), ...changes })
  }
  /** Must be changed at the next sign-in. */
  setTemporaryPassword(id: string, password: string): Promise<void> {
    return this.put(`/users/${encodeURIComponent(id)}/reset-password`, {
      type: 'password',
      value: password,
      temporary: true,
    })
  }
  async addRealmRoles(id: string, names: readonly string[]): Promise<void> {
    const roles = await Promise.all(names.map((name) => this.get(`/roles/${encodeURIComponent(name)}`)))
    await this.post(`/users/${encodeURIComponent(id)}/role-mappings/realm`, roles)
  }
  async removeRealmRoles(id: string, names: readonly string[]): Promise<void> {
    const roles = await Promise.all(names.map((name) => this.get(`/roles/${encodeURIComponent(name)}`)))
    await this.delete(`/users/${encodeURIComponent(id)}/role-mappings/realm`, roles)
  }
  credentials(id: string): Promise<Credential[]> {
    return this.get(`/users/${encodeURIComponent(id)}/credentials`)
  }
  deleteCredential(id: string, credential: string): Promise<void> {
    return this.delete(`/users/${encodeURIComponent(id)}/credentials/${encodeURIComponent(credential)}`)
  }
  consents(id: string): Promise<Consent[]> {
    return this.get(`/users/${encodeURIComponent(id)}/consents`)
  }
  /** Takes the consent and the offline sessions of one app with it. */
  revokeConsent(id: string, clientId: string): Promise<void> {
    return this.delete(`/users/${encodeURIComponent(id)}/consents/${encodeURIComponent(clientId)}`)
  }
  /** Ends every session of the person; offline sessions stay. */
  async signOut(id: string): Promise<void> {
    await this.post(`/users/${encodeURIComponent(id)}/logout`, {})
  }

  /** The internal id of a client; paths name clients by it. */
  async findClient(clientId: string): Promise<(Json & { id: string; clientId: string }) | null> {
    const found = await this.get<(Json & { id: string; clientId: string })[]>(
      `/clients?clientId=${encodeURIComponent(clientId)}`,
    )
    return found[0] ?? null
  }

  async #call(method: string, path: string, body?: unknown): Promise<{ body: unknown; location: string | null }> {
    const what = `${method} /admin/realms/${REALM}${path.replace(/\?.*/s, '')}`
    const url = `${this.#url}/admin/realms/${REALM}${path}`
    for (let isSecondTry = false; ; isSecondTry = true) {
      const response = await reach(what, url, {
        method,
        headers: {
          authorization: `Bearer ${await this.#accessToken()}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      // The realm's keys or the clock changed under a token that we thought good: once more with a new one.
      if (response.status === 401 && !isSecondTry) {
        this.#token = null
        continue
      }
      const text = await response.text()
      if (!response.ok) throw new RealmFault(what, response.status, readWhy(text))
      return { body: text === '' ? null : JSON.parse(text), location: response.headers.get('location') }
    }
  }

  async #accessToken(): Promise<string> {
    if (this.#token && this.#token.until > Date.now()) return this.#token.value
    const what = `the token of ${this.#clientId}`
    const response = await reach(what, `${this.#url}/realms/${REALM}/protocol/openid-connect/token`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${this.#clientId}:${this.#secret}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: 'grant_type=client_credentials',
    })
    const text = await response.text()
    if (!response.ok) throw new RealmFault(what, response.status, readWhy(text))
    const { access_token, expires_in } = JSON.parse(text) as { access_token: string; expires_in: number }
    this.#token = { value: access_token, until: Date.now() + expires_in * 1000 - SPARE_MS }
    return access_token
  }
}

type RealmDoor = { url: string; secret: string; clientId?: string }

async function reach(what: string, url: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...request, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (error) {
    throw new RealmFault(
      what,
      0,
      error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : '',
    )
  }
}

/** Keycloak names the reason in one of these; never the request's own content. */
function readWhy(text: string): string {
  try {
    const { error, error_description, errorMessage } = JSON.parse(text) as Record<string, unknown>
    return [error, errorMessage, error_description].filter((part) => typeof part === 'string').join(': ')
  } catch {
    return ''
  }
}

/** Until Keycloak answers for the realm, which right after its start may take seconds. */
export async function waitForRealm(admin: RealmAdmin, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs
  for (;;) {
    try {
      await admin.get('')
      return
    } catch (error) {
      if (!isUnreachable(error) || Date.now() > deadline) throw error
      await pause(250)
    }
  }
}
