// An identity provider in this process: real keys, a real key set and real lists of events over HTTP, as Keycloak has them, and
// a way to fail of each kind. Tokens are signed with whatever claims and header a test wants.
import { randomUUID } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { CompactSign, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose'
import type { Clock } from '@bailiwick/kernel/clock'

export type Issuer = Awaited<ReturnType<typeof startIssuer>>
type Row = { id: string; time: number; [field: string]: unknown }

export const AUDIENCE = 'https://mcp.example.test/mcp'
const CLIENT_SECRET = 'the-secret-of-policy-at-the-issuer'
const REALM = '/realms/bailiwick'

export async function startIssuer(clock: Clock) {
  const events: Record<'events' | 'admin-events', Row[]> = { events: [], 'admin-events': [] }
  const published = new Map<string, JWK>()
  const pairs = new Map<string, CryptoKey>()
  const counts = { certs: 0, tokens: 0, polls: 0, strange: 0 }
  const state = { isDown: false, takesBackTokens: false, kid: '' }
  // Each stands by itself: a new one takes back none of the others.
  const granted = new Set<string>()

  const addKey = async (): Promise<string> => {
    const kid = randomUUID().replaceAll('-', '')
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    published.set(kid, { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' })
    pairs.set(kid, privateKey)
    state.kid = kid
    return kid
  }
  await addKey()
  // As in Keycloak's set: a key for encryption stands beside those for signing.
  published.set('rsa', { kty: 'RSA', n: 'AQAB', e: 'AQAB', alg: 'RSA-OAEP', use: 'enc', kid: 'rsa' })

  const answer = (request: http.IncomingMessage): unknown => {
    const url = new URL(request.url!, 'http://issuer')
    if (url.pathname === `${REALM}/protocol/openid-connect/certs`) {
      counts.certs += 1
      return { keys: [...published.values()] }
    }
    if (url.pathname === `${REALM}/protocol/openid-connect/token`) {
      counts.tokens += 1
      const token = randomUUID()
      granted.add(`Bearer ${token}`)
      return { access_token: token, expires_in: 300 }
    }
    const list = url.pathname.replace(`/admin${REALM}/`, '')
    if (list !== 'events' && list !== 'admin-events') {
      counts.strange += 1
      return null
    }
    if (state.takesBackTokens) granted.clear()
    state.takesBackTokens = false
    if (!granted.has(request.headers.authorization ?? '')) return 401
    counts.polls += 1
    const [from, first, max] = ['dateFrom', 'first', 'max'].map((name) => Number(url.searchParams.get(name)))
    return events[list]
      .filter(({ time }) => time >= from!)
      .sort((a, b) => a.time - b.time)
      .slice(first, first! + max!)
  }
  const server = http.createServer((request, response) => {
    request.resume()
    const body = state.isDown ? 503 : (answer(request) ?? 404)
    if (typeof body === 'number') response.writeHead(body).end()
    else response.end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  // What tokens say is the public address, which is not the one where policy fetches keys.
  const issuer = `https://id.example.test${REALM}`

  const claims = (more: Record<string, unknown> = {}): Record<string, unknown> => {
    const iat = Math.floor(clock.now() / 1000)
    return {
      iss: issuer,
      aud: AUDIENCE,
      typ: 'Bearer',
      sub: randomUUID(),
      azp: 'agent',
      sid: randomUUID(),
      scope: 'profile:read databases:read databases:write',
      iat,
      exp: iat + 300,
      jti: randomUUID(),
      ...more,
    }
  }
  const sign = (
    payload: Record<string, unknown>,
    header: Record<string, unknown> = {},
    key: CryptoKey | Uint8Array = pairs.get(state.kid)!,
  ): Promise<string> =>
    new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: state.kid, ...header })
      .sign(key, { crit: { 'urn:x': true } })

  return {
    url,
    issuer,
    config: { issuer, audience: AUDIENCE, url, clientSecret: CLIENT_SECRET },
    state,
    counts,
    events,
    published,
    privateKey: (kid: string) => pairs.get(kid)!,
    addKey,
    claims,
    sign,
    /** A good token, but for what is changed. */
    token: (more: Record<string, unknown> = {}) => sign(claims(more)),
    happens: (event: Record<string, unknown>): string => {
      const row = { id: randomUUID(), time: clock.now(), ...event }
      events.events.push(row)
      return row.id
    },
    administers: (event: Record<string, unknown>): string => {
      const row = { id: randomUUID(), time: clock.now(), ...event }
      events['admin-events'].push(row)
      return row.id
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
