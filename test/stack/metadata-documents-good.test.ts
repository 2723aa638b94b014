// An agent that is known by the address of its document, the whole way: a Keycloak of this test's own fetches the document through
// the egress proxy, whose names and far side are the test's. What may not be fetched: metadata-documents.test.ts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { silentLogger, type Fields } from '@bailiwick/kernel/logger'
import { runToEnd } from '@bailiwick/kernel/postgres-cluster'
import { startProxy, type Proxy } from '../../services/egress/src/proxy.ts'
import { invite } from './keycloak.ts'
import { askToken, CALLBACK, claimsOf, newProof, peek, redeem, refresh, signInUrl, type Json } from './oauth.ts'
import { startKeycloak, type OwnKeycloak } from './own-keycloak.ts'
import type { Person } from './person.ts'

/** "Public" here: judged like any other address; the dialler leads it to the server below. */
const PUBLIC = '93.184.216.34'
const INNER = '127.66.6.7'
const HOST = 'agent.apps.example.com'
const SCOPE = 'dns:read dns:write dns:delete'

const folder = mkdtempSync(`${tmpdir()}/bailiwick-documents-`)
const lines: ({ event: string } & Fields)[] = []
const dialled: string[] = []
const served: string[] = []
/** What a name is resolved to, each time it is asked for. */
const answers: Record<string, (times: number) => readonly string[]> = {}
const askedFor: Record<string, number> = {}
/** What is at a path, instead of an ordinary document. */
const pages: Record<string, { status?: number; headers?: Record<string, string>; body: string }> = {}

let proxy: Proxy
let web: https.Server
let keycloak: OwnKeycloak
let world: { issuer: string }
let person: Person

const addressOf = (path: string, host = HOST): string => `https://${host}${path}`
const documentOf = (path: string, members: Json = {}): string =>
  JSON.stringify({
    client_id: addressOf(path),
    client_name: 'Agent with a document',
    client_uri: `https://${HOST}`,
    redirect_uris: [CALLBACK],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    ...members,
  })

beforeAll(async () => {
  await makeCertificate()
  web = https.createServer(
    { key: readFileSync(`${folder}/server.key`), cert: readFileSync(`${folder}/server.pem`) },
    (request, response) => {
      const path = request.url!
      served.push(`${request.headers.host}${path}`)
      const page = pages[path] ?? { body: documentOf(path) }
      response.writeHead(page.status ?? 200, { 'content-type': 'application/json', ...page.headers }).end(page.body)
    },
  )
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
  const { port } = web.address() as net.AddressInfo
  const take = (event: string, fields: Fields = {}): void => void lines.push({ event, ...fields })
  proxy = await startProxy({
    listen: { host: '127.0.0.1', port: 0 },
    logger: { ...silentLogger, info: take, warn: take, error: take },
    ownAddresses: () => [],
    resolve: async (name) => {
      const times = (askedFor[name] = (askedFor[name] ?? 0) + 1)
      return answers[name]?.(times) ?? [PUBLIC]
    },
    connect: (address, to) => {
      dialled.push(`${address} ${to}`)
      return net.connect(port, '127.0.0.1')
    },
  })
  keycloak = await startKeycloak(proxy.port, `${folder}/ca.pem`)
  world = { issuer: keycloak.issuer }
  ;({ person } = await invite({ admin: keycloak.admin, world }))
}, 240_000)

afterAll(async () => {
  await keycloak?.close()
  await proxy?.close()
  web?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A certificate authority of our own, and a certificate for the names below apps.example.com. */
async function makeCertificate(): Promise<void> {
  const openssl = (...args: string[]): Promise<string> => runToEnd('openssl', args, { PATH: process.env['PATH'] })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const inFolder = (name: string): string => `${folder}/${name}`
  await openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    inFolder('ca.key'),
    '-out',
    inFolder('ca.pem'),
    '-days',
    '2',
    '-subj',
    '/CN=Test CA',
  )
  await openssl('req', ...key, '-keyout', inFolder('server.key'), '-out', inFolder('server.csr'), '-subj', '/CN=apps')
  writeFileSync(inFolder('ext'), 'subjectAltName=DNS:*.apps.example.com')
  await openssl(
    'x509',
    '-req',
    '-in',
    inFolder('server.csr'),
    '-CA',
    inFolder('ca.pem'),
    '-CAkey',
    inFolder('ca.key'),
    '-days',
    '2',
    '-extfile',
    inFolder('ext'),
    '-out',
    inFolder('server.pem'),
  )
  // Keycloak is another user.
  await runToEnd('chmod', ['755', folder], { PATH: process.env['PATH'] })
}

const requestOf = (clientId: string, fields: Readonly<Record<string, string | undefined>> = {}): string =>
  signInUrl(world, { client_id: clientId, scope: SCOPE, code_challenge: newProof().challenge, ...fields })

/** A page that is no sign-in page, sent nowhere, and no client. */
async function expectRefusal(clientId: string): Promise<void> {
  const { status, to, text } = await peek(world, requestOf(clientId))
  expect([status, to]).toEqual([400, null])
  expect(text).not.toMatch(/name="password"/)
  expect(await keycloak.admin.findClient(clientId)).toBeNull()
}

describe('a good document', () => {
  const id = addressOf('/client.json')
  let refreshToken: unknown

  test('makes an agent that the person is asked about, and whose token holds what was ticked', async () => {
    const proof = newProof()
    const url = requestOf(id, { code_challenge: proof.challenge })
    const arrival = await person.visit(url, CALLBACK, { tick: () => ['dns:read'] })
    expect(arrival.pages).toEqual(['password', 'new password', 'set up app', 'recovery codes', 'tick'])
    expect(Object.fromEntries(person.offered.map(({ name, ticked }) => [name, ticked]))).toEqual({
      'dns:read': true,
      'dns:write': false,
      'dns:delete': false,
    })
    // Who it is, as far as anybody knows: the host that the document came from.
    expect(person.page).toContain(HOST)
    const { status, body } = await redeem(world, id, arrival.params['code']!, proof)
    expect(status).toBe(200)
    const claims = claimsOf(body['access_token'])
    expect(claims).toMatchObject({ azp: id, aud: keycloak.issuer.replace('/realms/bailiwick', '/mcp') })
    expect(
      String(claims['scope'])
        .split(' ')
        .filter((scope) => scope.includes(':')),
    ).toEqual(['dns:read'])
    refreshToken = body['refresh_token']
  })

  test('is fetched through the proxy, from the address that was judged, and not again while it is fresh', async () => {
    expect([served, dialled, askedFor[HOST]]).toEqual([[`${HOST}/client.json`], [`${PUBLIC} 443`], 1])
    expect((await person.look(requestOf(id, { scope: 'dns:read' }), CALLBACK)).params).toHaveProperty('code')
    expect((await refresh(world, id, refreshToken)).status).toBe(200)
    expect(served).toHaveLength(1)
  })

  test('makes a client that needs consent and PKCE, and has no secret, service account or full scope', async () => {
    expect(await keycloak.admin.findClient(id)).toMatchObject({
      consentRequired: true,
      fullScopeAllowed: false,
      publicClient: true,
      serviceAccountsEnabled: false,
      directAccessGrantsEnabled: false,
      implicitFlowEnabled: false,
      redirectUris: [CALLBACK],
      attributes: { 'pkce.code.challenge.method': 'S256' },
    })
  })

  test('does not spare it PKCE', async () => {
    const without = requestOf(id, { code_challenge: undefined, code_challenge_method: undefined })
    expect((await person.look(without, CALLBACK)).params).toMatchObject({ error: 'invalid_request' })
    const plain = requestOf(id, { code_challenge: newProof().verifier, code_challenge_method: 'plain' })
    expect((await person.look(plain, CALLBACK)).params).toMatchObject({ error: 'invalid_request' })
  })

  test('sends nobody to an address that it does not name', async () => {
    const { status, to } = await peek(world, requestOf(id, { redirect_uri: 'https://elsewhere.example.com/callback' }))
    expect([status, to]).toEqual([400, null])
  })

  test('gives no token without a person', async () => {
    for (const form of [
      { grant_type: 'client_credentials', scope: 'dns:read' },
      { grant_type: 'password', username: 'x', password: 'y' },
    ]) {
      const { status, body } = await askToken(world, { client_id: id, ...form })
      expect([form.grant_type, status >= 400, body['access_token']]).toEqual([form.grant_type, true, undefined])
    }
  })
})

describe('no client comes of a document that', () => {
  const bad: Readonly<Record<string, Partial<(typeof pages)[string]>>> = {
    '/redirects.json': { status: 302, headers: { location: addressOf('/elsewhere.json') }, body: '' },
    '/somebody-else.json': { body: documentOf('/client.json') },
    '/no-json.json': { body: '<html>' },
    '/too-long.json': { body: documentOf('/too-long.json', { padding: 'x'.repeat(6_000) }) },
    '/endless.json': { body: documentOf('/endless.json', { padding: 'x'.repeat(3_000_000) }) },
    '/not-found.json': { status: 404, body: documentOf('/not-found.json') },
    '/client-credentials.json': {
      body: documentOf('/client-credentials.json', { grant_types: ['client_credentials'] }),
    },
    '/password.json': { body: documentOf('/password.json', { grant_types: ['authorization_code', 'password'] }) },
    '/implicit.json': { body: documentOf('/implicit.json', { grant_types: ['implicit'], response_types: ['token'] }) },
    '/wild.json': { body: documentOf('/wild.json', { redirect_uris: [CALLBACK, 'https://agent.apps.example.com/*'] }) },
    '/script.json': { body: documentOf('/script.json', { redirect_uris: [CALLBACK, 'javascript:alert(1)'] }) },
    '/secret.json': {
      body: documentOf('/secret.json', { token_endpoint_auth_method: 'client_secret_post', client_secret: 'x' }),
    },
  }
  test.each(Object.keys(bad))('%s', async (path) => {
    pages[path] = { body: '', ...bad[path] }
    await expectRefusal(addressOf(path))
    expect(served).toContain(`${HOST}${path}`)
    expect(served).not.toContain(`${HOST}/elsewhere.json`)
  })

  test('comes with a certificate for another name', async () => {
    await expectRefusal('https://agent.other.example.com/client.json')
    expect(served.filter((each) => each.startsWith('agent.other'))).toEqual([])
  })
})

describe('an address that the edge does not pass in the account page’s path, where the agent would be disconnected', () => {
  test.each(['/a+b.json', '/(a).json', '/a,b.json', '/a%20b.json', '/a@b.json', '/client.json?of=a', '/a..b.json'])(
    'makes no client, and nothing is fetched: %s',
    async (path) => {
      await expectRefusal(addressOf(path))
      expect(served).not.toContain(`${HOST}${path}`)
    },
  )
})

describe('a name whose answer changes (rebinding)', () => {
  test('is asked for once for each fetch, and only what was judged is connected to', async () => {
    const host = 'rebinds.apps.example.com'
    answers[host] = (times) => [times === 1 ? PUBLIC : INNER]
    const first = dialled.length
    // Closed behind it: on a connection that stays open Keycloak would not ask for the name again.
    const body = documentOf('/one.json', { client_id: addressOf('/one.json', host) })
    pages['/one.json'] = { headers: { connection: 'close' }, body }
    expect((await peek(world, requestOf(addressOf('/one.json', host)))).status).toBe(200)
    expect([askedFor[host], dialled.slice(first)]).toEqual([1, [`${PUBLIC} 443`]])
    await expectRefusal(addressOf('/two.json', host))
    expect([askedFor[host], dialled.slice(first)]).toEqual([2, [`${PUBLIC} 443`]])
    expect(lines.filter((line) => line['host'] === host).map(({ event, verdict }) => [event, verdict])).toContainEqual([
      'refused',
      'special_address',
    ])
  })
})
