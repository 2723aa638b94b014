// A person and an agent, the whole way through nginx: invitation, password, second factor, consent, calls, refresh, step-up.
import { SCOPES } from '@bailiwick/contracts/scopes'
import { OAuthAgent } from './oauth-agent.ts'
import { claimsOf } from './oauth.ts'
import { askForCode, authorize, connect, invite } from './people.ts'
import type { Person } from './person.ts'
import { freshAccount, sharedStack, type Account } from './shared-stack.ts'

const stack = sharedStack()
// Registrations are limited per address: each file has one of its own.
const ADDRESS = '127.0.0.21'
let account: Account
let person: Person
let sub: string

beforeAll(async () => {
  account = await freshAccount(stack, 'oauth-flow')
  ;({ person, sub } = await invite(stack, account.id, ADDRESS))
})

const ticked = (scope: string): string[] =>
  scope
    .split(' ')
    .filter((one) => SCOPES.includes(one))
    .sort()

test('an agent finds the way from a refused call, registers, and acts with what the person ticked', async () => {
  const { agent, tokens, pages } = await connect(
    stack,
    person,
    'profile:read databases:read databases:write databases:delete',
    {
      ticks: ['profile:read', 'databases:read'],
      from: ADDRESS,
    },
  )
  // The first sign-in sets everything up: nobody gets to consent without a second factor.
  expect(pages).toEqual(['password', 'new password', 'set up app', 'recovery codes', 'tick'])
  expect(ticked(tokens.scope)).toEqual(['databases:read', 'profile:read'])

  const claims = claimsOf(tokens.access_token)
  expect(claims).toMatchObject({ iss: agent.metadata!.issuer, sub: sub, azp: agent.clientId, typ: 'Bearer' })
  expect([claims['aud']].flat()).toEqual([agent.resource])
  expect(tokens.expires_in).toBeLessThanOrEqual(600)

  const whoami = await agent.call(tokens.access_token, 'whoami')
  expect(whoami.status).toBe(200)
  expect(whoami.body).toMatchObject({
    account: { id: account.id },
    scopes: ['databases:read', 'profile:read'],
    token: { principal: `oauth:${sub}:${agent.clientId}` },
  })
  const list = await agent.mcp(tokens.access_token, 'tools/list', {})
  const names = (list.body.result!['tools'] as { name: string }[]).map(({ name }) => name)
  expect(names).toContain('list_databases')
  expect(names).not.toContain('create_database')
})

describe('one connected agent', () => {
  let agent: OAuthAgent
  let refreshToken: string

  test('refresh rotates, and keeps the scopes', async () => {
    const connected = await connect(stack, person, 'profile:read databases:read', { from: ADDRESS })
    agent = connected.agent
    const first = await agent.refresh(connected.tokens.refresh_token!)
    expect(first.status).toBe(200)
    expect(first.body.refresh_token).not.toBe(connected.tokens.refresh_token)
    expect(ticked(first.body.scope)).toEqual(['databases:read', 'profile:read'])
    expect((await agent.call(first.body.access_token, 'list_databases')).status).toBe(200)
    refreshToken = first.body.refresh_token!
  })

  test('a call beyond the scopes is answered with all that it needs, and the person is asked again', async () => {
    const { body: tokens } = await agent.refresh(refreshToken)
    const refused = await agent.mcp(tokens.access_token, 'tools/call', {
      name: 'create_database',
      arguments: { name: 'stepped-up' },
    })
    expect(refused.status).toBe(403)
    const challenge = String(refused.headers['www-authenticate'])
    expect(challenge).toMatch(/error="insufficient_scope"/)
    const needed = /scope="([^"]+)"/.exec(challenge)![1]!
    expect(needed.split(' ')).toEqual(['databases:write'])

    const { tokens: wider, pages } = await authorize(agent, person, `profile:read databases:read ${needed}`)
    expect(pages).toEqual(['tick'])
    expect(ticked(wider.scope)).toEqual(['databases:read', 'databases:write', 'profile:read'])
    const made = await agent.call(wider.access_token, 'create_database', { name: 'stepped-up' })
    expect(made.status).toBe(200)
    const undone = await agent.call(wider.access_token, 'undo', {
      operation_id: (made.body['undo'] as { operation_id: string }).operation_id,
    })
    expect(undone.status).toBe(200)
  })

  test('what was ticked once is not asked again', async () => {
    expect((await authorize(agent, person, 'profile:read databases:read')).pages).toEqual([])
  })

  test('write and delete are never ticked beforehand, and say what they are', async () => {
    const fresh = new OAuthAgent(stack, ADDRESS)
    await fresh.register()
    const { params } = await askForCode(fresh, person, 'dns:read dns:write dns:delete', null)
    // Cancel is an answer too, to the address that was registered.
    expect(params).toMatchObject({ error: 'access_denied', iss: fresh.metadata!.issuer })
    expect(Object.fromEntries(person.offered.map(({ name, ticked: isTicked }) => [name, isTicked]))).toEqual({
      'dns:read': true,
      'dns:write': false,
      'dns:delete': false,
    })
  })

  test('the app sees its own acts in the log, the account the person’s consent and sign-in too', async () => {
    const { tokens } = await authorize(agent, person, 'profile:read databases:read')
    const own = await agent.call(tokens.access_token, 'list_my_activity', { limit: 50 })
    const entries = own.body['entries'] as { tool: string | null; kind: string; by_me: boolean }[]
    expect(entries.filter(({ by_me: isMine, tool }) => isMine && tool === 'create_database').length).toBeGreaterThan(0)
    expect(entries.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['sign_in', 'consent', 'token_issued']))
  })
})

test('every one of the 33 scopes can be asked for, and is offered by name', async () => {
  const agent = new OAuthAgent(stack, ADDRESS)
  await agent.register()
  const { tokens } = await authorize(agent, person, SCOPES.join(' '), 'all')
  expect(ticked(tokens.scope)).toEqual([...SCOPES].sort())
})

test('a person who was removed is told so, and reaches nothing', async () => {
  const stranger = await invite(stack, account.id, ADDRESS)
  const { agent, tokens } = await connect(stack, stranger.person, 'profile:read', { from: ADDRESS })
  expect((await agent.call(tokens.access_token, 'whoami')).status).toBe(200)
  await stack.admin('members', 'remove', '--sub', stranger.sub, '--reason', 'left the company')
  const refused = await agent.call(tokens.access_token, 'whoami')
  expect([refused.status, refused.body['code']]).toEqual([403, 'NO_ACCOUNT'])
  expect((await agent.refresh(tokens.refresh_token!)).status).toBe(400)
})
