// An agent's side of OAuth: registers itself, builds the sign-in address, redeems codes, refreshes. Says what came back and
// judges nothing.
import { createHash, randomBytes } from 'node:crypto'
import { formBody, send, type Source } from './http.ts'

export type Json = Readonly<Record<string, unknown>>
export type Answer = { status: number; body: Json }
export type World = { issuer: string; ca?: string | Buffer; from?: Source }
type Proof = { verifier: string; challenge: string }

export const CALLBACK = 'http://127.0.0.1:53682/callback'
export const AGENT: Json = {
  client_name: 'Test agent',
  redirect_uris: [CALLBACK],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
}

export function newProof(): Proof {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

/** Of a token that Keycloak issued; verified nowhere. */
export const claimsOf = (token: unknown): Json =>
  JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString('utf8')) as Json
export const headerOf = (token: unknown): Json =>
  JSON.parse(Buffer.from(String(token).split('.')[0] ?? '', 'base64url').toString('utf8')) as Json

const parse = (text: string): Json => {
  try {
    return JSON.parse(text) as Json
  } catch {
    return { text: text.slice(0, 500) }
  }
}
const inWorld = ({ ca, from }: World): object => ({ ...(ca ? { ca } : {}), ...(from ? { from } : {}) })

export async function register(world: World, metadata: Json): Promise<Answer> {
  return sendJson(world, `${world.issuer}/clients-registrations/openid-connect`, 'POST', metadata)
}

export async function sendJson(
  world: World,
  url: string,
  method: string,
  body?: Json,
  token?: string,
): Promise<Answer> {
  const reply = await send(url, {
    method,
    headers: {
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    ...inWorld(world),
  })
  return { status: reply.status, body: parse(reply.text) }
}

/** The address that an agent opens in the person's browser. A field that is `undefined` is left out. */
export function signInUrl(world: World, fields: Readonly<Record<string, string | undefined>>): string {
  const all = { response_type: 'code', redirect_uri: CALLBACK, state: 's', code_challenge_method: 'S256', ...fields }
  const given = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return `${world.issuer}/protocol/openid-connect/auth?${formBody(given)}`
}

/** One request of the sign-in page by nobody in particular: the status, and where it would send the browser. */
export async function peek(world: World, url: string): Promise<{ status: number; to: URL | null; text: string }> {
  const reply = await send(url, { headers: { accept: 'text/html' }, ...inWorld(world) })
  const { location } = reply.headers
  return { status: reply.status, to: location ? new URL(location, url) : null, text: reply.text }
}

/** The code that an authorization request came back with. */
export function codeOf({ params }: { params: Readonly<Record<string, string>> | null }): string {
  const code = params?.['code']
  if (code === undefined) throw new Error(`no code: ${JSON.stringify(params)}`)
  return code
}

type Basic = { id: string; secret: string }
export const askToken = (world: World, fields: Readonly<Record<string, string>>, basic?: Basic): Promise<Answer> =>
  sendForm(world, `${world.issuer}/protocol/openid-connect/token`, fields, basic)

export async function sendForm(
  world: World,
  url: string,
  fields: Readonly<Record<string, string>>,
  basic?: Basic,
): Promise<Answer> {
  const reply = await send(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(basic
        ? {
            authorization: `Basic ${Buffer.from(`${encodeURIComponent(basic.id)}:${encodeURIComponent(basic.secret)}`).toString('base64')}`,
          }
        : {}),
    },
    body: formBody(fields),
    ...inWorld(world),
  })
  return { status: reply.status, body: parse(reply.text) }
}

export const redeem = (
  world: World,
  clientId: string,
  code: string,
  proof: Proof,
  more: Readonly<Record<string, string>> = {},
) =>
  askToken(world, {
    grant_type: 'authorization_code',
    client_id: clientId,
    code,
    redirect_uri: CALLBACK,
    code_verifier: proof.verifier,
    ...more,
  })

export const refresh = (world: World, clientId: string, token: unknown, more: Readonly<Record<string, string>> = {}) =>
  askToken(world, { grant_type: 'refresh_token', client_id: clientId, refresh_token: String(token), ...more })
