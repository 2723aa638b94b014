// RDAP through the egress proxy, against a real HTTPS server that fails in every way a stranger's can. Told apart from production
// are what the proxy finds names to be, and where it ends up instead of those addresses.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type http from 'node:http'
import https from 'node:https'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { fakeClock } from '@bailiwick/kernel/clock'
import { silentLogger } from '@bailiwick/kernel/logger'
import { startProxy, type Proxy } from '../../egress/src/proxy.ts'
import { createRegistration, type Registry } from '../src/zones/outside/registration.ts'

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void
const folder = mkdtempSync(`${tmpdir()}/bailiwick-rdap-`)
let ca: string
let server: https.Server
let proxy: Proxy
let addresses: Record<string, string[]>
let paths: Record<string, Handler>
let asked: string[]
let dialled: string[]
const clock = fakeClock(Date.parse('2026-06-01T00:00:00Z'))

beforeAll(async () => {
  const names = [
    'iana.example.net',
    'rdap.example.net',
    'other.example.net',
    'private.example.net',
    'mixed.example.net',
  ]
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=rdap',
    ]
      .concat(['-addext', `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`])
      .concat(['-keyout', `${folder}/key.pem`, '-out', `${folder}/cert.pem`]),
    { stdio: 'ignore' },
  )
  ca = readFileSync(`${folder}/cert.pem`, 'utf8')
  server = https.createServer({ key: readFileSync(`${folder}/key.pem`), cert: ca }, (request, response) => {
    asked.push(`${request.headers.host?.split(':')[0]}${request.url}`)
    const handler = paths[request.url!]
    if (handler) handler(request, response)
    else response.writeHead(404).end()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  proxy = await startProxy({
    listen: { host: '127.0.0.1', port: 0 },
    logger: silentLogger,
    resolve: async (name) => addresses[name] ?? [],
    connect: (address) => {
      dialled.push(address)
      return connect(port, '127.0.0.1')
    },
    ownAddresses: () => [],
  })
})
afterAll(async () => {
  await proxy.close()
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

const json =
  (body: unknown): Handler =>
  (_, response) =>
    void response.writeHead(200, { 'content-type': 'application/rdap+json' }).end(JSON.stringify(body))
const redirect =
  (location: string): Handler =>
  (_, response) =>
    void response.writeHead(302, { location }).end()
const domain = {
  objectClassName: 'domain',
  ldhName: 'EXAMPLE.COM',
  status: ['client transfer prohibited', 'client hold'],
  events: [
    { eventAction: 'registration', eventDate: '1995-08-14T04:00:00Z' },
    { eventAction: 'expiration', eventDate: '2027-08-13T04:00:00Z' },
  ],
  nameservers: [{ ldhName: 'NS1.Example.NET.' }, { ldhName: 'ns2.example.net' }],
  entities: [
    { roles: ['technical'], vcardArray: ['vcard', [['fn', {}, 'text', 'Not this one']]] },
    {
      roles: ['registrar'],
      handle: '376',
      vcardArray: [
        'vcard',
        [
          ['version', {}, 'text', '4.0'],
          ['fn', {}, 'text', 'Example Registrar'],
        ],
      ],
    },
  ],
  unexpected: { a: [1] },
}
const nothing = { why: null, name: null, registrar: null, statuses: [], expires_at: null, name_servers: [] }

const PUBLIC = '93.184.216.34'
beforeEach(() => {
  asked = []
  dialled = []
  addresses = {
    'iana.example.net': [PUBLIC],
    'rdap.example.net': [PUBLIC],
    'other.example.net': [PUBLIC],
    'private.example.net': ['10.0.0.1'],
    'mixed.example.net': [PUBLIC, '10.0.0.1'],
  }
  const base = 'https://rdap.example.net/v1/'
  paths = {
    '/dns.json': json({
      version: '1.0',
      services: [
        [['com', 'co.uk'], [base]],
        [['plain'], ['http://rdap.example.net/']],
      ],
    }),
    '/v1/domain/example.com': json(domain),
  }
})

const registry = (more: Partial<Registry> = {}): Registry => ({
  reach: { egress: `http://127.0.0.1:${proxy.port}`, ca },
  bootstrapUrl: 'https://iana.example.net/dns.json',
  withinMs: 1500,
  clock,
  ...more,
})
const read = (name: string, more: Partial<Registry> = {}) => createRegistration(registry(more)).read(name)

test('registrar, status, expiry and name servers are read from the registry that IANA’s list names', async () => {
  expect(await read('example.com')).toEqual({
    state: 'known',
    why: null,
    name: 'example.com',
    registrar: 'Example Registrar',
    statuses: ['client transfer prohibited', 'client hold'],
    expires_at: Date.parse('2027-08-13T04:00:00Z'),
    name_servers: ['ns1.example.net', 'ns2.example.net'],
  })
  expect(asked).toEqual(['iana.example.net/dns.json', 'rdap.example.net/v1/domain/example.com'])
})

test('a name below the registered one is answered with what it stands under; one that nobody registered is told apart', async () => {
  expect(await read('shop.example.com')).toMatchObject({ state: 'known', name: 'example.com' })
  expect(await read('free.com')).toEqual({ ...nothing, state: 'not_registered' })
})

test('the list is fetched once a day, and after a failure not again for a minute', async () => {
  const registration = createRegistration(registry())
  await Promise.all([registration.read('example.com'), registration.read('example.com')])
  clock.advance(23 * 3_600_000)
  await registration.read('example.com')
  expect(asked.filter((path) => path.includes('dns.json'))).toHaveLength(1)
  clock.advance(2 * 3_600_000)
  paths['/dns.json'] = (_, response) => void response.writeHead(500).end()
  expect((await registration.read('example.com')).state).toBe('unknown')
  await registration.read('example.com')
  expect(asked.filter((path) => path.includes('dns.json'))).toHaveLength(2)
  clock.advance(61_000)
  await registration.read('example.com')
  expect(asked.filter((path) => path.includes('dns.json'))).toHaveLength(3)
})

describe('a registry that', () => {
  const cases: [string, Handler, string][] = [
    ['is slow', () => undefined, 'did not answer in time'],
    [
      'drips without end',
      (_, response) => {
        response.writeHead(200)
        const drip = setInterval(() => response.write(' '), 50)
        response.on('close', () => clearInterval(drip))
      },
      'did not answer in time',
    ],
    ['is huge', (_, response) => void response.writeHead(200).end(Buffer.alloc(5_000_000, 32)), 'too long'],
    ['sends no JSON', (_, response) => void response.writeHead(200).end('<html>'), 'not JSON'],
    ['sends other JSON', json({ objectClassName: 'entity' }), 'not what it should be'],
    ['sends a list', json([]), 'not what it should be'],
    ['fails', (_, response) => void response.writeHead(503).end(), 'did not answer with success'],
    ['hangs up', (request) => void request.socket.destroy(), 'could not be reached'],
    [
      'breaks off',
      (_, response) => {
        response.writeHead(200, { 'content-length': '1000' })
        response.write('{')
        setImmediate(() => response.destroy())
      },
      'broke off',
    ],
  ]
  test.each(cases)('%s leaves it unknown, and says so', async (_, handler, why) => {
    paths['/v1/domain/example.com'] = handler
    const start = performance.now()
    const found = await read('example.com')
    expect(found).toEqual({ ...nothing, state: 'unknown', why: expect.stringContaining(why) })
    expect(performance.now() - start).toBeLessThan(2500)
  })

  test('sends members of a wrong kind loses those alone', async () => {
    paths['/v1/domain/example.com'] = json({
      ...domain,
      status: 'x',
      nameservers: [{ ldhName: 7 }],
      entities: { a: 1 },
    })
    expect(await read('example.com')).toMatchObject({
      state: 'known',
      registrar: null,
      statuses: [],
      name_servers: [],
      expires_at: Date.parse('2027-08-13T04:00:00Z'),
    })
  })
})

describe('a redirect', () => {
  test('to another public server is followed', async () => {
    paths['/v1/domain/example.com'] = redirect('https://other.example.net/moved')
    paths['/moved'] = json(domain)
    expect((await read('example.com')).state).toBe('known')
    expect(asked.at(-1)).toBe('other.example.net/moved')
  })
  test.each([
    ['an address instead of a name', `https://${PUBLIC}/`],
    ['an IPv6 address', 'https://[2606:4700::1111]/'],
    ['another port', 'https://other.example.net:8443/'],
    ['plain HTTP', 'http://other.example.net/'],
    ['a user name', 'https://u:p@other.example.net/'],
    ['a file', 'file:///etc/passwd'],
  ])('to %s is not', async (_, to) => {
    paths['/v1/domain/example.com'] = redirect(to)
    paths['/'] = json(domain)
    expect(await read('example.com')).toMatchObject({
      state: 'unknown',
      why: 'The registry was asked: it led to an address that is not asked.',
    })
    expect(asked).toHaveLength(2)
  })
  test.each([
    ['a name with a private address', 'https://private.example.net/'],
    ['a name with a private address among others', 'https://mixed.example.net/'],
    ['a name of this machine', 'https://localhost/'],
  ])('to %s ends at the proxy', async (_, to) => {
    paths['/v1/domain/example.com'] = redirect(to)
    paths['/'] = json(domain)
    expect(await read('example.com')).toMatchObject({
      state: 'unknown',
      why: 'The registry was asked: it could not be reached.',
    })
    expect(asked).toHaveLength(2)
    expect(dialled).toEqual([PUBLIC, PUBLIC])
  })
  test('in a circle ends', async () => {
    paths['/v1/domain/example.com'] = redirect('/v1/domain/example.com')
    expect((await read('example.com')).why).toContain('redirected too often')
    expect(asked.length).toBeLessThanOrEqual(5)
  })
})

test('a certificate of nobody’s is not believed', async () => {
  const { ca: _, ...reach } = registry().reach
  expect((await read('example.com', { reach })).why).toContain('could not be reached')
  expect(asked).toEqual([])
})

test('offline, without RDAP for the name, or with none over HTTPS it is unknown, never an error', async () => {
  addresses = {}
  expect(await read('example.com')).toMatchObject({
    state: 'unknown',
    why: expect.stringContaining('could not be reached'),
  })
  addresses = { 'iana.example.net': [PUBLIC] }
  for (const name of ['x.nowhere', 'x.plain'])
    expect(await read(name)).toMatchObject({ state: 'unknown', why: expect.stringContaining('no RDAP') })
})

test('without the proxy nothing is asked: there is no other way out', async () => {
  const gone = await startProxy({
    listen: { host: '127.0.0.1', port: 0 },
    logger: silentLogger,
    resolve: async () => [],
  })
  await gone.close()
  const found = await read('example.com', { reach: { egress: `http://127.0.0.1:${gone.port}`, ca } })
  expect(found.why).toContain('could not be reached')
  expect([...asked, ...dialled]).toEqual([])
})
