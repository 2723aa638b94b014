// People and their apps in a stack under test: invited by the operator, signed in by themselves, connected with consent.
import type { Source } from './http.ts'
import { OAuthAgent, worldOf, type Tokens } from './oauth-agent.ts'
import { CALLBACK, codeOf, newProof } from './oauth.ts'
import { Person } from './person.ts'
import type { Stack } from './support.ts'

export type Invited = { readonly sub: string; readonly username: string; readonly temporary_password: string }

let made = 0

export type Member = { readonly sub: string; readonly person: Person }
/** The scopes to tick, `all` of those offered, or `null`: press Cancel. */
export type Ticks = readonly string[] | 'all' | null

/** A new person who is an owner of `account`; has not signed in yet. */
export async function invite(stack: Stack, account: string, from?: Source): Promise<Member> {
  made += 1
  const email = `person-${Date.now().toString(36)}-${made}@example.test`
  const invited = await stack.admin<Invited>('members', 'invite', '--account', account, '--email', email)
  const person = new Person(invited.username, invited.temporary_password, worldOf(stack, from))
  // The invitation's own acts at Keycloak count as changes of the person: tokens of that second are refused. People are slower.
  await new Promise((resolve) => setTimeout(resolve, 2000))
  return { sub: invited.sub, person }
}

/** From nothing to tokens: the agent registers, asks for `scope`, the person signs in and ticks. */
export async function connect(
  stack: Stack,
  person: Person,
  scope: string,
  options: { ticks?: Ticks; from?: Source } = {},
): Promise<{ agent: OAuthAgent; tokens: Tokens; pages: readonly string[] }> {
  const agent = new OAuthAgent(stack, options.from)
  const registered = await agent.register()
  if (registered.status !== 201) throw new Error(`not registered: ${JSON.stringify(registered)}`)
  return { agent, ...(await authorize(agent, person, scope, options.ticks)) }
}

/** One more authorization of a client that is registered already. `pages`: what the person met on the way. */
export async function authorize(
  agent: OAuthAgent,
  person: Person,
  scope: string,
  ticks?: Ticks,
): Promise<{ tokens: Tokens; pages: readonly string[] }> {
  const { params, pages, verifier } = await askForCode(agent, person, scope, ticks)
  const code = codeOf({ params })
  if (params['iss'] !== agent.metadata!.issuer) throw new Error(`iss is ${params['iss']} (RFC 9207)`)
  const { status, body } = await agent.exchange(code, verifier)
  if (status !== 200) throw new Error(`no tokens: ${status} ${JSON.stringify(body)}`)
  return { tokens: body, pages }
}

/** Up to the callback, whatever it brings. */
export async function askForCode(agent: OAuthAgent, person: Person, scope: string, ticks: Ticks = 'all') {
  const { verifier, challenge } = newProof()
  const { params, pages } = await person.visit(agent.authorizationUrl(scope, challenge), CALLBACK, {
    connect: ticks !== null,
    tick: (offered) =>
      offered.map(({ name }) => name).filter((name) => ticks === 'all' || (ticks !== null && ticks.includes(name))),
  })
  return { params, pages, verifier }
}
