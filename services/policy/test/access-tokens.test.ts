// Every way in which an access token can be no good, through the deciding door.
import { createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { assert, asyncProperty, constantFrom, integer } from 'fast-check'
import { exportSPKI, importJWK, type CryptoKey } from 'jose'
import { readClaims } from '../src/identity/verify-access-token.ts'
import { codeOf, openStand, soon, type Stand } from './support/stand.ts'
import { AUDIENCE } from './support/issuer.ts'
import { makeCatalog } from './support/catalog.ts'

let stand: Stand
let sub: string
beforeAll(async () => {
  stand = await openStand(makeCatalog(), { withIssuer: true })
  await stand.ready()
  sub = await stand.member(await stand.account())
  await soon(async () => (await use(await stand.issuer.token({ sub }))) === 'allow', 10_000)
})
afterAll(() => stand.close())

const use = async (token: string): Promise<string> => codeOf(await stand.decide(token, 'list_databases'))
const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url')
const now = (): number => Math.floor(stand.clock.now() / 1000)

test('a good token is let in as the person and the app that it names', async () => {
  const reply = await stand.decide(await stand.issuer.token({ sub }), 'list_databases')
  if (!reply.ok) throw new Error(reply.denial.code)
  expect(reply.permit.permit).toMatchObject({
    principal: `oauth:${sub}:agent`,
    user: sub,
    client: 'agent',
    scopes: ['databases:read', 'databases:write', 'profile:read'],
  })
})

test.each<[string, Record<string, unknown>]>([
  ['for another audience', { aud: 'https://other.example.test/mcp' }],
  ['for an audience that only begins like ours', { aud: `${AUDIENCE}/` }],
  ['for our audience in other letters', { aud: AUDIENCE.toUpperCase() }],
  ['without an audience', { aud: undefined }],
  ['for other audiences', { aud: ['account', 'realm-management'] }],
  ['of another issuer', { iss: 'https://evil.example.test/realms/bailiwick' }],
  ['of another realm', { iss: 'https://id.example.test/realms/master' }],
  ['of an issuer with a slash more', { iss: 'https://id.example.test/realms/bailiwick/' }],
  ['without an issuer', { iss: undefined }],
  ['that is an ID token', { typ: 'ID' }],
  ['that is a refresh token', { typ: 'Refresh' }],
  ['that is an offline token', { typ: 'Offline' }],
  ['that is a logout token', { typ: 'Logout' }],
  ['without a type', { typ: undefined }],
  ['without a subject', { sub: undefined }],
  ['whose subject is no id', { sub: 'alice' }],
  ['without a client', { azp: undefined }],
  ['without a session', { sid: undefined }],
  ['without scopes', { scope: undefined }],
  ['whose scopes are a list', { scope: ['databases:read'] }],
  ['that never ends', { exp: undefined }],
  ['that has no beginning', { iat: undefined }],
  ['whose end is text', { exp: '9999999999' }],
  ['of the console', { azp: 'bailiwick-console' }],
  ['of the account page', { azp: 'account-console' }],
  ['of the operator', { azp: 'bailiwick-operator' }],
  ['of the resource itself', { azp: AUDIENCE }],
  ['of a service account, by its name', { preferred_username: 'service-account-agent' }],
  ['of a service account, by its client', { client_id: 'agent' }],
  ['of a service account, by its address', { clientAddress: '127.0.0.1' }],
])('a token %s is refused', async (_, more) => {
  expect(await use(await stand.issuer.token({ sub, ...more }))).toBe('UNAUTHENTICATED')
})

test('a token is good from its issue to its end, with five seconds for clocks that differ, and for ten minutes at most', async () => {
  const made = async (iat: number, exp: number, nbf?: number): Promise<string> =>
    use(await stand.issuer.token({ sub, iat, exp, ...(nbf === undefined ? {} : { nbf }) }))
  const at = now()
  expect(await made(at - 300, at)).toBe('UNAUTHENTICATED')
  expect(await made(at - 300, at + 1)).toBe('allow')
  expect(await made(at + 5, at + 300)).toBe('allow')
  expect(await made(at + 7, at + 300)).toBe('UNAUTHENTICATED')
  expect(await made(at, at + 300, at + 5)).toBe('allow')
  expect(await made(at, at + 300, at + 7)).toBe('UNAUTHENTICATED')
  expect(await made(at, at + 600)).toBe('allow')
  expect(await made(at, at + 601)).toBe('UNAUTHENTICATED')
})

test('a token ends in time also where it was used before', async () => {
  const token = await stand.issuer.token({ sub })
  expect(await use(token)).toBe('allow')
  stand.clock.advance(300_000)
  expect(await use(token)).toBe('UNAUTHENTICATED')
})

test('a person without an account is told so; a service account that nobody made a member is none', async () => {
  expect(await use(await stand.issuer.token())).toBe('NO_ACCOUNT')
})

describe('the signature', () => {
  const forge = (header: Record<string, unknown>, signature = ''): string =>
    `${encode({ typ: 'JWT', kid: stand.issuer.state.kid, ...header })}.${encode(stand.issuer.claims({ sub }))}.${signature}`

  test('`none` is refused, however it is written', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', ''])
      for (const signature of ['', 'AA', 'A'.repeat(86)])
        expect(await use(forge({ alg }, signature))).toBe('UNAUTHENTICATED')
  })

  test('our public key used as an HMAC secret is refused, in every form that it could take', async () => {
    const jwk = stand.issuer.published.get(stand.issuer.state.kid)!
    const pem = await exportSPKI((await importJWK(jwk, 'ES256')) as CryptoKey)
    for (const alg of ['HS256', 'HS384', 'HS512'])
      for (const secret of [pem, pem.trim(), JSON.stringify(jwk), jwk.x!, Buffer.from(jwk.x!, 'base64url')]) {
        const signed = forge({ alg }).slice(0, -1)
        const mac = createHmac(alg.replace('HS', 'sha'), secret).update(signed).digest('base64url')
        expect(await use(`${signed}.${mac}`)).toBe('UNAUTHENTICATED')
      }
  })

  test('another algorithm is refused even with a good signature', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const signed = forge({ alg: 'RS256' }).slice(0, -1)
    const signature = signBytes('sha256', Buffer.from(signed), privateKey).toString('base64url')
    expect(await use(`${signed}.${signature}`)).toBe('UNAUTHENTICATED')
  })

  test('a key that the token brings, or says where to find, is never used: not even asked for', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = publicKey.export({ format: 'jwk' })
    const brought = [
      { jwk },
      { jku: `${stand.issuer.url}/keys` },
      { x5u: `${stand.issuer.url}/cert` },
      { x5c: ['MII'] },
      { crit: ['exp'] },
      { crit: ['b64'], b64: false },
    ]
    for (const more of brought) {
      const signed = forge({ alg: 'ES256', ...more }).slice(0, -1)
      const signature = signBytes('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' })
      expect(await use(`${signed}.${signature.toString('base64url')}`)).toBe('UNAUTHENTICATED')
      // Refused as a whole, also where the signature is the issuer's own.
      const own = await stand.issuer.sign(stand.issuer.claims({ sub }), more).catch(() => '')
      if (own !== '') expect(await use(own)).toBe('UNAUTHENTICATED')
    }
    expect(stand.issuer.counts.strange).toBe(0)
  })

  test('a key id is a name and nothing else', async () => {
    const { kid } = stand.issuer.state
    const tricks = [
      '../../../dev/null',
      '/dev/null',
      'file:///dev/null',
      `${kid}\u0000`,
      `${kid}' OR '1'='1`,
      '',
      ' ',
      `${kid} `,
    ]
    for (const trick of [...tricks, 'toString', '__proto__', 'constructor', 'x'.repeat(129), 7, null, [kid]])
      expect(await use(await stand.issuer.sign(stand.issuer.claims({ sub }), { kid: trick }))).toBe('UNAUTHENTICATED')
    const { kid: _, ...rest } = { alg: 'ES256', typ: 'JWT', kid }
    expect(await use(`${encode(rest)}.${encode(stand.issuer.claims({ sub }))}.${'A'.repeat(86)}`)).toBe(
      'UNAUTHENTICATED',
    )
  })

  test('a flood of made-up key ids costs the identity provider one question', async () => {
    const before = stand.issuer.counts.certs
    for (let made = 0; made < 50; made += 1)
      expect(await use(await stand.issuer.sign(stand.issuer.claims({ sub }), { kid: `made-up-${made}` }))).toMatch(
        /UNAUTHENTICATED|RATE_LIMITED/,
      )
    expect(stand.issuer.counts.certs - before).toBeLessThanOrEqual(1)
  })
})

test('one changed character anywhere makes a good token worthless', async () => {
  const good = await stand.issuer.token({ sub })
  const [header, payload, signature] = good.split('.') as [string, string, string]
  // Of the signature's last character two bits are unused: another may spell the same bytes, so it is left out.
  const usable = good.length - 1
  await assert(
    asyncProperty(
      integer({ min: 0, max: usable - 1 }),
      constantFrom('A', 'Z', 'a', 'z', '0', '9', '-', '_'),
      async (at, character) => {
        if (good[at] === character || good[at] === '.') return true
        const changed = good.slice(0, at) + character + good.slice(at + 1)
        const { ok } = await stand.deps.accessTokens!.verify(changed, changed)
        return !ok
      },
    ),
    { numRuns: 300 },
  )
  for (const other of [`${payload}.${header}.${signature}`, `${header}.${payload}`, `${good}.`, ` ${good}`, `${good}=`])
    expect((await stand.deps.accessTokens!.verify(other, other)).ok).toBe(false)
})

test('claims are believed in their own types only', () => {
  const good = stand.issuer.claims({ sub })
  const expected = { issuer: stand.issuer.issuer, audience: AUDIENCE }
  expect(readClaims(good, expected, stand.clock.now()).ok).toBe(true)
  const strange: unknown[] = [null, undefined, 0, -1, 1.5, '', true, {}, [], [[]], '\u0000']
  for (const claim of ['iss', 'aud', 'typ', 'sub', 'azp', 'sid', 'scope', 'exp', 'iat'])
    for (const value of strange) {
      // No scopes at all is a token that may call nothing, which is for the scopes' check to say.
      if (claim === 'scope' && typeof value === 'string') continue
      expect([claim, value, readClaims({ ...good, [claim]: value }, expected, stand.clock.now()).ok]).toEqual([
        claim,
        value,
        false,
      ])
    }
  for (const payload of [null, 'text', 7, [good]])
    expect(readClaims(payload, expected, stand.clock.now()).ok).toBe(false)
})
