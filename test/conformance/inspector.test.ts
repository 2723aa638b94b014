// The Inspector's CLI, in both eras, with every kind of token, against a whole stack. Runs with the stack suites: it needs their stack.
import { connect, invite } from '../stack/people.ts'
import { freshAccount, sharedStack } from '../stack/shared-stack.ts'
import { inspect, type Era } from './inspector.ts'
import { installPrograms } from './programs.ts'

const stack = sharedStack()
// Registrations are limited per address: each file has one of its own.
const ADDRESS = '127.0.0.24'

type Bearer = { token: string; account: string; principal: RegExp }
/** How a token of each kind is come by. */
const KINDS: readonly (readonly [kind: string, take: () => Promise<Bearer>])[] = [
  [
    'a personal token',
    async () => {
      const { id, token, tokenId } = await freshAccount(stack, 'inspected')
      return { token, account: id, principal: new RegExp(`^pat:${tokenId}$`) }
    },
  ],
  [
    'an access token that a person consented to',
    async () => {
      const { id } = await freshAccount(stack, 'inspected')
      const { sub, person } = await invite(stack, id, ADDRESS)
      const scope = 'profile:read databases:read databases:write databases:delete'
      const { agent, tokens } = await connect(stack, person, scope, { from: ADDRESS })
      return { token: tokens.access_token, account: id, principal: new RegExp(`^oauth:${sub}:${agent.clientId}$`) }
    },
  ],
]
const ERAS: readonly Era[] = ['legacy', 'modern']

beforeAll(installPrograms)

describe.each(KINDS)('with %s', (_kind, take) => {
  let bearer: Bearer
  beforeAll(async () => {
    bearer = await take()
  })

  test.each(ERAS)('%s: lists the tools, and finds no schema that other clients would refuse', async (era) => {
    const { code, result, error } = await inspect(stack, bearer.token, era, 'tools/list', '--strict')
    expect({ code, error }).toEqual({ code: 0, error: undefined })
    const names = (result!['tools'] as { name: string }[]).map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['whoami', 'create_database', 'delete_database', 'undo']))
  })

  test.each(ERAS)('%s: calls whoami, which names the account and the caller', async (era) => {
    const { code, result, error } = await inspect(stack, bearer.token, era, 'tools/call', '--tool-name', 'whoami')
    expect({ code, error }).toEqual({ code: 0, error: undefined })
    // Every result says so since 2026-07-28, and none did before.
    expect(result!['resultType']).toBe(era === 'modern' ? 'complete' : undefined)
    expect(result).toMatchObject({
      structuredContent: {
        account: { id: bearer.account },
        token: { principal: expect.stringMatching(bearer.principal) as string },
      },
    })
  })
})

test.each(ERAS)('%s: a token that nobody has is refused as one, and nothing is listed', async (era) => {
  const { code, result, error } = await inspect(stack, `mpt_${'0'.repeat(64)}`, era, 'tools/list')
  expect(code).not.toBe(0)
  expect(result).toBeUndefined()
  expect(error).toMatchObject({ code: 'auth_required' })
})
