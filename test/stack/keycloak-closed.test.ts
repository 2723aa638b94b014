// Keycloak as it stands in the stack: nobody administrates it as a whole, it holds nothing it could change about itself, and
// who has a personal token does not notice whether it is there.
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync, readdirSync, realpathSync } from 'node:fs'
import { Client } from 'pg'
import { layoutOf, USERS } from '../../scripts/embedded/layout.ts'
import { secretOf } from './backends.ts'
import { send } from './http.ts'
import { openRealm, type TestRealm } from './keycloak.ts'
import { AGENT, CALLBACK, newProof, register, signInUrl } from './oauth.ts'
import { Person } from './person.ts'
import { freshAccount, sharedStack } from './shared-stack.ts'
import { eventually, ROOT } from './support.ts'

const stack = sharedStack()
const layout = layoutOf({ root: ROOT, state: stack.state, portBase: stack.portBase })
const home = `${stack.state}/keycloak`
const logFile = `${stack.state}/logs/keycloak.log`
const form = { 'content-type': 'application/x-www-form-urlencoded' }
let realm: TestRealm
beforeAll(async () => {
  realm = await openRealm()
})

async function askDatabase(sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({
    host: '127.0.0.1',
    port: layout.ports.postgres,
    user: 'postgres',
    password: await secretOf(stack, 'supervisor', 'superuser_password'),
    database: 'keycloak',
  })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

const pidOf = async (): Promise<number> => (await stack.status()).find(({ name }) => name === 'keycloak')!.pid!

describe('the realm master', () => {
  test('gives nobody a token', async () => {
    for (const [client, secret] of [
      ['admin-cli', ''],
      ['bailiwick-operator', realm.operatorSecret],
    ] as const)
      for (const grant of ['grant_type=password&username=nobody&password=', 'grant_type=client_credentials']) {
        const body = `${grant}&client_id=${client}&client_secret=${secret}`
        const reply = await send(`${realm.url}/realms/master/protocol/openid-connect/token`, {
          method: 'POST',
          headers: form,
          body,
        })
        expect([reply.status, JSON.parse(reply.text)]).toEqual([
          403,
          { error: 'access_denied', error_description: 'Realm not enabled' },
        ])
      }
  })

  test('holds no credential at all, of no person and of no client', async () => {
    const people = await askDatabase(
      `SELECT u.username, u.enabled, c.id AS credential FROM realm r JOIN user_entity u ON u.realm_id = r.id
       LEFT JOIN credential c ON c.user_id = u.id WHERE r.name = 'master'`,
    )
    expect(people).toEqual([{ username: 'nobody', enabled: false, credential: null }])
    const clients = await askDatabase(
      `SELECT client_id FROM client c JOIN realm r ON r.id = c.realm_id
       WHERE r.name = 'master' AND (c.secret IS NOT NULL OR c.service_accounts_enabled)`,
    )
    expect(clients).toEqual([])
  })

  test('gets no administrator from the welcome page, which makes one for this machine where master has no user', async () => {
    // Tried against a Keycloak with an empty master: there this very request makes the administrator.
    const state = 'a-state-of-ours'
    await send(`${realm.url}/`, {
      method: 'POST',
      headers: { ...form, cookie: `WELCOME_STATE_CHECKER=${state}`, origin: realm.url },
      body: `username=intruder&password=Intruder-1-password&passwordConfirmation=Intruder-1-password&stateChecker=${state}`,
    })
    const people = await askDatabase(`SELECT username FROM user_entity WHERE username = 'intruder'`)
    expect(people).toEqual([])
  })

  test('is out of reach of the operator’s client, which is root of the other realm only', async () => {
    await expect(realm.admin.get('')).resolves.toMatchObject({ realm: 'bailiwick' })
    const token = await send(`${realm.url}/realms/bailiwick/protocol/openid-connect/token`, {
      method: 'POST',
      headers: form,
      body: `grant_type=client_credentials&client_id=bailiwick-operator&client_secret=${realm.operatorSecret}`,
    })
    const { access_token: bearer } = JSON.parse(token.text) as { access_token: string }
    // Asked for over loopback, and still by the one name that Keycloak has.
    const claims = JSON.parse(Buffer.from(bearer.split('.')[1]!, 'base64url').toString()) as { iss: string }
    expect(claims.iss).toBe(`${layout.publicUrl}/realms/bailiwick`)
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
    expect((await send(`${realm.url}/admin/realms/master`, { headers })).status).toBe(403)
    const made = await send(`${realm.url}/admin/realms`, { method: 'POST', headers, body: '{"realm":"another"}' })
    expect(made.status).toBe(403)
  })
})

test('there is no admin console', async () => {
  for (const path of ['/admin/', '/admin/master/console/', '/admin/bailiwick/console/'])
    expect([path, (await send(`${realm.url}${path}`)).status]).toEqual([path, 404])
})

test('of the first start no file is left', () => {
  expect(readdirSync(`${home}/data/import`)).toEqual([])
})

test('Keycloak can change neither its settings nor its program nor what it imports', () => {
  const built = realpathSync(`${home}/lib`)
  const writable = [home, `${home}/conf`, `${home}/conf/keycloak.conf`, `${home}/data`, `${home}/data/import`]
    .concat(built, `${built}/quarkus-run.jar`, realpathSync(`${home}/providers`), realpathSync(`${home}/themes`))
    .filter((path) => {
      const identity = [`--reuid=${USERS.keycloak}`, `--regid=${USERS.keycloak}`, '--clear-groups']
      return spawnSync('setpriv', [...identity, 'test', '-w', path]).status === 0
    })
  expect(writable).toEqual([])
})

test('no secret stands in its environment or on its command line', async () => {
  const pid = await pidOf()
  const seen = ['environ', 'cmdline'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'utf8')).join('\0')
  const password = await secretOf(stack, 'supervisor', 'keycloak_database_password')
  for (const secret of [password, realm.operatorSecret, realm.policySecret, realm.consoleSecret])
    expect(seen).not.toContain(secret)
  expect(readFileSync(`${home}/conf/keycloak.conf`, 'utf8')).toContain(password)
})

test('a password typed where the user name goes is kept neither in the log nor in the table of events', async () => {
  const { body } = await register(realm.world, AGENT)
  const client = String(body['client_id'])
  const typed = `My-password-${randomUUID()}`
  const url = signInUrl(realm.world, {
    client_id: client,
    scope: 'databases:read',
    code_challenge: newProof().challenge,
  })
  const person = new Person(typed, 'something', realm.world)
  await expect(person.visit(url, CALLBACK)).rejects.toThrow(/refused at password/)
  const kept = await askDatabase(
    `SELECT DISTINCT type, error, strpos(e::text, '${typed}') AS at FROM event_entity e
     WHERE client_id = '${client}' AND type LIKE 'LOGIN%'`,
  )
  // The try itself is on record.
  expect(kept).toEqual([{ type: 'LOGIN_ERROR', error: 'user_not_found', at: 0 }])
  expect(await askDatabase(`SELECT id FROM event_entity e WHERE strpos(e::text, '${typed}') > 0`)).toEqual([])
  const log = readFileSync(logFile, 'utf8')
  expect(log.length).toBeGreaterThan(0)
  expect(log).not.toContain(typed)
})

test('personal tokens are served while Keycloak is down, and sign-in says so', async () => {
  const { token } = await freshAccount(stack, 'keycloak-down')
  const before = await pidOf()
  process.kill(before, 'SIGKILL')
  const ca = readFileSync(stack.caFile)
  await eventually('sign-in is refused', async () => {
    const reply = await send(`${stack.origin}/realms/bailiwick/.well-known/openid-configuration`, { ca })
    return reply.status === 503 && reply.text.includes('IDENTITY_UNAVAILABLE')
  })
  expect((await stack.call(token, 'whoami', {})).status).toBe(200)
  await eventually(
    'Keycloak is back',
    async () => {
      const part = (await stack.status()).find(({ name }) => name === 'keycloak')!
      return part.health === 'up' && part.pid !== before
    },
    180_000,
  )
  const reply = await send(`${stack.origin}/realms/bailiwick/.well-known/openid-configuration`, { ca })
  expect([reply.status, (JSON.parse(reply.text) as { issuer: string }).issuer]).toEqual([
    200,
    `${layout.publicUrl}/realms/bailiwick`,
  ])
})
