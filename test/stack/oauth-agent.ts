// An MCP client as the specification has it: finds the authorization server from our 401, registers itself, sends the person
// through an authorization request with PKCE, and keeps its tokens fresh. Every step can be made wrong on purpose.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type http from 'node:http'
import { send, type Source } from './http.ts'
import { AGENT, CALLBACK, sendForm, sendJson, type World } from './oauth.ts'
import type { Stack } from './support.ts'

export type Tokens = {
  readonly access_token: string
  readonly refresh_token?: string
  readonly id_token?: string
  readonly expires_in: number
  readonly scope: string
}
type Registered = { readonly client_id: string; readonly [member: string]: unknown }
export type Answered<T = Record<string, unknown>> = { readonly status: number; readonly body: T }
type Metadata = {
  readonly issuer: string
  readonly authorization_endpoint: string
  readonly token_endpoint: string
  readonly registration_endpoint: string
  readonly revocation_endpoint: string
  readonly jwks_uri: string
  readonly scopes_supported: readonly string[]
}

export class OAuthAgent {
  readonly resource: string
  readonly world: World
  metadata: Metadata | undefined
  clientId = ''
  private readonly origin: string

  /** `from`: one of 127.0.0.0/8, so that one test's registrations do not use up another's limit. */
  constructor(stack: Stack, from?: Source) {
    this.origin = stack.origin
    this.resource = `${stack.origin}/mcp`
    this.world = worldOf(stack, from)
  }

  /** From a refused call to the authorization server's metadata, following nothing but what the answers say. */
  async discover(): Promise<Metadata> {
    const refused = await this.mcp(null, 'tools/list', {})
    const challenge = String(refused.headers['www-authenticate'])
    const metadataUrl = /resource_metadata="([^"]+)"/.exec(challenge)?.[1]
    if (refused.status !== 401 || !metadataUrl) throw new Error(`no challenge: ${refused.status} ${challenge}`)
    const { body: resource } = await this.get<{ resource: string; authorization_servers: string[] }>(metadataUrl)
    if (resource.resource !== this.resource) throw new Error(`the metadata is of ${resource.resource}`)
    const issuer = new URL(resource.authorization_servers[0]!)
    // RFC 8414 §3.1: the well-known part goes between host and path.
    const { status, body } = await this.get<Metadata>(
      `${issuer.origin}/.well-known/oauth-authorization-server${issuer.pathname}`,
    )
    if (status !== 200 || body.issuer !== issuer.href) throw new Error(`no metadata of ${issuer.href}: ${status}`)
    this.metadata = body
    return body
  }

  async register(members: Readonly<Record<string, unknown>> = {}): Promise<Answered<Registered>> {
    const { registration_endpoint: url } = this.metadata ?? (await this.discover())
    const answer = (await sendJson(this.world, url, 'POST', { ...AGENT, ...members })) as Answered<Registered>
    if (answer.status === 201) this.clientId = answer.body.client_id
    return answer
  }

  /** `changes` replaces parameters; an empty value leaves one out. */
  authorizationUrl(scope: string, challenge: string, changes: Readonly<Record<string, string>> = {}): string {
    const url = new URL(this.metadata!.authorization_endpoint)
    const parameters = {
      client_id: this.clientId,
      redirect_uri: CALLBACK,
      response_type: 'code',
      scope,
      state: randomBytes(8).toString('hex'),
      code_challenge: challenge,
      code_challenge_method: 'S256',
      resource: this.resource,
      ...changes,
    }
    for (const [name, value] of Object.entries(parameters)) if (value !== '') url.searchParams.set(name, value)
    return url.href
  }

  exchange(code: string, verifier: string, changes: Readonly<Record<string, string>> = {}): Promise<Answered<Tokens>> {
    return this.token({
      grant_type: 'authorization_code',
      code,
      redirect_uri: CALLBACK,
      code_verifier: verifier,
      resource: this.resource,
      ...changes,
    })
  }

  refresh(refreshToken: string, changes: Readonly<Record<string, string>> = {}): Promise<Answered<Tokens>> {
    return this.token({ grant_type: 'refresh_token', refresh_token: refreshToken, resource: this.resource, ...changes })
  }

  async token(form: Readonly<Record<string, string>>): Promise<Answered<Tokens>> {
    const filled = Object.entries({ client_id: this.clientId, ...form }).filter(([, value]) => value !== '')
    const answer = await sendForm(this.world, this.metadata!.token_endpoint, Object.fromEntries(filled))
    return answer as Answered<unknown> as Answered<Tokens>
  }

  /** One JSON-RPC request in the revision of 2025-11-25. */
  mcp(token: string | null, method: string, params: unknown) {
    return this.post<{ result?: Record<string, unknown>; error?: Record<string, unknown> }>(
      '/mcp',
      { jsonrpc: '2.0', id: 1, method, params },
      {
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-11-25',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
    )
  }

  /** One call through the REST door. */
  call(token: string, tool: string, input: unknown = {}) {
    return this.post(`/api/v1/tools/${tool}`, input, { authorization: `Bearer ${token}` })
  }

  async post<T = Record<string, unknown>>(
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answered<T> & { headers: http.IncomingHttpHeaders }> {
    const reply = await send(`${this.origin}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      ...this.world,
    })
    return { status: reply.status, headers: reply.headers, body: JSON.parse(reply.text) as T }
  }

  private async get<T>(url: string): Promise<Answered<T>> {
    const { status, text } = await send(url, this.world)
    return { status, body: JSON.parse(text) as T }
  }
}

export const worldOf = (stack: Stack, from?: Source): World => ({
  issuer: `${stack.origin}/realms/bailiwick`,
  ca: readFileSync(stack.caFile),
  ...(from === undefined ? {} : { from }),
})
