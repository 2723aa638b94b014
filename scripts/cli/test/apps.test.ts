import { revokeApp, revokeClient } from '../apps.ts'
import { readEmail, readSub } from '../admin-options.ts'
import { ACCOUNT, World } from './doors.ts'

const CLIENT = 'https://app.example.com/client.json'

function connected() {
  const world = new World()
  const people = ['a@example.test', 'b@example.test'].map((username) => {
    const user = world.addUser({ username, consents: [CLIENT, 'other'] })
    world.members.push({ account: ACCOUNT, sub: user.id, role: 'owner', created_at: 0 })
    return user
  })
  world.clients.set(CLIENT, { name: 'App', redirectUris: ['https://app.example.com/cb'] })
  const [first, second] = people as [(typeof people)[0], (typeof people)[0]]
  return { world, first, second, app: world.addApp(first.id, CLIENT) }
}

describe('revoking one person’s app', () => {
  test('policy refuses it, then its consent is taken; nobody else’s', async () => {
    const { world, first, second, app } = connected()
    expect(await revokeApp(world.doors, app, 'odd')).toEqual({ receipt: 1, provider: 'done' })
    expect(world.apps).toEqual([expect.objectContaining({ state: 'revoked' })])
    expect([first.consents, second.consents]).toEqual([['other'], [CLIENT, 'other']])
  })

  test('while Keycloak is down it is refused all the same, and run again later the consent goes too', async () => {
    const { world, first, app } = connected()
    world.isKeycloakDown = true
    expect(await revokeApp(world.doors, app, 'odd')).toEqual({ receipt: 1, provider: 'unreachable' })
    expect(world.apps).toEqual([expect.objectContaining({ state: 'revoked' })])
    world.isKeycloakDown = false
    expect(await revokeApp(world.doors, app, 'odd')).toEqual({ receipt: null, provider: 'done' })
    expect(first.consents).toEqual(['other'])
  })

  test('an app that was never used is policy’s refusal, and Keycloak is left alone', async () => {
    const { world, second } = connected()
    const { principal } = { principal: world.addApp(second.id, CLIENT) }
    world.apps.pop()
    await expect(revokeApp(world.doors, principal, 'odd')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(second.consents).toEqual([CLIENT, 'other'])
  })
})

describe('revoking a client for everybody', () => {
  test('its tokens end by date and every consent goes; the rest of the client stays as it was', async () => {
    const { world, first, second, app } = connected()
    const done = await revokeClient(world.doors, CLIENT, 'odd', () => 1_700_000_000_999)
    expect(done).toEqual({ revoked: [app], receipt: 1, provider: 'done' })
    expect(world.clients.get(CLIENT)).toMatchObject({
      notBefore: 1_700_000_000,
      name: 'App',
      redirectUris: ['https://app.example.com/cb'],
    })
    expect([first.consents, second.consents]).toEqual([['other'], ['other']])
  })

  test('a client that Keycloak does not know, or cannot be asked about, is refused here all the same', async () => {
    const { world } = connected()
    expect(await revokeClient(world.doors, 'nobody', 'odd')).toMatchObject({ receipt: 1, provider: 'unknown' })
    world.isKeycloakDown = true
    expect(await revokeClient(world.doors, CLIENT, 'odd')).toMatchObject({ receipt: 2, provider: 'unreachable' })
  })
})

const SUB = '0b8a4f4e-3c43-4c8a-9f2c-5a4c3f1b2d10'

test('an e-mail address has one spelling, a person’s id too; what is neither is named', () => {
  expect(readEmail(' Ada@Example.TEST ')).toBe('ada@example.test')
  for (const text of [
    '',
    'ada',
    'ada@',
    '@example.test',
    'ada@example',
    'a b@example.test',
    'ada@example.test,b@c.test',
  ])
    expect(() => readEmail(text)).toThrow(/--email/)
  expect(readSub(SUB)).toBe(SUB)
  for (const text of ['', 'ada@example.test', SUB.toUpperCase(), `${SUB}0`])
    expect(() => readSub(text)).toThrow(/--sub/)
})
