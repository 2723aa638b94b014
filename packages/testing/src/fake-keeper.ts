// An in-memory keeper of the keeper's first door: the same messages, refusals and idempotency by operation, verb and target.
// Tests steer how it fails, act with a handed-out password (`direct`), and compare its whole world.
import { keeperDoor } from '@bailiwick/contracts/doors/keeper'
import { hashJson, type Json } from '@bailiwick/kernel/canonical'
import { systemClock, type Clock } from '@bailiwick/kernel/clock'
import type { Client } from '@bailiwick/kernel/door'
import { Fault } from '@bailiwick/kernel/result'
import { createFakeDatabases } from './fake-keeper-databases.ts'
import { Refused, type KeeperVerb, type Refusal, type Verbs } from './fake-keeper-verbs.ts'
import { createFakeZones } from './fake-keeper-zones.ts'

export type { KeeperVerb } from './fake-keeper-verbs.ts'
export { FAKE_NAME_SERVERS } from './fake-keeper-zones.ts'

export type FakeKeeper = ReturnType<typeof createFakeKeeper>
type Fields = { readonly [field: string]: string | undefined }

export function createFakeKeeper({ clock = systemClock }: { clock?: Clock } = {}) {
  const databases = createFakeDatabases(clock)
  const zones = createFakeZones()
  const memory = new Map<string, { operation: string; verb: string; target: string; input: string; answer: object }>()
  const verbs: Verbs<KeeperVerb> = {
    ...databases.verbs,
    ...zones.verbs,
    probe: ({ operation_id }) => ({
      steps: [...memory.values()]
        .filter(({ operation }) => operation === operation_id)
        .map(({ verb, target }) => ({ verb, target, state: 'done' as const })),
    }),
  }

  // How it fails.
  const failsBefore = new Set<KeeperVerb>()
  const failsAfterEffect = new Set<KeeperVerb>()
  const refuses = new Map<KeeperVerb, Refusal>()
  const calls: { verb: KeeperVerb; input: object }[] = []

  function call(verb: KeeperVerb, raw: unknown): object {
    const input = keeperDoor.routes[verb].input.parse(raw)
    calls.push({ verb, input })
    if (failsBefore.has(verb)) throw new Fault('BACKEND_UNAVAILABLE', `${verb} fails before`)
    const refusal = refuses.get(verb)
    if (refusal) return { ok: false, ...refusal }
    const { account_id, operation_id, database_id, zone_id, table, of_operation } = input as unknown as Fields
    const operation = verb === 'probe' ? undefined : operation_id
    const target = `${database_id ?? zone_id}/${table ?? of_operation ?? ''}`
    const id = `${account_id} ${operation} ${verb} ${target}`
    const hash = hashJson(input)
    const before = operation ? memory.get(id) : undefined
    if (before && before.input !== hash)
      throw new Fault('OPERATION_REUSED', `${verb} of operation ${operation} came with another input`)
    try {
      const answer = before?.answer ?? { ok: true, ...(verbs[verb] as (input: unknown) => object)(input) }
      if (operation) memory.set(id, { operation, verb, target, input: hash, answer })
      if (failsAfterEffect.has(verb)) throw new Fault('BACKEND_UNAVAILABLE', `${verb} fails after its effect`)
      return keeperDoor.routes[verb].output.parse(structuredClone(answer))
    } catch (error) {
      if (error instanceof Refused) return { ok: false, ...error.refusal }
      throw error
    }
  }

  return {
    /** As `connectDoor` would make it. */
    client: Object.fromEntries(
      Object.keys(verbs).map((verb) => [verb, async (input: unknown) => call(verb as KeeperVerb, input)]),
    ) as unknown as Client<typeof keeperDoor>,
    /** What resolvers outside see, beside what is published. */
    txt: zones.txt,
    /** DS at the parent, by domain; absent where nothing is set. */
    parentDs: zones.parentDs,
    /** What the registry says, by domain; unknown where nothing is set. */
    registrations: zones.registrations,
    /** Name servers at the parent, by domain; unknown where nothing is set. */
    delegated: zones.delegated,
    failsBefore,
    failsAfterEffect,
    refuses,
    /** Every message that arrived, in order. */
    calls,
    /** As whoever holds the database's password: outside every operation. */
    direct: databases.direct,
    /** All that users could see, in one canonical form for deep comparison: no serials, no history, nothing quarantined. */
    world: (): Json => ({ databases: databases.world(), zones: zones.world() }),
  }
}
