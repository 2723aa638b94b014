// The real nginx with the real template and a certificate of the test's own, as a numeric user, before a gateway and a Keycloak
// that record.
import { spawn, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import tls from 'node:tls'
import { runToEnd } from '@bailiwick/kernel/postgres-cluster'
import { TOKEN } from './gateway.ts'

type Backend = 'gateway' | 'keycloak'
type Seen = { backend: Backend; method: string; url: string; headers: http.IncomingHttpHeaders; body: string }

const folder = mkdtempSync(`${tmpdir()}/bailiwick-edge-`)
const user = process.getuid!() === 0 ? 61_901 : null
const seen: Seen[] = []
let upstreams: http.Server[]
let nginx: ChildProcess
let ports: { https: number; http: number; gateway: number; keycloak: number }
let ca: string
let answer: (response: http.ServerResponse) => void

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })

async function startNginx(state: string, edit: (text: string) => string = (text) => text): Promise<ChildProcess> {
  mkdirSync(state)
  const template = readFileSync(new URL('../../../nginx/nginx.conf.template', import.meta.url), 'utf8')
  const values: Record<string, string | number> = {
    STATE: state,
    TLS: `${folder}/tls`,
    ADDRESS: '127.0.0.1',
    HTTPS_PORT: ports.https,
    HTTP_PORT: ports.http,
    GATEWAY: `127.0.0.1:${ports.gateway}`,
    KEYCLOAK: `127.0.0.1:${ports.keycloak}`,
    PUBLIC_URL: `https://localhost:${ports.https}`,
  }
  writeFileSync(
    `${state}/nginx.conf`,
    edit(template.replaceAll(/@([A-Z_]+)@/g, (_, name: string) => String(values[name]))),
  )
  if (user)
    for (const path of [folder, `${folder}/tls`, `${folder}/tls/server.key`, `${folder}/tls/server.pem`, state])
      chownSync(path, user, user)
  const identity = user ? [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'] : []
  const child = spawn(
    'setpriv',
    [
      ...identity,
      '--pdeathsig=KILL',
      '/usr/sbin/nginx',
      '-p',
      state,
      '-c',
      `${state}/nginx.conf`,
      '-e',
      'stderr',
      '-g',
      'daemon off;',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  for (const deadline = Date.now() + 10_000; ;) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`nginx did not start: ${errors}`)
    if (existsSync(`${state}/nginx.pid`) && (await isOpen(ports.https))) return child
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    socket.end()
  })

async function stop(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await gone
}

async function record(backend: Backend): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      seen.push({ backend, method: request.method!, url: request.url!, headers: request.headers, body })
      answer(response)
    })
  })
  server.keepAliveTimeout = 75_000
  await new Promise<void>((resolve) => server.listen(ports[backend], '127.0.0.1', resolve))
  return server
}

beforeAll(async () => {
  mkdirSync(`${folder}/tls`)
  const self = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
  ]
  const files = [
    '-addext',
    'subjectAltName=DNS:localhost',
    '-keyout',
    `${folder}/tls/server.key`,
    '-out',
    `${folder}/tls/server.pem`,
  ]
  await runToEnd('openssl', [...self, ...files], { PATH: process.env['PATH'] })
  ca = readFileSync(`${folder}/tls/server.pem`, 'utf8')
  ports = { https: await freePort(), http: await freePort(), gateway: await freePort(), keycloak: await freePort() }
  upstreams = await Promise.all((['gateway', 'keycloak'] as const).map(record))
  nginx = await startNginx(`${folder}/state`)
})
beforeEach(() => {
  seen.length = 0
  answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
})
afterAll(async () => {
  await stop(nginx)
  for (const upstream of upstreams) {
    upstream.close()
    upstream.closeAllConnections()
  }
  rmSync(folder, { recursive: true, force: true })
})

type Reply = { status: number; headers: http.IncomingHttpHeaders; body: string }

const send = (path: string, options: https.RequestOptions & { body?: string } = {}): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const { body, ...rest } = options
    const request = https.request(
      { host: 'localhost', port: ports.https, path, ca, agent: false, ...rest },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString()))
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: text }))
      },
    )
    request.on('error', reject)
    request.end(body)
  })

/** Bytes as they are, over TLS; resolves with what came back until the edge hangs up. */
const sendRaw = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let received = ''
    const socket = tls.connect({ host: 'localhost', port: ports.https, ca, servername: 'localhost' }, () =>
      socket.write(text),
    )
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
  })

const HSTS = 'max-age=31536000; includeSubDomains'

test('TLS 1.3 is spoken, TLS 1.2 is refused', async () => {
  expect((await send('/mcp', { method: 'POST', minVersion: 'TLSv1.3' })).status).toBe(200)
  await expect(send('/mcp', { maxVersion: 'TLSv1.2' })).rejects.toThrow(/alert|protocol/i)
})

test('the HTTP port answers 301 to the public URL, whatever the Host header says, and passes nothing on', async () => {
  const { status, location } = await new Promise<{ status: number; location: string }>((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port: ports.http, path: '/mcp?a=1', headers: { host: 'evil.example' } }, (response) => {
        response.resume()
        resolve({ status: response.statusCode!, location: response.headers.location! })
      })
      .on('error', reject)
  })
  expect([status, location]).toEqual([301, `https://localhost:${ports.https}/mcp?a=1`])
  expect(seen).toHaveLength(0)
})

test('HSTS for a year with subdomains is on every answer, once, also on errors', async () => {
  answer = (response) => response.writeHead(401, { 'strict-transport-security': 'max-age=0' }).end('{}')
  for (const path of ['/mcp', '/nothing']) expect((await send(path)).headers['strict-transport-security']).toBe(HSTS)
})

test('internal and forged headers end at the edge; what an agent may say passes', async () => {
  await send('/mcp', {
    method: 'POST',
    body: '{"a":1}',
    headers: {
      authorization: `Bearer ${TOKEN}`,
      'content-type': 'application/json',
      accept: 'application/json',
      origin: 'https://localhost',
      'user-agent': 'agent/1',
      'idempotency-key': 'k',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'whoami',
      'content-encoding': 'gzip',
      'x-bailiwick-caller': 'gateway',
      'x-bailiwick-key': 'stolen',
      'X-Bailiwick-Params': 'x',
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      'x-real-ip': '6.6.6.6',
      forwarded: 'for=6.6.6.6',
      x_forwarded_for: '6.6.6.6',
      cookie: 'a=b',
      'x-http-method-override': 'DELETE',
    },
  })
  expect(seen[0]!.headers).toEqual({
    host: `localhost:${ports.https}`,
    authorization: `Bearer ${TOKEN}`,
    'content-type': 'application/json',
    'content-length': '7',
    'content-encoding': 'gzip',
    accept: 'application/json',
    origin: 'https://localhost',
    'user-agent': 'agent/1',
    'idempotency-key': 'k',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 'whoami',
    'x-forwarded-for': '127.0.0.1',
  })
  expect(seen[0]!.body).toBe('{"a":1}')
})

test.each([
  '/mcp',
  '/mcp?x=1',
  '/api/v1/tools',
  '/api/v1/tools/create_database',
  '/api/v1/openapi.json',
  '/.well-known/mcp.json',
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-protected-resource/mcp',
  '/.well-known/ai-catalog.json',
  '/.well-known/security.txt',
  '/mcp/server-card',
])('%s passes to the gateway, byte for byte', async (path) => {
  expect((await send(path)).status).toBe(200)
  expect(seen).toMatchObject([{ backend: 'gateway', url: path }])
})

const REALM = '/realms/bailiwick'
const OIDC = `${REALM}/protocol/openid-connect`
/** A registration is counted strictly, so each of the paths below comes from an address of its own. */
let visitor = 20
const REGISTRATION = `${REALM}/clients-registrations/openid-connect`
test.each([
  '/.well-known/oauth-authorization-server/realms/bailiwick',
  `${REALM}/.well-known/openid-configuration`,
  `${OIDC}/auth?client_id=a&scope=dns%3Aread%20dns%3Awrite&redirect_uri=https%3A%2F%2Fa.example%2Fcb`,
  `${OIDC}/token`,
  `${OIDC}/revoke`,
  `${OIDC}/certs`,
  `${OIDC}/logout`,
  `${OIDC}/logout/logout-confirm?session_code=a`,
  `${OIDC}/userinfo`,
  `${OIDC}/3p-cookies/step1.html`,
  `${OIDC}/login-status-iframe.html`,
  `${OIDC}/login-status-iframe.html/init?client_id=account-console&origin=https%3A%2F%2Flocalhost`,
  `${REALM}/login-actions/authenticate?session_code=a&execution=b`,
  `${REALM}/login-actions/required-action?execution=CONFIGURE_TOTP`,
  `${REALM}/account`,
  `${REALM}/account/`,
  `${REALM}/account/?userProfileMetadata=true`,
  `${REALM}/account/account-security/signing-in`,
  `${REALM}/account/sessions/devices`,
  `${REALM}/account/applications/0aa3b3e8-6a28-4a4c-8c0f-0a0b34a5c2de/consent`,
  `${REALM}/account/applications/https%3A%2F%2Fagent.example%3A8443%2Fclient.json/consent`,
  '/resources/aq6el/login/bailiwick/css/bailiwick.css',
  '/resources/aq6el/common/keycloak/vendor/@patternfly/react-core/a.min.js?v=1',
])('%s passes to Keycloak, byte for byte', async (path) => {
  expect((await send(path, { localAddress: `127.0.0.${(visitor += 1)}` })).status).toBe(200)
  expect(seen).toMatchObject([{ backend: 'keycloak', url: path }])
})

const CLIENT = `${REGISTRATION}/0aa3b3e8-6a28-4a4c-8c0f-0a0b34a5c2de`

test('a client registers, and a browser may ask before; what is registered nobody reads, changes or deletes', async () => {
  for (const method of ['POST', 'OPTIONS']) {
    expect((await send(REGISTRATION, { method, localAddress: '127.0.0.10' })).status).toBe(200)
    expect(seen.pop()).toMatchObject({ backend: 'keycloak', method, url: REGISTRATION })
  }
  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE']) {
    const onAll = await send(`${REGISTRATION}?x=1`, { method, localAddress: '127.0.0.10' })
    expect([method, onAll.status]).toEqual([method, 405])
  }
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const reply = await send(CLIENT, { method, localAddress: '127.0.0.10' })
    expect([method, reply.status, reply.headers['content-type']]).toEqual([method, 404, 'application/problem+json'])
  }
  expect(seen).toHaveLength(0)
})

test('a logout is a page that a person opens: posting a token there does not pass', async () => {
  for (const method of ['POST', 'PUT', 'HEAD', 'OPTIONS']) {
    const { status } = await send(`${OIDC}/logout?x=1`, { method, body: method === 'POST' ? 'refresh_token=a' : '' })
    expect([method, status]).toEqual([method, 405])
  }
  expect(seen).toHaveLength(0)
  expect((await send(`${OIDC}/logout/logout-confirm`, { method: 'POST', body: 'a=1' })).status).toBe(200)
})

test('OpenID’s document is found where RFC 8414 would have it, too', async () => {
  expect((await send('/.well-known/openid-configuration/realms/bailiwick')).status).toBe(200)
  expect(seen).toMatchObject([{ backend: 'keycloak', url: `${REALM}/.well-known/openid-configuration` }])
})

test.each([
  '/',
  '/health',
  '/-/503',
  '/mcp/',
  '//mcp',
  '/MCP',
  '/mcp/../api/v1/tools',
  '/mcp/..;/health',
  '/mcp/%2e%2e/health',
  '/%6dcp',
  '/mcp%2f..%2fhealth',
  '/mcp%00',
  '/mcp;x=1',
  '/./mcp',
  '/api/v1//tools',
  '/api/v1/tools/../../../health',
  '/api/v1/tools/a%2fb',
  '/api/v1/tools/whoami/',
  '/api/v1/tools/%77hoami',
  '/.well-known/../health',
  '/.well-known/mcp',
  '/mcp/server-card/',
  '/.git/config',
  '/nginx.conf',
  '/-/identity',
  '/admin',
  '/admin/',
  '/admin/master/console/',
  '/admin/realms/bailiwick/users',
  '/realms',
  '/realms/',
  '/realms/master',
  '/realms/master/protocol/openid-connect/token',
  '/realms/master/account',
  '/realms/bailiwick',
  '/realms/bailiwick/',
  '/realms/Bailiwick/account',
  '/realms/bailiwick2/account',
  '/metrics',
  '/health/ready',
  '/q/health',
  '/welcome',
  '/js/keycloak.js',
  `${REALM}/../master`,
  `${REALM}/../master/protocol/openid-connect/token`,
  `${REALM}/account/../../master`,
  `${REALM}/account/../../../admin`,
  `${REALM}/account/..`,
  `${REALM}/account/..;/x`,
  `${REALM}/account/.%2e/x`,
  `${REALM}/account/%2e%2e/%2e%2e/master`,
  `${REALM}/account/%252e%252e/x`,
  `${REALM}/account/..%2f..%2fmaster`,
  `${REALM}/account/a%2fb`,
  `${REALM}/account//x`,
  `${REALM}/account/x;y=z`,
  `${REALM}/account\\..\\master`,
  `${REALM}/accounts`,
  `${REALM}/account/applications/https%3A%2F%2Fa.example%2F..%2F..%2F..%2F..%2Fmaster/consent`,
  `${REALM}/account/applications/https%3A%2F%2Fa.example%2F%2e%2e%2Fx/consent`,
  `${REALM}/account/applications/https%3A%2F%2Fa.example/../consent`,
  `/${REALM}/account`,
  `${REALM}//account`,
  `${REALM}/./account`,
  `/realms/%62ailiwick/account`,
  `/realms/bailiwick;x=1/account`,
  '/realms/master/../bailiwick/account',
  OIDC,
  `${OIDC}/token/`,
  `${OIDC}/token;x`,
  `${OIDC}/token/introspect`,
  `${OIDC}/token%00`,
  `${OIDC}/../../../master/protocol/openid-connect/token`,
  `${OIDC}/registrations`,
  `${OIDC}/ext/par/request`,
  `${OIDC}/auth/device`,
  `${REALM}/protocol/saml`,
  `${REALM}/broker/x/login`,
  `${REALM}/login-actions/reset-credentials`,
  `${REALM}/login-actions/registration`,
  `${REALM}/login-actions/authenticate/x`,
  `${REALM}/clients-registrations/default`,
  `${REALM}/clients-registrations/install/x`,
  `${REGISTRATION}/`,
  `${REGISTRATION}/0aa3b3e8-6a28-4a4c-8c0f-0a0b34a5c2de`,
  `${REGISTRATION}/a/b`,
  `${REGISTRATION}/../default`,
  '/resources',
  '/resources/',
  '/resources/../admin',
  '/resources/x/%2e%2e/%2e%2e/admin',
  '/resources/x/..%5cadmin',
  '/resources//x',
  '/resources/.x',
  '/resources/aq6el/account/keycloak.v3/assets/main.js.map',
  '/.well-known/openid-configuration',
  '/.well-known/openid-configuration/realms/master',
  '/.well-known/oauth-authorization-server/realms/bailiwick/../master',
  '/.well-known/oauth-authorization-server',
])('%s does not pass and is a problem', async (path) => {
  const reply = await sendRaw(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  expect(reply).toMatch(/^HTTP\/1.1 40[04] /)
  expect(reply).toContain('application/problem+json')
  expect(reply).not.toMatch(/<html|nginx\//)
  expect(seen).toHaveLength(0)
})

test('an absolute URL in the request line leads no further than its path', async () => {
  const reply = await sendRaw('GET https://10.0.0.1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  expect(reply).toMatch(/^HTTP\/1.1 404 /)
  expect(await sendRaw('CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).toMatch(
    /^HTTP\/1.1 40[05] /,
  )
  expect(await sendRaw('TRACE /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).toMatch(
    /^HTTP\/1.1 405 /,
  )
  expect(seen).toHaveLength(0)
})

const HIDDEN = 'POST /health HTTP/1.1\r\nHost: localhost\r\n\r\n'
test.each([
  ['two lengths', `Content-Length: 0\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`],
  ['a length beside chunks', `Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`],
  ['chunks in disguise', `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${HIDDEN}`],
  ['chunks twice', `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${HIDDEN}`],
  ['a chunk size that is none', `Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n${HIDDEN}`],
  ['a space before the colon', `Content-Length : 5\r\n\r\nhello${HIDDEN}`],
  ['a negative length', `Content-Length: -1\r\n\r\n${HIDDEN}`],
  ['a folded header', `X: a\r\n Content-Length: 5\r\n\r\n${HIDDEN}`],
])('a request hidden behind %s does not reach the gateway', async (_, rest) => {
  await sendRaw(`POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${rest}`)
  expect(seen.filter(({ url }) => url !== '/mcp')).toEqual([])
  expect(seen.filter(({ body }) => body.includes('/health'))).toEqual([])
})

test('chunks arrive as one body with a length', async () => {
  await sendRaw(
    'POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
  )
  expect(seen).toMatchObject([{ body: 'abcde', headers: { 'content-length': '5' } }])
  expect(seen[0]!.headers['transfer-encoding']).toBeUndefined()
})

test('an oversize body is 413, oversize headers are 400, an overlong address 414: as problems', async () => {
  const large = await send('/mcp', { method: 'POST', body: 'x'.repeat(1024 * 1024 + 1) })
  expect([large.status, large.headers['content-type']]).toEqual([413, 'application/problem+json'])
  expect(JSON.parse(large.body)).toMatchObject({ code: 'PARSE_ERROR', status: 413 })
  const headers = await send('/mcp', { headers: { x: 'y'.repeat(17_000) } })
  expect([headers.status, JSON.parse(headers.body).code]).toEqual([400, 'PARSE_ERROR'])
  const address = await send(`/mcp?${'x'.repeat(17_000)}`)
  expect([address.status, JSON.parse(address.body).code]).toEqual([414, 'PARSE_ERROR'])
  expect(seen).toHaveLength(0)
  expect((await send('/mcp', { method: 'POST', body: 'x'.repeat(1024 * 1024) })).status).toBe(200)
})

test('HTTP on the HTTPS port is refused', async () => {
  const reply = await new Promise<string>((resolve) => {
    let text = ''
    const socket = net.connect(ports.https, '127.0.0.1', () =>
      socket.write('GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    )
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.on('close', () => resolve(text))
  })
  expect(reply).toMatch(/^HTTP\/1.1 400 /)
  expect(reply).toContain('PARSE_ERROR')
})

test('a stream is passed on as it comes', async () => {
  const second = Promise.withResolvers<void>()
  answer = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    void second.promise.then(() => response.end('data: 2\n\n'))
  }
  const text = await new Promise<string>((resolve, reject) => {
    let all = ''
    https
      .get({ host: 'localhost', port: ports.https, path: '/mcp', ca, agent: false }, (response) => {
        response.on('data', (chunk: Buffer) => {
          all += chunk.toString()
          // Only after the first event came through does the second one leave.
          second.resolve()
        })
        response.on('end', () => resolve(all))
      })
      .on('error', reject)
  })
  expect(text).toBe('data: 1\n\ndata: 2\n\n')
})

test('the gateway’s own refusals pass as they are', async () => {
  answer = (response) =>
    response
      .writeHead(503, { 'retry-after': '7', 'content-type': 'application/problem+json' })
      .end('{"code":"AUDIT_UNAVAILABLE"}')
  const reply = await send('/mcp', { method: 'POST' })
  expect([reply.status, reply.headers['retry-after'], reply.body]).toEqual([503, '7', '{"code":"AUDIT_UNAVAILABLE"}'])
})

test('a gateway that hangs up is 503 with Retry-After, and the call was sent once', async () => {
  answer = (response) => response.destroy()
  const reply = await send('/mcp', { method: 'POST', body: '{}' })
  expect([reply.status, reply.headers['retry-after']]).toEqual([503, '5'])
  expect(JSON.parse(reply.body)).toMatchObject({ code: 'BACKEND_UNAVAILABLE', status: 503 })
  expect(seen).toHaveLength(1)
})

test('Keycloak hears what it needs from a browser and an agent, and from the edge who they are', async () => {
  const cookie = `KC_RESTART=${'r'.repeat(9_000)}; AUTH_SESSION_ID=a`
  const browser = {
    authorization: 'Basic YTpi',
    'content-type': 'application/x-www-form-urlencoded',
    accept: 'text/html',
    'accept-language': 'en',
    cookie,
    origin: 'https://localhost',
    'user-agent': 'browser/1',
    'if-none-match': '"a"',
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization',
  }
  await send(`${REALM}/login-actions/authenticate`, {
    method: 'POST',
    body: 'a=1',
    localAddress: '127.0.0.9',
    servername: 'localhost',
    headers: {
      ...browser,
      host: 'evil.example',
      referer: 'https://localhost/?code=c',
      dpop: 'x',
      'x-bailiwick-caller': 'gateway',
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-port': '1',
      'x-forwarded-proto': 'http',
      'x-forwarded-prefix': '/x',
      forwarded: 'for=6.6.6.6',
      'x-http-method-override': 'DELETE',
    },
  })
  expect(seen[0]!.headers).toEqual({
    ...browser,
    'content-length': '3',
    host: `localhost:${ports.https}`,
    'x-forwarded-for': '127.0.0.9',
    'x-forwarded-host': `localhost:${ports.https}`,
    'x-forwarded-port': String(ports.https),
    'x-forwarded-proto': 'https',
  })
})

test('Keycloak’s answers keep their cookies, their caching and their redirects; HSTS is the edge’s', async () => {
  const own = {
    'cache-control': 'max-age=2592000',
    etag: '"a"',
    'set-cookie': [`A=${'a'.repeat(12_000)}; Secure`, 'B=b'],
    location: 'https://localhost/x',
  }
  answer = (response) => response.writeHead(302, { ...own, 'strict-transport-security': 'max-age=0' }).end()
  expect((await send('/resources/aq6el/login/a.css')).headers).toMatchObject({
    ...own,
    'strict-transport-security': HSTS,
  })
})

/** How many of `count` requests, sent from one address over six connections, as a browser does, were let through. */
async function letThrough(count: number, address: string, path: string, method: string): Promise<number> {
  const replies: Reply[] = []
  let left = count
  const lane = async (): Promise<void> => {
    while (left-- > 0) replies.push(await send(path, { method, localAddress: address, body: '' }))
  }
  await Promise.all(Array.from({ length: 6 }, lane))
  for (const { status, headers, body } of replies.filter((each) => each.status !== 200)) {
    expect([status, headers['retry-after'], headers['strict-transport-security']]).toEqual([429, '1', HSTS])
    expect(JSON.parse(body)).toMatchObject({ code: 'RATE_LIMITED' })
  }
  expect(seen.length).toBe(replies.filter(({ status }) => status === 200).length)
  seen.length = 0
  return replies.filter(({ status }) => status === 200).length
}

test('of a flood of registrations from one address ten and one pass, also from this machine; others are not held up', async () => {
  expect(await letThrough(40, '127.0.0.1', REGISTRATION, 'POST')).toBe(11)
  expect(await letThrough(5, '127.0.0.3', REGISTRATION, 'POST')).toBe(5)
  expect(await letThrough(30, '127.0.0.1', `${REALM}/.well-known/openid-configuration`, 'GET')).toBe(30)
})

test('tokens and sign-in have limits of their own', async () => {
  const tokens = await letThrough(60, '127.0.0.4', `${OIDC}/token`, 'POST')
  // 20 and one at once, and five for each second that it took.
  expect(tokens).toBeGreaterThanOrEqual(21)
  expect(tokens).toBeLessThan(45)
  const guesses = await letThrough(60, '127.0.0.4', `${REALM}/login-actions/authenticate`, 'POST')
  expect(guesses).toBeGreaterThanOrEqual(21)
  expect(guesses).toBeLessThan(30)
  // Looking at a page is no guess.
  expect(await letThrough(40, '127.0.0.4', `${REALM}/login-actions/authenticate`, 'GET')).toBe(40)
})

test('a client id that is a document’s address is counted however it is spelt; any other is not', async () => {
  const auth = `${OIDC}/auth`
  const document = 'https%3A%2F%2Fagent.example.com%2Fclient.json'
  expect(await letThrough(40, '127.0.0.8', `${auth}?response_type=code&client_id=${document}`, 'GET')).toBe(21)
  for (const query of [
    `?client%5Fid=${document}`,
    `?%63lient_id=https://a.example/c`,
    '?client_id=x%2e',
    '',
    '?x=client_id=x',
  ])
    expect([query, await letThrough(2, '127.0.0.8', `${auth}${query}`, 'GET')]).toEqual([query, 0])
  // A form may hold the id, and nobody here reads it.
  expect(await letThrough(2, '127.0.0.8', `${auth}?client_id=x`, 'POST')).toBe(0)
  const ordinary = `${auth}?response_type=code&client_id=0b2f7c1e-6f0a-4c8e-9a51-1c54c1f5e7aa&scope=dns:read`
  expect(await letThrough(40, '127.0.0.8', ordinary, 'GET')).toBe(40)
})

describe('while Keycloak has not answered', () => {
  const AUTH = `${OIDC}/auth?client_id=x`
  /** Answers are given only when a test says so. */
  let held: http.ServerResponse[]
  beforeEach(() => {
    held = []
    answer = (response) => void held.push(response)
  })
  const release = (): void => held.splice(0).forEach((response) => response.end('{}'))
  const arrived = async (count: number): Promise<void> => {
    for (const deadline = Date.now() + 10_000; seen.length < count;) {
      if (Date.now() > deadline) throw new Error(`${seen.length} of ${count} requests arrived`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const ask = (count: number, localAddress: string): Promise<Reply>[] =>
    Array.from({ length: count }, () => send(AUTH, { localAddress }))
  const statuses = async (replies: Promise<Reply>[]): Promise<number[]> =>
    (await Promise.all(replies)).map(({ status }) => status)

  test('one address has twelve requests there, also this machine; all together have twenty, and the gateway is not held up', async () => {
    const first = ask(12, '127.0.0.1')
    await arrived(12)
    expect(await statuses(ask(3, '127.0.0.1'))).toEqual([429, 429, 429])
    const second = ask(8, '127.0.0.11')
    await arrived(20)
    const beyond = await Promise.all(ask(2, '127.0.0.12'))
    for (const { status, body } of beyond)
      expect([status, JSON.parse(body)]).toEqual([503, expect.objectContaining({ code: 'IDENTITY_UNAVAILABLE' })])
    expect(seen).toHaveLength(20)
    const call = send('/mcp', { method: 'POST' })
    await arrived(21)
    release()
    expect((await call).status).toBe(200)
    expect(new Set(await statuses([...first, ...second]))).toEqual(new Set([200]))
  })

  test('who hangs up is counted until it has', async () => {
    const address = '127.0.0.13'
    const gone = Array.from({ length: 12 }, () =>
      https
        .get({ host: 'localhost', port: ports.https, path: AUTH, ca, agent: false, localAddress: address })
        .on('error', () => {}),
    )
    await arrived(12)
    for (const request of gone) request.destroy()
    // Time for the edge to notice.
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await statuses(ask(1, address))).toEqual([429])
    release()
    answer = (response) => response.end('{}')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await statuses(ask(6, address))).toEqual(Array.from({ length: 6 }, () => 200))
  })
})

test('what is sent to Keycloak has at most 64 KB', async () => {
  const send65 = { method: 'POST', body: 'x'.repeat(65 * 1024), localAddress: '127.0.0.5' }
  expect((await send(REGISTRATION, send65)).status).toBe(413)
  expect(seen).toHaveLength(0)
  expect((await send(REGISTRATION, { ...send65, body: 'x'.repeat(64 * 1024) })).status).toBe(200)
})

test('a Keycloak that hangs up is 503 IDENTITY_UNAVAILABLE, and it was asked once', async () => {
  answer = (response) => response.destroy()
  const reply = await send(`${OIDC}/token`, { method: 'POST', body: 'a=1', localAddress: '127.0.0.6' })
  expect([reply.status, reply.headers['retry-after'], reply.headers['strict-transport-security']]).toEqual([
    503,
    '5',
    HSTS,
  ])
  expect(JSON.parse(reply.body)).toMatchObject({ code: 'IDENTITY_UNAVAILABLE', status: 503 })
  expect(seen).toHaveLength(1)
})

test('the access log keeps no query string, no token and no body', async () => {
  await send(`/mcp?access_token=${TOKEN}`, {
    method: 'POST',
    body: 'a-secret-body',
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  await send('/nothing?token=abc', { method: 'POST' })
  await send(`${OIDC}/auth?state=a-secret-state&code_challenge=a-secret-challenge`)
  await send(`${REGISTRATION}?id=a-secret-id`, { method: 'POST', localAddress: '127.0.0.7' })
  await send(`${REALM}/account/applications/a-secret-client/consent`)
  await send('/resources/a-secret-file')
  await send(`/api/v1/tools/${TOKEN}`, { method: 'POST' })
  await send('/mcp', { method: 'POST', headers: { 'user-agent': `agent ${TOKEN}` } })
  // A line is written after its answer: stopped, the log is whole.
  await stop(nginx)
  const log = readFileSync(`${folder}/state/access.log`, 'utf8')
  const lines = log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object)
  expect(lines.slice(-8)).toMatchObject([
    { method: 'POST', path: '/mcp', status: 200 },
    { method: 'POST', path: 'other', status: 404 },
    { method: 'GET', path: `${OIDC}/auth`, status: 200 },
    { method: 'POST', path: REGISTRATION, status: 200 },
    { method: 'GET', path: `${REALM}/account`, status: 200 },
    { method: 'GET', path: '/resources', status: 200 },
    { method: 'POST', path: 'other', status: 404 },
    { method: 'POST', path: '/mcp', agent: 'hidden', status: 200 },
  ])
  expect(log).not.toMatch(/mpt_|Bearer|access_token|token=|a-secret|state=/)
  nginx = await startNginx(`${folder}/again`)
})

test('the edge runs as its own user', async () => {
  const pid = Number(readFileSync(`${folder}/again/nginx.pid`, 'utf8'))
  const uid = Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1])
  expect(uid).toBe(user ?? process.getuid!())
})

test('an address that floods gets 429 with Retry-After', async () => {
  await stop(nginx)
  // The test's own address is exempt as loopback: here it is counted like any other.
  nginx = await startNginx(`${folder}/limited`, (text) =>
    text.replace('127.0.0.0/8  0;', '').replace('burst=200', 'burst=3'),
  )
  const replies = await Promise.all(Array.from({ length: 60 }, () => send('/mcp')))
  const limited = replies.filter(({ status }) => status === 429)
  expect(limited.length).toBeGreaterThan(0)
  expect(limited.length).toBeLessThan(60)
  expect(limited[0]!.headers).toMatchObject({ 'retry-after': '1', 'strict-transport-security': HSTS })
  expect(JSON.parse(limited[0]!.body)).toMatchObject({ code: 'RATE_LIMITED', status: 429 })
})

test('who does not read the largest file of a page keeps Keycloak from nobody', async () => {
  await stop(nginx)
  // The kernel would take much of the file in the reader's place.
  nginx = await startNginx(`${folder}/slow`, (text) =>
    text.replace('ssl default_server', 'ssl default_server sndbuf=16k'),
  )
  answer = (response) => response.end('x'.repeat(1_030_724))
  const read = (localAddress: string): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const options = { host: 'localhost', port: ports.https, path: '/resources/a/b.css', ca, agent: false }
      https.get({ ...options, localAddress }, (response) => resolve(response.pause())).on('error', reject)
    })
  const from = Array.from({ length: 24 }, (_, n) => `127.0.0.${n < 12 ? 14 : 15}`)
  const readers = await Promise.all(from.map(read))
  answer = (response) => response.end('{}')
  expect((await send(`${OIDC}/certs`, { localAddress: '127.0.0.16' })).status).toBe(200)
  for (const reader of readers) reader.destroy()
})
