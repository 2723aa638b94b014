// What anybody may read: how to connect, where tokens come from, whom to tell about a vulnerability.
import { SCOPES } from '@bailiwick/contracts/scopes'
import { catalog, PUBLIC_URL, startGateway, type Gateway } from './gateway.ts'

const ISSUER = 'https://agents.example:8443/realms/bailiwick'
const securityContact = 'mailto:security@agents.example'

let gateway: Gateway
beforeAll(async () => {
  gateway = await startGateway({ issuer: ISSUER, securityContact })
})
afterAll(() => gateway.close())
const get = (path: string, headers: Record<string, string> = {}) => fetch(`${gateway.url}${path}`, { headers })
const getJson = async (path: string) => (await (await get(path)).json()) as Record<string, unknown>

test('the resource metadata lies at the header’s URL, the path form and the root form, and names the authorization server', async () => {
  const root = await getJson('/.well-known/oauth-protected-resource')
  expect(root).toEqual({
    resource: `${PUBLIC_URL}/mcp`,
    resource_name: 'Bailiwick',
    authorization_servers: [ISSUER],
    scopes_supported: SCOPES.filter((scope) => scope !== 'offline_access'),
    bearer_methods_supported: ['header'],
  })
  expect(await getJson('/.well-known/oauth-protected-resource/mcp')).toEqual(root)
  gateway.fakes.onDecide = () => ({ ok: false, denial: { code: 'UNAUTHENTICATED' }, rate: null })
  const refused = await gateway.post('/api/v1/tools/whoami', {})
  const url = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate')!)![1]!
  expect(await getJson(new URL(url).pathname)).toEqual(root)
})

test('mcp.json says how to get in and what each tool takes', async () => {
  expect(await getJson('/.well-known/mcp.json')).toMatchObject({
    endpoint: `${PUBLIC_URL}/mcp`,
    version: '1.2.3',
    catalog_hash: catalog.hash,
    authorization: {
      tokens: ['oauth2', 'personal'],
      authorization_servers: [ISSUER],
      resource_metadata: `${PUBLIC_URL}/.well-known/oauth-protected-resource/mcp`,
      scopes: SCOPES,
    },
    tools: catalog.list.map(({ name, scopes, risk }) => ({ name, scopes, risk })),
  })
})

test('the server card lies where the draft reserves its place, says what the server says, and the catalog leads to it', async () => {
  const { entries } = (await getJson('/.well-known/ai-catalog.json')) as { entries: { type: string; url: string }[] }
  expect(entries).toEqual([
    {
      identifier: 'urn:air:agents.example:mcp:bailiwick',
      type: 'application/mcp-server-card+json',
      url: `${PUBLIC_URL}/mcp/server-card`,
    },
  ])
  const response = await get(new URL(entries[0]!.url).pathname, { accept: entries[0]!.type })
  expect(response.headers.get('content-type')).toBe('application/mcp-server-card+json')
  const card = (await response.json()) as Record<string, unknown>
  // The schema's own bounds (server-card.schema.json, v1).
  expect(card['$schema']).toMatch(
    /^https:\/\/static\.modelcontextprotocol\.io\/schemas\/v1\/server-card\.schema\.json$/,
  )
  expect(card['name']).toBe('example.agents/bailiwick')
  expect((card['description'] as string).length).toBeLessThanOrEqual(100)
  expect(card).not.toHaveProperty('tools')
  const remotes = [
    {
      type: 'streamable-http',
      url: `${PUBLIC_URL}/mcp`,
      supportedProtocolVersions: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26'],
    },
  ]
  expect(card).toMatchObject({ version: '1.2.3', remotes })
})

test('pages of any origin may read them, an unchanged one costs no bytes; calling stays our own host’s', async () => {
  const paths = ['/mcp/server-card', '/.well-known/mcp.json', '/.well-known/oauth-protected-resource/mcp']
  for (const path of paths) {
    const response = await get(path, { origin: 'https://elsewhere.example' })
    expect([path, response.status]).toEqual([path, 200])
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('cache-control')).toMatch(/^public, max-age=\d+$/)
    const again = await get(path, { 'if-none-match': response.headers.get('etag')! })
    expect([again.status, await again.text()]).toEqual([304, ''])
  }
  const call = await gateway.post('/mcp', {}, { origin: 'https://elsewhere.example' })
  expect([call.status, call.headers.get('access-control-allow-origin')]).toEqual([403, null])
  const preflight = await fetch(`${gateway.url}/mcp`, { method: 'OPTIONS', headers: { origin: PUBLIC_URL } })
  expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([405, null])
})

test('security.txt names contact, its own place and a day within a year', async () => {
  const response = await get('/.well-known/security.txt')
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  const fields = new Map(
    (await response.text())
      .trim()
      .split('\n')
      .map((line) => line.split(/: (.*)/) as [string, string]),
  )
  expect(fields.get('Contact')).toBe(securityContact)
  expect(fields.get('Canonical')).toBe(`${PUBLIC_URL}/.well-known/security.txt`)
  const days = (Date.parse(fields.get('Expires')!) - Date.now()) / 86_400_000
  expect(days).toBeGreaterThan(170)
  expect(days).toBeLessThan(365)
})

test('without an authorization server and a contact, neither is claimed', async () => {
  const bare = await startGateway()
  const read = async (path: string) => fetch(`${bare.url}${path}`)
  expect((await read('/.well-known/security.txt')).status).toBe(404)
  expect(await (await read('/.well-known/oauth-protected-resource')).json()).not.toHaveProperty('authorization_servers')
  expect(await (await read('/.well-known/mcp.json')).json()).toMatchObject({ authorization: { tokens: ['personal'] } })
  await bare.close()
})

test('they need no token and ask nobody', async () => {
  const before = gateway.fakes.decided.length + gateway.fakes.identified.length
  await get('/.well-known/mcp.json')
  expect(await getJson('/health')).toEqual({ ok: true, service: 'gateway' })
  expect(gateway.fakes.decided.length + gateway.fakes.identified.length).toBe(before)
})
