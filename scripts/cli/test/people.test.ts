import { PlainError } from '../../embedded/plain-error.ts'
import { invite, list, makePassword, remove, reset, type Invited } from '../people.ts'
import { ACCOUNT, Broken, breakAt, OTHER_ACCOUNT, World } from './doors.ts'

const EMAIL = 'ada@example.test'
const INVITATION = { account: ACCOUNT, email: EMAIL, name: 'Ada M. Example', role: 'owner', reason: 'new' } as const
const SET_UP = ['UPDATE_PASSWORD', 'CONFIGURE_TOTP', 'CONFIGURE_RECOVERY_AUTHN_CODES']

function expectInvited(world: World, { sub, temporary_password }: Invited): void {
  expect(world.users.size).toBe(1)
  expect(world.members).toEqual([expect.objectContaining({ account: ACCOUNT, sub, role: 'owner' })])
  expect(world.users.get(sub)).toMatchObject({
    username: EMAIL,
    email: EMAIL,
    firstName: 'Ada',
    lastName: 'M. Example',
    enabled: true,
    requiredActions: SET_UP,
    password: { value: temporary_password, temporary: true },
    factors: [],
    roles: ['owner'],
  })
}

/** Every way to break off `command`: at each call, before and after its effect. */
async function* everyBreak(
  makeWorld: () => World | Promise<World>,
  command: (doors: World['doors']) => Promise<unknown>,
) {
  for (const when of ['before', 'after'] as const)
    for (let at = 1; ; at += 1) {
      const world = await makeWorld()
      const { doors, broke } = breakAt(world.doors, at, when)
      const error = await command(doors).then(
        () => null,
        (caught: unknown) => caught,
      )
      if (!broke()) break
      // A command may swallow nothing: whatever broke, it says so.
      expect(error).toBeInstanceOf(Broken)
      yield { world, label: `${when} call ${at}` }
    }
}

describe('inviting a person', () => {
  test('makes the sign-in with everything still to be set up, and the membership', async () => {
    const world = new World()
    expectInvited(world, await invite(world.doors, INVITATION))
    expect(world.acts).toEqual(['members_add'])
  })

  test('killed anywhere: nobody who is half invited can sign in, and the same command again ends with one person', async () => {
    let breaks = 0
    for await (const { world } of everyBreak(
      () => new World(),
      (doors) => invite(doors, INVITATION),
    )) {
      breaks += 1
      for (const user of world.users.values()) expect(user.enabled && world.members.length === 0).toBe(false)
      const [user] = world.users.values()
      if (user?.enabled) {
        // Only the printing was lost: the password is nobody's, and a reset makes another.
        await expect(invite(world.doors, INVITATION)).rejects.toThrow(/invited already.*members reset/)
        expectInvited(world, { ...(await reset(world.doors, user.id, 'lost')), username: EMAIL })
      } else expectInvited(world, await invite(world.doors, INVITATION))
    }
    expect(breaks).toBeGreaterThan(10)
  })

  test('a person who was removed comes back without what they had', async () => {
    const world = new World()
    const { sub } = await invite(world.doors, INVITATION)
    const user = world.users.get(sub)!
    Object.assign(user, { factors: ['otp', 'webauthn'], consents: ['app'], sessions: 2, requiredActions: [] })
    await remove(world.doors, sub, 'left')
    const again = await invite(world.doors, INVITATION)
    expect(again.sub).toBe(sub)
    expectInvited(world, again)
    expect(user).toMatchObject({ consents: [], sessions: 0 })
  })

  test.each([
    [
      'a member of another account',
      OTHER_ACCOUNT,
      'owner',
      true,
      /belongs to account 01981f3e-0000-7000-8000-000000000002/,
    ],
    ['a member already', ACCOUNT, 'owner', true, /invited already/],
    ['invited in another role', ACCOUNT, 'member', false, /was invited as member/],
    ['somebody else of Keycloak’s', null, 'owner', true, /who belongs to no account/],
  ] as const)('an address of %s is refused, and nothing changes', async (_who, account, role, enabled, sentence) => {
    const world = new World()
    const user = world.addUser({ username: EMAIL, enabled, factors: ['otp'], sessions: 1 })
    if (account) world.members.push({ account, sub: user.id, role, created_at: 0 })
    const before = structuredClone([...world.users.values(), ...world.members])
    const refused = invite(world.doors, INVITATION)
    await expect(refused).rejects.toThrow(sentence)
    await expect(refused).rejects.toBeInstanceOf(PlainError)
    expect([...world.users.values(), ...world.members]).toEqual(before)
  })
})

describe('removing a person', () => {
  const invited = async (): Promise<{ world: World; sub: string }> => {
    const world = new World()
    const { sub } = await invite(world.doors, INVITATION)
    Object.assign(world.users.get(sub)!, { factors: ['otp'], consents: ['app one', 'app two'], sessions: 3 })
    return { world, sub }
  }
  const GONE = { enabled: false, sessions: 0, consents: [], roles: [] }

  test('policy first, then the sign-in, its sessions, the consents and the role', async () => {
    const { world, sub } = await invited()
    expect(await remove(world.doors, sub, 'left')).toEqual({ receipt: 2, provider: 'done' })
    expect(world.members).toEqual([])
    expect(world.users.get(sub)).toMatchObject(GONE)
  })

  test('killed anywhere, the same command again ends it; nothing is closed at Keycloak before policy knows', async () => {
    let sub = ''
    const makeWorld = async (): Promise<World> => {
      const made = await invited()
      sub = made.sub
      return made.world
    }
    for await (const { world } of everyBreak(makeWorld, (doors) => remove(doors, sub, 'left'))) {
      if (world.members.length > 0) expect(world.users.get(sub)).toMatchObject({ enabled: true, sessions: 3 })
      await remove(world.doors, sub, 'left')
      expect(world.members).toEqual([])
      expect(world.users.get(sub)).toMatchObject(GONE)
    }
  })

  test('while Keycloak is down it takes effect here, says what is left, and can be ended later', async () => {
    const { world, sub } = await invited()
    world.isKeycloakDown = true
    expect(await remove(world.doors, sub, 'left')).toEqual({ receipt: 2, provider: 'unreachable' })
    expect(world.members).toEqual([])
    world.isKeycloakDown = false
    expect(await remove(world.doors, sub, 'left')).toEqual({ receipt: null, provider: 'done' })
    expect(world.users.get(sub)).toMatchObject(GONE)
  })

  test('somebody who is nowhere is said to be nowhere', async () => {
    const sub = '00000000-0000-4000-8000-999999999999'
    await expect(remove(new World().doors, sub, 'left')).rejects.toThrow(/no person/)
  })
})

describe('resetting how a person signs in', () => {
  test('is recorded first; then a new password, no factor, no session; the apps stay', async () => {
    const world = new World()
    const { sub, temporary_password } = await invite(world.doors, INVITATION)
    Object.assign(world.users.get(sub)!, { factors: ['otp', 'recovery-authn-codes'], sessions: 1, consents: ['app'] })
    const changed = await reset(world.doors, sub, 'lost phone')
    expect(changed.temporary_password).not.toBe(temporary_password)
    expectInvited(world, { ...changed, username: EMAIL })
    expect(world.users.get(sub)).toMatchObject({ sessions: 0, consents: ['app'] })
    expect(world.acts).toEqual(['members_add', 'members_reset'])
  })

  test('killed anywhere: a second factor is never gone while the old password still works or nothing asks for a new one', async () => {
    let invited: Invited = { sub: '', username: '', temporary_password: '' }
    const makeWorld = async (): Promise<World> => {
      const world = new World()
      invited = await invite(world.doors, INVITATION)
      Object.assign(world.users.get(invited.sub)!, { factors: ['otp', 'webauthn'], requiredActions: [] })
      return world
    }
    for await (const { world, label } of everyBreak(makeWorld, (doors) => reset(doors, invited.sub, 'lost'))) {
      const user = world.users.get(invited.sub)!
      if (user.factors.length < 2)
        expect([label, user.password!.value === invited.temporary_password, user.requiredActions]).toEqual([
          label,
          false,
          SET_UP,
        ])
      if (user.requiredActions.length > 0) expect(world.acts).toContain('members_reset')
      expectInvited(world, { ...(await reset(world.doors, invited.sub, 'lost')), username: EMAIL })
    }
  })

  test('who belongs to no account, or is half invited, has nothing to reset', async () => {
    const world = new World()
    const stranger = world.addUser({ username: 'b@example.test' })
    await expect(reset(world.doors, stranger.id, 'lost')).rejects.toThrow(/belongs to no account/)
    world.members.push({ account: ACCOUNT, sub: stranger.id, role: 'owner', created_at: 0 })
    stranger.enabled = false
    await expect(reset(world.doors, stranger.id, 'lost')).rejects.toThrow(/not finished/)
    expect(world.acts).toEqual([])
  })
})

test('the list names everybody, and stays useful while Keycloak is down', async () => {
  const world = new World()
  const { sub } = await invite(world.doors, INVITATION)
  const stray = { account: OTHER_ACCOUNT, sub: 'gone', role: 'member', created_at: 0 } as const
  world.members.push(stray)
  expect(await list(world.doors, null)).toEqual({
    members: [expect.objectContaining({ sub, username: EMAIL }), { ...stray, username: null }],
    provider: 'done',
  })
  expect((await list(world.doors, ACCOUNT)).members).toHaveLength(1)
  world.isKeycloakDown = true
  expect(await list(world.doors, null)).toMatchObject({
    members: [{ sub, username: null }, {}],
    provider: 'unreachable',
  })
})

test('a temporary password meets the realm’s rule and is another each time', () => {
  const made = Array.from({ length: 200 }, makePassword)
  expect(new Set(made).size).toBe(200)
  for (const password of made) expect(password).toMatch(/^([a-hjkmnp-z2-9]{5}-){3}[a-hjkmnp-z2-9]{5}$/)
})
