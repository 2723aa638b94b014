// A part hangs (SIGSTOP): every changing tool that needs it is refused with the right code and changes nothing; when the part goes on,
// the same call with the same key succeeds once, and is undone whole.
import { randomUUID } from 'node:crypto'
import { freshAccount, sharedStack, type Account } from './shared-stack.ts'
import { SCENARIOS, type Prepared } from './scenarios.ts'
import { eventually, type Reply } from './support.ts'

const stack = sharedStack()
const DNS_TOOLS = new Set([
  'add_domain',
  'verify_domain',
  'set_dns_records',
  'restore_dns_version',
  'delete_dns_records',
  'delete_domain',
])
const all = SCENARIOS.map(({ tool }) => tool)

const CASES: readonly { part: string; tools: readonly string[]; codes: readonly string[] }[] = [
  { part: 'keeper', tools: all, codes: ['BACKEND_UNAVAILABLE'] },
  { part: 'powerdns', tools: all.filter((tool) => DNS_TOOLS.has(tool)), codes: ['BACKEND_UNAVAILABLE'] },
  { part: 'vault', tools: ['delete_database', 'delete_domain'], codes: ['SNAPSHOT_FAILED', 'BACKEND_UNAVAILABLE'] },
  { part: 'audit', tools: all, codes: ['AUDIT_UNAVAILABLE'] },
  { part: 'policy', tools: ['set_dns_records', 'insert_rows'], codes: ['POLICY_UNAVAILABLE'] },
  { part: 'valkey', tools: ['set_dns_records', 'insert_rows'], codes: ['LIMITS_UNAVAILABLE', 'POLICY_UNAVAILABLE'] },
]

const pidOf = async (part: string): Promise<number> => {
  const pid = (await stack.status()).find(({ name }) => name === part)?.pid
  if (!pid) throw new Error(`${part} is not running`)
  return pid
}

type Run = {
  tool: string
  account: Account
  prepared: Prepared
  before: string
  input: Record<string, unknown>
  key: string
}

describe.each(CASES)('$part hangs', ({ part, tools, codes }) => {
  const runs: Run[] = []
  let replies: Reply[] = []
  beforeAll(async () => {
    for (const { tool, prepare } of SCENARIOS.filter((scenario) => tools.includes(scenario.tool))) {
      const account = await freshAccount(stack, `down-${part}-${tool}`)
      const prepared = await prepare(stack, account, `${part}-${tool.replaceAll('_', '-')}-${Date.now().toString(36)}`)
      runs.push({
        tool,
        account,
        prepared,
        before: await prepared.look(),
        input: prepared.confirm ? await prepared.confirm() : prepared.input,
        key: randomUUID(),
      })
    }
    const pid = await pidOf(part)
    process.kill(pid, 'SIGSTOP')
    try {
      replies = await Promise.all(
        runs.map((run) => stack.call(run.account.token, run.tool, run.input, { 'idempotency-key': run.key })),
      )
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await eventually(
      'all parts are healthy',
      async () => (await stack.status()).every(({ health }) => health === 'up'),
      60_000,
    )
  }, 300_000)

  test.each([...tools])(
    '%s is refused, then done once, then undone whole',
    async (tool) => {
      const at = runs.findIndex((run) => run.tool === tool)
      const run = runs[at]!
      const refusal = replies[at]!
      expect(codes).toContain(refusal.body['code'])
      expect([503, 507]).toContain(refusal.status)

      const deadline = Date.now() + 90_000
      let reply = await stack.call(run.account.token, tool, run.input, { 'idempotency-key': run.key })
      while (reply.status !== 200 && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 1000))
        reply = await stack.call(run.account.token, tool, run.input, { 'idempotency-key': run.key })
      }
      expect([reply.status, reply.body['code']]).toEqual([200, undefined])
      expect(await run.prepared.look()).not.toBe(run.before)
      await stack.must(run.account.token, 'undo', {
        operation_id: (reply.body['undo'] as { operation_id: string }).operation_id,
      })
      expect(await run.prepared.look()).toBe(run.before)
    },
    150_000,
  )
})
