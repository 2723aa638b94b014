// The official conformance suite, in both revisions, through nginx, gateway, policy, steward and the log: one test per scenario that
// counts. Which those are is the suite's own frozen list.
import { startProfileStack, type ProfileStack } from './profile/stack.ts'
import { fixtureTools } from './profile/tools.ts'
import { runSuite, scoredScenarios, type Check, type Revision } from './suite.ts'
import { startTokenProxy } from './token-proxy.ts'

/** What must fail, and why. A scenario that is listed and passes is as wrong as one that fails unlisted. */
const EXPECTED: Readonly<Record<Revision, Readonly<Record<string, string>>>> = {
  '2026-07-28': {},
  '2025-11-25': {
    // Requests of the server to the client need a session and a stream, and the gateway keeps neither. 2026-07-28 has another way.
    'tools-call-sampling': 'asks the client for a completion in the middle of a call',
    'tools-call-elicitation': 'asks the user in the middle of a call',
    'elicitation-sep1034-defaults': 'asks the user in the middle of a call',
    'elicitation-sep1330-enums': 'asks the user in the middle of a call',
  },
}
/** What the suite says without failing anything (a SHOULD that is not kept, a check that does not apply), and why that is so. */
const REMARKS: Readonly<Record<Revision, Readonly<Record<string, string>>>> = {
  '2026-07-28': {
    'SKIPPED server-stateless:sep-2575-server-sends-prompts-list-changed-on-subscription':
      'the prompts change with an upgrade only, so nothing is offered to listen to',
  },
  '2025-11-25': {
    'WARNING server-sse-multiple-streams:server-sse-multiple-streams-session': 'there are no sessions',
  },
}
const SCORED = { '2026-07-28': 37, '2025-11-25': 30 }

let stack: ProfileStack
beforeAll(async () => {
  stack = await startProfileStack()
})
afterAll(() => stack?.close())

describe.each(['2026-07-28', '2025-11-25'] as const)('%s', (revision) => {
  const scored = scoredScenarios(revision)
  const expected = EXPECTED[revision]
  let results: ReadonlyMap<string, readonly Check[]>

  beforeAll(async () => {
    const proxy = await startTokenProxy({ upstream: stack.origin, ca: stack.ca, takeToken: stack.newToken })
    try {
      results = await runSuite(revision, `${proxy.url}/mcp`)
    } finally {
      await proxy.close()
    }
  })

  const failuresOf = (scenario: string): string[] =>
    (results.get(scenario) ?? [])
      .filter(({ status }) => status === 'FAILURE')
      .map(({ id, errorMessage }) => `${id}: ${errorMessage ?? ''}`)

  test('as many scenarios count as when this was written', () => {
    expect(scored).toHaveLength(SCORED[revision])
    expect(scored).toEqual(expect.arrayContaining(Object.keys(expected)))
  })

  test.each(scored.filter((scenario) => !(scenario in expected)))('%s', (scenario) => {
    // A scenario that checked nothing has not passed.
    expect(results.get(scenario) ?? []).not.toEqual([])
    expect(failuresOf(scenario)).toEqual([])
  })

  test('what is remarked on beside that is known', () => {
    const remarks = scored.flatMap((scenario) =>
      (results.get(scenario) ?? [])
        .filter(({ status }) => status === 'WARNING' || status === 'SKIPPED')
        .map(({ id, status }) => `${status} ${scenario}:${id}`),
    )
    expect(remarks.sort()).toEqual(Object.keys(REMARKS[revision]).sort())
  })

  for (const [scenario, reason] of Object.entries(expected))
    test(`${scenario} is not served: it ${reason}`, () => {
      expect(failuresOf(scenario)).not.toEqual([])
    })
})

test('every fixture tool was decided on, executed and recorded: nothing was answered on a shorter way', async () => {
  const answered = fixtureTools(async () => undefined)
    .map(({ name }) => name)
    .filter((name) => name !== 'test_error_handling')
  expect(await stack.recordedTools()).toEqual(answered.sort())
})
