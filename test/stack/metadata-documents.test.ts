// An agent may be known by the address of a document (client ID metadata documents), which makes Keycloak fetch what a stranger
// names. Whatever that name leads to, nothing but the public internet's port 443 is reached: here through the whole stack, with
// the names resolved by its own name server. Documents that are good: metadata-documents-good.test.ts.
import net from 'node:net'
import os from 'node:os'
import { realmAdminOf } from './backends.ts'
import { formBody, send, type HttpReply } from './http.ts'
import { OAuthAgent, worldOf } from './oauth-agent.ts'
import { newProof } from './oauth.ts'
import { outsideZone } from './scenarios.ts'
import { sharedStack } from './shared-stack.ts'
import { bailiwick, eventually } from './support.ts'

const stack = sharedStack()
const AUTH = `${stack.origin}/realms/bailiwick/protocol/openid-connect/auth`
/** A loopback address that nothing else of this machine listens on. */
const INNER = '127.66.6.6'
const PUBLIC = '93.184.216.34'
const ZONE = `d${Date.now().toString(36)}.example.com`
const REDIRECT = 'https://agent.example.com/callback'

const ownAddress = Object.values(os.networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address

const names: Readonly<Record<string, readonly [type: 'A' | 'AAAA', ...addresses: string[]]>> = {
  loopback: ['A', INNER],
  'private-10': ['A', '10.0.0.5'],
  'private-172': ['A', '172.16.3.4'],
  'private-192': ['A', '192.168.1.1'],
  carrier: ['A', '100.100.100.200'],
  'link-local': ['A', '169.254.169.254'],
  unspecified: ['A', '0.0.0.0'],
  multicast: ['A', '224.0.0.1'],
  'loopback-6': ['AAAA', '::1'],
  'unique-local': ['AAAA', 'fd00::5'],
  'link-local-6': ['AAAA', 'fe80::1'],
  mapped: ['AAAA', '::ffff:7f42:606'],
  'nat64-private': ['AAAA', '64:ff9b::a00:5'],
  'nat64-loopback': ['AAAA', '64:ff9b::7f42:606'],
  sixtofour: ['AAAA', '2002:7f42:606::1'],
  // Were one good address enough, the next answer would be used to get in.
  mixed: ['A', PUBLIC, INNER],
  ...(ownAddress ? { 'this-machine': ['A', ownAddress] as const } : {}),
}

/** Connections that came to addresses where none may come. */
const reached: string[] = []
const listeners: net.Server[] = []

beforeAll(async () => {
  const sets = Object.entries(names).map(([name, [type, ...contents]]) => ({
    name: `${name}.${ZONE}.`,
    type,
    contents,
  }))
  await outsideZone(stack, `${ZONE}.`, sets)
  for (const address of [INNER, ...(ownAddress ? [ownAddress] : [])]) {
    const server = net.createServer((socket) => {
      reached.push(address)
      socket.destroy()
    })
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(443, address, resolve))
    listeners.push(server)
    // It would notice: a connection of ours does arrive.
    net.connect(443, address).on('error', () => undefined)
    await eventually(`the listener at ${address}`, async () => reached.includes(address))
  }
  reached.length = 0
})
afterAll(() => {
  for (const server of listeners) server.close()
})

let asked = 0
/** From an address that has not asked before, unless one is given: the edge's limit is a test of its own. */
function authorize(clientId: string, from = `127.0.66.${(asked += 1)}`): Promise<HttpReply> {
  const query = formBody({
    client_id: clientId,
    redirect_uri: REDIRECT,
    response_type: 'code',
    scope: 'profile:read',
    code_challenge: newProof().challenge,
    code_challenge_method: 'S256',
  })
  return send(`${AUTH}?${query}`, { headers: { accept: 'text/html' }, ...worldOf(stack, from) })
}

const textOf = (html: string): string =>
  html
    .replaceAll(/<(script|style|head)\b[\s\S]*?<\/\1>/g, ' ')
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()

/** What the way out has decided so far, in order. */
async function verdicts(): Promise<{ host: string | null; verdict: string }[]> {
  const { out } = await bailiwick(stack.env, ['logs', 'egress', '-n', '2000'])
  return out
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { event: string; host: string | null; verdict: string })
    .filter(({ event }) => event === 'refused' || event === 'open')
    .map(({ host, verdict }) => ({ host, verdict }))
}

async function clientsLike(text: string): Promise<string[]> {
  const realm = await realmAdminOf(stack)
  const found = await realm.get<{ clientId: string }[]>(`/clients?search=true&clientId=${encodeURIComponent(text)}`)
  return found.map(({ clientId }) => clientId)
}

/** A page, and no way on: neither to the agent's address nor to the sign-in form. */
function expectRefusal(reply: HttpReply): void {
  expect([reply.status, reply.headers.location]).toEqual([400, undefined])
  expect(reply.headers['content-type']).toMatch(/^text\/html/)
  expect(reply.text).not.toMatch(/name="password"/)
}

describe('the document of a name', () => {
  test.each(Object.keys(names))('that leads to %s is not fetched', async (name) => {
    const host = `${name}.${ZONE}`
    expectRefusal(await authorize(`https://${host}/client.json`))
    // Asked once, refused once: Keycloak does not try another way.
    expect((await verdicts()).filter((line) => line.host === host)).toEqual([
      { host, verdict: expect.stringMatching(/^(special|own)_address$/) },
    ])
    expect(reached).toEqual([])
  })

  test('is answered alike whatever the reason, so that nobody learns what there is inside', async () => {
    const pages = new Set<string>()
    for (const name of ['loopback', 'private-10', 'nat64-loopback', 'not-there']) {
      pages.add(textOf((await authorize(`https://${name}.${ZONE}/other.json`)).text))
    }
    expect([...pages]).toHaveLength(1)
  })

  test('that exists nowhere is not there', async () => {
    expectRefusal(await authorize(`https://nowhere.${ZONE}/client.json`))
    expect(await verdicts()).toContainEqual({ host: `nowhere.${ZONE}`, verdict: 'unresolved' })
  })
})

describe('an address that is no public name on port 443', () => {
  test.each([
    ['an IPv4 address', `https://${INNER}/client.json`],
    ['an IPv4 address as one number', 'https://2134378502/client.json'],
    ['an IPv4 address in hex', 'https://0x7f420606/client.json'],
    ['a short IPv4 address', 'https://127.1/client.json'],
    ['an IPv6 address', 'https://[::1]/client.json'],
    ['a mapped IPv6 address', `https://[::ffff:${INNER}]/client.json`],
    ['another port', `https://loopback.${ZONE}:8443/client.json`],
    ['a name of this machine', 'https://localhost/client.json'],
    ['a name without a dot', 'https://intranet/client.json'],
    ['a name with a dot at its end', `https://loopback.${ZONE}./client.json`],
    ['plain http', `http://loopback.${ZONE}/client.json`],
    ['a user', `https://user@loopback.${ZONE}/client.json`],
    ['a user and a password', `https://user:secret@loopback.${ZONE}/client.json`],
    ['a user that looks like a host', `https://agent.example.com@loopback.${ZONE}/client.json`],
    ['a backslash', `https://agent.example.com\\@loopback.${ZONE}/client.json`],
    ['a fragment', `https://loopback.${ZONE}/client.json#x`],
    ['dots in the path', `https://loopback.${ZONE}/a/../client.json`],
    ['another scheme', `ftp://loopback.${ZONE}/client.json`],
    ['a file', 'file:///etc/passwd'],
    ['a line break', `https://loopback.${ZONE}/client.json\r\nX-Other: 1`],
  ])('%s is refused', async (_what, address) => {
    const before = (await verdicts()).length
    expectRefusal(await authorize(address))
    expect((await verdicts()).slice(before).map(({ verdict }) => verdict)).not.toContain('open')
    expect(reached).toEqual([])
  })
})

describe('a flood of made-up documents', () => {
  const FLOODER = '127.0.67.1'
  const flood = (number: number): string => `https://f${number}.${ZONE}/flood.json`

  test('from one address is stopped at the edge; what is registered works on, and so does everybody else', async () => {
    const agent = new OAuthAgent(stack, FLOODER)
    await agent.register()
    const statuses: number[] = []
    for (let number = 0; number < 60; number += 1) statuses.push((await authorize(flood(number), FLOODER)).status)
    const fetched = statuses.filter((status) => status === 400).length
    expect(new Set(statuses)).toEqual(new Set([400, 429]))
    // 20 and one at once, and one for each three seconds that it took.
    expect(fetched).toBeLessThanOrEqual(30)
    expect((await authorize(flood(60), '127.0.67.2')).status).toBe(400)
    const ordinary = agent.authorizationUrl('profile:read', newProof().challenge)
    expect((await send(ordinary, worldOf(stack, FLOODER))).status).toBe(200)
  })

  test('does not get past the edge by spelling the parameter differently, or hiding it behind another', async () => {
    for (let number = 0; number < 25; number += 1) await authorize(flood(number), '127.0.67.3')
    const address = encodeURIComponent(`https://hidden.${ZONE}/client.json`)
    const from = worldOf(stack, '127.0.67.3')
    expect((await send(`${AUTH}?client%5Fid=${address}`, from)).status).toBe(429)
    const form = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } }
    expect((await send(AUTH, { ...form, body: `client_id=${address}`, ...from })).status).toBe(429)
    const twice = `${AUTH}?client_id=account-console&client%5Fid=${address}&response_type=code&scope=openid`
    expect((await send(twice, from)).status).not.toBe(200)
    expect((await verdicts()).map(({ host }) => host)).not.toContain(`hidden.${ZONE}`)
  })
})

test('no client came of any of this', async () => {
  expect(await clientsLike(ZONE)).toEqual([])
  expect(await clientsLike(INNER)).toEqual([])
})
