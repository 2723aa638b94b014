// Revoked in the person's account page, by an administrator of the identity provider, or by ./bailiwick admin: how long until the
// next call is refused. Each try is a fresh token that worked until then.
import { realmAdminOf } from './backends.ts'
import { addressesIn, send } from './http.ts'
import { OAuthAgent, type Tokens } from './oauth-agent.ts'
import { codeOf, newProof, sendForm } from './oauth.ts'
import { authorize, invite } from './people.ts'
import type { Person } from './person.ts'
import { freshAccount, sharedStack } from './shared-stack.ts'
import { eventually } from './support.ts'

const stack = sharedStack()
const WITHIN_MS = 1000
const issuer = `${stack.origin}/realms/bailiwick`
const SCOPE = 'profile:read'
/** 60 calls a minute are one app's window: enough apps that the tries do not meet it. */
const APPS = 20

/** The edge limits sign-ins per address; a hundred in a minute are a hundred offices. */
const nextAddress = addressesIn('127.0.31')
let person: Person
let sub: string
let agents: OAuthAgent[]
let accountToken: { token: string; until: number } | undefined

beforeAll(async () => {
  const account = await freshAccount(stack, 'oauth-revocation')
  ;({ person, sub } = await invite(stack, account.id, nextAddress))
  agents = []
  for (let number = 0; number < APPS; number += 1) {
    // Registrations are limited per address.
    const agent = new OAuthAgent(stack, `127.0.0.${60 + Math.floor(number / 5)}`)
    const { status, body } = await agent.register()
    if (status !== 201) throw new Error(JSON.stringify(body))
    agents.push(agent)
  }
})

/** The account page's own interface, as a click on "Remove access" uses it. */
async function removeInAccountPage(agent: OAuthAgent): Promise<void> {
  if (!accountToken || accountToken.until < Date.now()) {
    const { verifier, challenge } = newProof()
    const callback = `${issuer}/account/`
    const changes = { client_id: 'account-console', redirect_uri: callback, resource: '' }
    const arrival = await person.visit(agent.authorizationUrl('openid', challenge, changes), callback)
    const { body } = await agent.exchange(codeOf(arrival), verifier, changes)
    accountToken = { token: body.access_token, until: Date.now() + 120_000 }
  }
  const { status } = await send(`${issuer}/account/applications/${encodeURIComponent(agent.clientId)}/consent`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${accountToken.token}`, accept: 'application/json' },
    ...agent.world,
  })
  expect(status).toBe(204)
}

async function removeAsAdministrator(agent: OAuthAgent): Promise<void> {
  const realm = await realmAdminOf(stack)
  await realm.delete(`/users/${sub}/consents/${encodeURIComponent(agent.clientId)}`)
}

const removeByOperator = (agent: OAuthAgent): Promise<unknown> =>
  stack.admin('apps', 'revoke', '--app', `oauth:${sub}:${agent.clientId}`, '--reason', 'a test')

async function revokeToken(agent: OAuthAgent, tokens: { refresh_token?: string }): Promise<void> {
  const form = { client_id: agent.clientId, token: tokens.refresh_token!, token_type_hint: 'refresh_token' }
  const { status } = await sendForm(agent.world, agent.metadata!.revocation_endpoint, form)
  expect(status).toBe(200)
}

/**
 * Tokens that work. A token says in which second it was issued: one from the second of a revocation counts as issued before it,
 * and an agent that was told so refreshes or asks again.
 */
async function freshTokens(agent: OAuthAgent): Promise<Tokens> {
  await new Promise((resolve) => setTimeout(resolve, 1000 - (Date.now() % 1000)))
  const { tokens } = await authorize(agent, person, SCOPE)
  await eventually(
    'a fresh token works',
    async () => (await agent.call(tokens.access_token, 'whoami')).status === 200,
    2000,
  )
  return tokens
}

/** ms from the end of `revoke` until a call is refused. */
async function measure(
  agent: OAuthAgent,
  revoke: (agent: OAuthAgent, tokens: { refresh_token?: string }) => Promise<unknown>,
): Promise<number> {
  const tokens = await freshTokens(agent)
  await revoke(agent, tokens)
  const revokedAt = performance.now()
  for (;;) {
    const sentAt = performance.now()
    const { status } = await agent.call(tokens.access_token, 'whoami')
    if (status === 401) return sentAt - revokedAt
    if (status !== 200) throw new Error(`answered ${status} while waiting`)
    if (performance.now() - revokedAt > 10_000) return Number.POSITIVE_INFINITY
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
}

test.each([
  ['in the account page', 40, removeInAccountPage],
  ['by an administrator of the identity provider', 30, removeAsAdministrator],
  ['by ./bailiwick admin', 20, removeByOperator],
  ['by the app itself (RFC 7009)', 10, revokeToken],
])('revoked %s: refused within a second', async (where, tries, revoke) => {
  const took: number[] = []
  for (let number = 0; number < tries; number += 1) took.push(await measure(agents[number % APPS]!, revoke))
  took.sort((a, b) => a - b)
  const at = (share: number): string => took[Math.min(took.length - 1, Math.floor(took.length * share))]!.toFixed(0)
  console.log(
    `revoked ${where}: ${tries} tries, refused after p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, worst ${at(1)} ms`,
  )
  expect(took.at(-1)).toBeLessThan(WITHIN_MS)
})

test('an app that the operator revoked works again only after the person consented anew', async () => {
  const agent = agents[0]!
  const tokens = await freshTokens(agent)
  await removeByOperator(agent)
  expect((await agent.call(tokens.access_token, 'whoami')).status).toBe(401)
  expect((await agent.refresh(tokens.refresh_token!)).status).toBe(400)
  const again = await freshTokens(agent)
  expect(person.offered.map(({ name }) => name)).toEqual([SCOPE])
  expect((await agent.call(again.access_token, 'whoami')).status).toBe(200)
})

test('signing out everywhere ends the tokens of that session', async () => {
  const agent = agents[1]!
  const tokens = await freshTokens(agent)
  const realm = await realmAdminOf(stack)
  await realm.post(`/users/${sub}/logout`, {})
  await new Promise((resolve) => setTimeout(resolve, WITHIN_MS))
  expect((await agent.call(tokens.access_token, 'whoami')).status).toBe(401)
})
