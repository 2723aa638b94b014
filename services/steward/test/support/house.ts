// A steward's house for tests: real PostgreSQL, the fake keeper and peers, and as many stewards on them as a test wants to kill.
import { z } from 'zod'
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { createFakeKeeper } from '@bailiwick/testing/fake-keeper'
import { freshDatabase } from '@bailiwick/testing/database'
import { inputHash, sealPermit, type Permit, type SealedPermit } from '@bailiwick/contracts/permit'
import type { Json } from '@bailiwick/kernel/canonical'
import { fakeClock } from '@bailiwick/kernel/clock'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { silentLogger } from '@bailiwick/kernel/logger'
import { buildCatalog } from '../../src/catalog.ts'
import { openDatabase } from '../../src/database.ts'
import type { Tool } from '../../src/define-tool.ts'
import type { Deps } from '../../src/deps.ts'
import { createExecute, type Execute } from '../../src/execute.ts'
import { createGate } from '../../src/gate.ts'
import { createJournal } from '../../src/journal.ts'
import { createRecovery } from '../../src/recover.ts'
import { tools as allTools } from '../../src/tools/index.ts'
import { createFakeAudit, createFakePolicy, createFakeVault, createLife, type Life } from './fakes.ts'

export type House = Awaited<ReturnType<typeof openHouse>>
export type Steward = ReturnType<House['steward']>
type Fields = { [field: string]: Json }

export const LEASE_MS = 15_000
export const ALL_SCOPES = ['databases', 'domains', 'dns', 'profile'].flatMap((domain) =>
  ['read', 'write', 'delete'].map((right) => `${domain}:${right}`),
)

export async function openHouse(tools: readonly Tool[] = allTools) {
  const clock = fakeClock()
  const postgres = await freshDatabase()
  const database = openDatabase({
    // What is killed here is the steward, never PostgreSQL: its fsyncs prove nothing and cost most of the time.
    url: `${postgres.as('steward')}?options=${encodeURIComponent('-c synchronous_commit=off')}`,
    maxConnections: 12,
  })
  const superuser = new Client({ connectionString: postgres.superuser })
  await superuser.connect()
  const keeper = createFakeKeeper({ clock })
  const audit = createFakeAudit()
  const policy = createFakePolicy()
  const vault = createFakeVault()
  const catalog = buildCatalog(tools)
  const permitKey = randomBytes(32)
  /** Changes that reached the keeper before the log had their intent: must stay empty. */
  const unrecorded: string[] = []
  const watched = Object.fromEntries(
    Object.entries(keeper.client).map(([verb, act]) => [
      verb,
      (input: { operation_id?: string }) => {
        const { operation_id } = input
        if (operation_id && verb !== 'probe' && !audit.hasIntent(operation_id))
          unrecorded.push(`${verb} ${operation_id}`)
        return (act as (input: unknown) => Promise<unknown>)(input)
      },
    ]),
  ) as unknown as typeof keeper.client

  /** A new process on the same world. `life`: when it dies. */
  function steward(life: Life = createLife()) {
    const own = life.aroundDatabase(database)
    const deps: Deps = {
      clock,
      logger: silentLogger,
      database: own,
      journal: createJournal({ database: own, clock, holder: uuidv7(), leaseMs: LEASE_MS }),
      gate: createGate(silentLogger),
      keeper: life.around('keeper', watched),
      policy: life.around('policy', policy.client),
      audit: life.around('audit', audit.client),
      vault: life.around('vault', vault.client),
      catalog,
      tools: new Map(tools.map((tool) => [tool.name, tool])),
    }
    return { deps, life, execute: createExecute(deps, permitKey), recovery: createRecovery(deps) }
  }

  /** What policy would issue. `more` overrides. */
  function permit(tool: string, input: Fields, more: Partial<Permit> & { account: Permit['account'] }): SealedPermit {
    const described = catalog.tools.get(tool)
    const isRead = described?.effect === 'read'
    return sealPermit(permitKey, {
      v: 1,
      principal: 'pat:0190a000-0000-7000-8000-000000000002',
      user: null,
      token_id: 'a'.repeat(64),
      client: null,
      door: 'mcp',
      scopes: ALL_SCOPES,
      tier: 'beta',
      tool,
      risk: described?.risk ?? 'read',
      decision: 'allow',
      policy_hash: 'p'.repeat(64),
      catalog_hash: catalog.hash,
      input_hash: inputHash(input),
      operation_id: isRead ? null : (uuidv7(clock.now()) as Permit['operation_id']),
      bound: null,
      preview_id: null,
      approval_id: null,
      obligations: [],
      undo_until: isRead ? null : clock.now() + 30 * 86_400_000,
      address: '192.0.2.1',
      agent: 'test',
      request_id: uuidv7(),
      idempotency_key: null,
      issued_at: clock.now(),
      nonce: uuidv7(),
      ...more,
    } as Permit)
  }

  /** Every answer of every test is what the catalog promises to clients, which refuse anything else. */
  const promises = new Map(catalog.list.map(({ name, output_schema }) => [name, z.fromJSONSchema(output_schema)]))
  const call = async (
    by: { execute: Execute },
    tool: string,
    input: Fields,
    more: Partial<Permit> & { account: Permit['account'] },
  ) => {
    const reply = await by.execute({ permit: permit(tool, input, more), input }, 'gateway')
    if (reply.ok) promises.get(tool)?.parse(reply.output)
    return reply
  }

  return {
    clock,
    database,
    superuser,
    keeper,
    audit,
    policy,
    vault,
    catalog,
    permitKey,
    unrecorded,
    steward,
    permit,
    call,
    account: () => uuidv7(clock.now()) as Permit['account'],
    newOperation: () => uuidv7(clock.now()) as NonNullable<Permit['operation_id']>,
    /** Changing verbs of an operation as they arrived, with its probes in between. */
    told: (operationId: string) =>
      keeper.calls
        .filter(({ input }) => (input as { operation_id?: string }).operation_id === operationId)
        .map(({ verb }) => verb),
    version: async (id: string): Promise<number> =>
      (await superuser.query<{ version: number }>('SELECT version FROM steward.resources WHERE id = $1', [id])).rows[0]!
        .version,
    state: async (operationId: string): Promise<string> =>
      (await superuser.query<{ state: string }>('SELECT state FROM steward.operations WHERE id = $1', [operationId]))
        .rows[0]!.state,
    async close() {
      await superuser.end()
      await database.close()
      await postgres.drop()
    },
  }
}

type Reply = Awaited<ReturnType<Steward['execute']>>
export function outputOf(reply: Reply): Fields {
  if (!reply.ok) throw new Error(`refused: ${JSON.stringify(reply.denial)}`)
  return reply.output
}
export function codeOf(reply: Reply): string {
  if (reply.ok) throw new Error(`not refused: ${JSON.stringify(reply.output)}`)
  return reply.denial.code
}
/** A field of an answer that is text. */
export function textOf(reply: Reply, field: string): string {
  const value = outputOf(reply)[field]
  if (typeof value !== 'string') throw new Error(`${field} is not text: ${JSON.stringify(value)}`)
  return value
}
