// The steward's peers in memory, named by how they fail, and the crash: a steward that dies at a given await and does nothing after.
import type { z } from 'zod'
import type { auditDoor } from '@bailiwick/contracts/doors/audit'
import type { Assessment } from '@bailiwick/contracts/doors/policy'
import { deny, type Denial } from '@bailiwick/contracts/problem'
import { Fault } from '@bailiwick/kernel/result'
import type { Audit, Policy, Vault } from '../../src/deps.ts'
import type { Database } from '../../src/database.ts'

type Entry = z.output<typeof auditDoor.routes.append.input>
type AuditVerb = 'intend' | 'outcome' | 'append'

/** A log that keeps its promises: durable when answered, intent and outcome once per operation. */
export function createFakeAudit() {
  const entries: Entry[] = []
  const byOperation = { intend: new Map<string, number>(), outcome: new Map<string, number>() }
  const failsBefore = new Set<AuditVerb>()
  const failsAfterEffect = new Set<AuditVerb>()
  const write = (verb: AuditVerb, entry: Entry) => {
    if (failsBefore.has(verb)) throw new Fault('AUDIT_UNAVAILABLE', `${verb} fails before`)
    const known = verb === 'append' ? undefined : byOperation[verb].get(entry.operation_id!)
    if (verb === 'outcome' && !byOperation.intend.has(entry.operation_id!))
      throw new Fault('INTENT_MISSING', 'an outcome without an intent')
    const index = known ?? entries.push(entry) - 1
    if (verb !== 'append') byOperation[verb].set(entry.operation_id!, index)
    if (failsAfterEffect.has(verb)) throw new Fault('AUDIT_UNAVAILABLE', `${verb} fails after its effect`)
    return { index, leaf_hash: '0'.repeat(64) }
  }
  const client: Audit = {
    intend: async (entry) => write('intend', entry as Entry),
    outcome: async (entry) => write('outcome', entry as Entry),
    append: async (entry) => write('append', entry as Entry),
    query: async () => ({ entries: [], next_before: null }),
  }
  return {
    client,
    entries,
    failsBefore,
    failsAfterEffect,
    of: (operationId: string) => entries.filter(({ operation_id }) => operation_id === operationId),
    hasIntent: (operationId: string) => byOperation.intend.has(operationId),
  }
}

export function createFakePolicy() {
  const assessments: z.infer<typeof Assessment>[] = []
  const verdicts: (Denial | null)[] = []
  const state = { isDown: false, asked: 0 }
  const client: Policy = {
    stillValid: async () => {
      if (state.isDown) throw new Fault('POLICY_UNAVAILABLE', 'policy is down')
      state.asked += 1
      const denial = verdicts.shift() ?? null
      return denial ? { ok: false, denial } : { ok: true }
    },
    assess: async ({ assessment }) => {
      assessments.push(assessment as z.infer<typeof Assessment>)
      return assessment.kind === 'approval'
        ? { ok: false, denial: deny('APPROVAL_REQUIRED') }
        : { ok: true, preview_token: `token-${assessments.length}`, expires_at: 1_800_000_000_000 }
    },
    readApproval: async () => ({ ok: true }),
    describe: async () => {
      throw new Fault('POLICY_UNAVAILABLE', 'not needed here')
    },
  }
  /** `verdicts`: stillValid's answers, in order; when none is left: yes. */
  return Object.assign(state, { client, verdicts, assessments })
}

export function createFakeVault() {
  const state = { isSound: true }
  const verified: string[] = []
  const client: Vault = {
    verify: async ({ name }) => {
      verified.push(name)
      return { ok: state.isSound }
    },
  }
  return Object.assign(state, { client, verified })
}

export class Crash extends Error {}

/** A life that ends at the `dieAt`-th await, before or after what was awaited had its effect. Dead, it does nothing any more. */
export function createLife(dieAt = Number.POSITIVE_INFINITY, when: 'before' | 'after' = 'before') {
  const passed: string[] = []
  let dead = false
  const alive = (): void => {
    if (dead) throw new Crash(`dead at ${passed.at(-1)}`)
  }
  const die = (): void => {
    dead = true
    alive()
  }
  async function point<T>(name: string, act: () => Promise<T>): Promise<T> {
    alive()
    const own = passed.push(name)
    if (own === dieAt && when === 'before') die()
    const result = await act()
    if (own === dieAt) die()
    alive()
    return result
  }
  const around = <C extends object>(name: string, client: C): C =>
    Object.fromEntries(
      Object.entries(client).map(([verb, act]) => [
        verb,
        (input: unknown) => point(`${name}.${verb}`, () => (act as (input: unknown) => Promise<unknown>)(input)),
      ]),
    ) as C
  const aroundDatabase = (database: Database): Database => {
    const label = (text: string): string => text.trim().replace(/\s+/g, ' ').slice(0, 60)
    return {
      query: (text, values) => point(label(text), () => database.query(text, values)),
      asAccount: (account, work) =>
        point('transaction', () =>
          database.asAccount(account, (query) => work((text, values) => point(label(text), () => query(text, values)))),
        ),
      close: () => database.close(),
    }
  }
  return { passed, around, aroundDatabase, isDead: () => dead }
}
export type Life = ReturnType<typeof createLife>
