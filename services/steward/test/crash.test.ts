// The crash table: a steward is killed at each of its awaits, before and after the effect of what it awaited; another one on the
// same database recovers; the client repeats its call. Every promise must hold after each.
import type { Permit } from '@bailiwick/contracts/permit'
import { createLife, Crash } from './support/fakes.ts'
import { LEASE_MS, openHouse, outputOf, textOf, type House, type Steward } from './support/house.ts'

let house: House
beforeAll(async () => {
  house = await openHouse()
})
afterAll(() => house.close())

type Account = Permit['account']
type Prepared = { tool: string; input: { [field: string]: never }; more?: object; resource: string | null }
type Scenario = { name: string; verb: string | null; hasSecret: boolean; prepare(account: Account): Promise<Prepared> }

const make = async (account: Account): Promise<string> =>
  textOf(await house.call(house.steward(), 'create_database', { name: 'shop' }, { account }), 'database_id')
const del = (id: string, version: number) => ({
  tool: 'delete_database',
  input: { database_id: id, preview_token: 't', confirm: true } as never,
  more: { bound: { resource_id: id, version }, preview_id: 'p' },
})

const SCENARIOS: Scenario[] = [
  {
    name: 'create_database (recoverable, with a secret)',
    verb: 'create_database',
    hasSecret: true,
    prepare: async () => ({ tool: 'create_database', input: { name: 'shop' } as never, resource: null }),
  },
  {
    name: 'set_database_limits (exact)',
    verb: 'set_database_limits',
    hasSecret: false,
    async prepare(account) {
      const id = await make(account)
      const limits = { connections: 7, statement_timeout_ms: 5000 }
      return { tool: 'set_database_limits', input: { database_id: id, limits } as never, resource: id }
    },
  },
  {
    name: 'rotate_database_password (kept, with a secret)',
    verb: null,
    hasSecret: true,
    async prepare(account) {
      const id = await make(account)
      return { tool: 'rotate_database_password', input: { database_id: id } as never, resource: id }
    },
  },
  {
    name: 'delete_database (recoverable, destructive)',
    verb: 'quarantine_database',
    hasSecret: false,
    async prepare(account) {
      const id = await make(account)
      return { ...del(id, 1), resource: id }
    },
  },
  {
    name: 'undo of delete_database',
    verb: 'restore_database',
    hasSecret: false,
    async prepare(account) {
      const id = await make(account)
      const { tool, input, more } = del(id, 1)
      const deleted = await house.call(house.steward(), tool, input, { account, ...more })
      return { tool: 'undo', input: { operation_id: deleted.operation_id } as never, resource: id }
    },
  },
]

const OF_ONE_REPLY: ReadonlySet<string> = new Set(['secret', 'undo', 'idempotent_replay'])
/** What every answer of a scenario must agree in. Ids are made for each run. */
const bare = (output: { [field: string]: unknown }): { [field: string]: unknown } =>
  Object.fromEntries(
    Object.entries(output)
      .filter(([name]) => !OF_ONE_REPLY.has(name))
      .map(([name, value]) => [name, /_id$|^undone$/.test(name) ? 'id' : value]),
  )

async function attempt(by: Steward, prepared: Prepared, account: Account, operation: string): Promise<unknown> {
  const { tool, input, more } = prepared
  return house.call(by, tool, input, { account, ...more, operation_id: operation as never })
}

async function killAndReturn(scenario: Scenario, dieAt: number, when: 'before' | 'after', recoverFirst: boolean) {
  const account = house.account()
  const prepared = await scenario.prepare(account)
  const versionBefore = prepared.resource ? await house.version(prepared.resource) : 0
  const operation = house.newOperation()
  const life = createLife(dieAt, when)
  // Whatever a dying process still said, nobody got it.
  await attempt(house.steward(life), prepared, account, operation).catch((error: unknown) => {
    if (!(error instanceof Crash)) throw error
  })
  if (!life.isDead()) throw new Error(`did not die at ${dieAt}`)
  house.clock.advance(LEASE_MS + 1)
  const second = house.steward()
  if (recoverFirst) await second.recovery.pass()
  const reply = (await attempt(second, prepared, account, operation)) as Awaited<ReturnType<Steward['execute']>>
  return { account, prepared, versionBefore, operation, reply, at: `${when} ${life.passed[dieAt - 1]} (${dieAt})` }
}

describe.each(SCENARIOS)('$name', (scenario) => {
  test.each([
    ['recovery comes first', true],
    ['the client’s retry comes first', false],
  ])(
    'killed at each await, %s: one effect, one intent, one outcome, the same answer, a fresh secret',
    async (_order, recoverFirst) => {
      const dryAccount = house.account()
      const dry = await scenario.prepare(dryAccount)
      const whole = createLife()
      const expected = outputOf((await attempt(house.steward(whole), dry, dryAccount, house.newOperation())) as never)
      expect(whole.passed.length).toBeGreaterThan(10)
      const secrets = new Set<string>(scenario.hasSecret ? [JSON.stringify(expected['secret'])] : [])

      for (let dieAt = 1; dieAt <= whole.passed.length; dieAt += 1) {
        for (const when of ['before', 'after'] as const) {
          const { reply, operation, prepared, versionBefore, at } = await killAndReturn(
            scenario,
            dieAt,
            when,
            recoverFirst,
          )
          const output = outputOf(reply)
          expect({ at, ...bare(output) }).toEqual({ at, ...bare(expected) })
          const entries = house.audit.of(operation)
          const count = (kind: string): number => entries.filter((entry) => entry.kind === kind).length
          expect({ at, intents: count('intent'), outcomes: count('outcome') }).toEqual({ at, intents: 1, outcomes: 1 })
          expect({ at, code: entries.find(({ kind }) => kind === 'outcome')!.code }).toEqual({ at, code: null })
          if (reply.ok && reply.replay) expect({ at, replays: count('replay') }).toEqual({ at, replays: 1 })

          const id = prepared.resource ?? textOf(reply, 'database_id')
          expect({ at, version: await house.version(id) }).toEqual({ at, version: versionBefore + 1 })
          // Told again only after having asked what became of the first time.
          const told = house.told(operation)
          const acted = told.flatMap((verb, index) => (verb === scenario.verb ? [index] : []))
          expect({ at, acted: acted.length >= (scenario.verb ? 1 : 0) }).toEqual({ at, acted: true })
          acted.slice(1).forEach((place, index) => {
            expect({ at, probed: told.slice(acted[index], place).includes('probe') }).toEqual({ at, probed: true })
          })
          if (scenario.hasSecret) {
            const secret = JSON.stringify(output['secret'])
            expect({ at, isFresh: output['secret'] !== undefined && !secrets.has(secret) }).toEqual({
              at,
              isFresh: true,
            })
            secrets.add(secret)
            expect(entries.some(({ kind }) => kind === 'secret_issued')).toBe(true)
          }
        }
      }
      expect(house.unrecorded).toEqual([])
      const { rows } = await house.superuser.query('SELECT key FROM steward.locks')
      expect(rows).toEqual([])
      // Nothing of the secrets is in the database.
      const dump = await house.superuser.query<{ text: string }>('SELECT o::text AS text FROM steward.operations o')
      for (const { text } of dump.rows) expect(text).not.toMatch(/password-|"password"/)
    },
    180_000,
  )
})
