// A domain's zone as the tools see it: read sorted, written in one piece, each write a version of its history.
import { z } from 'zod'
import { parseRecordValue, RecordName, RecordSet, RecordType } from '@bailiwick/contracts/dns'
import type { Json } from '@bailiwick/kernel/canonical'
import { ResourceId } from '@bailiwick/kernel/ids'
import type { Resource, ToolContext } from '../../context.ts'
import { untrusted, UntrustedText } from '../../untrusted.ts'
import { criticalTouched, setId } from './critical.ts'

export const DOMAIN = 'domain'
export const DomainId = ResourceId.describe('From list_domains.')
export const Name = RecordName.describe('Relative to the zone: `@` for the apex, `www`, `*.apps`.')

/** What Bailiwick keeps about a domain. `made_ns`: the apex name servers that came with the zone. */
export const DomainData = z.object({ verified_at: z.number().nullable(), made_ns: z.array(z.string()) })
export const domainData = (resource: Resource): z.output<typeof DomainData> => DomainData.parse(resource.data)

export type Zone = {
  name: string
  state: 'staged' | 'published' | 'quarantined' | 'absent'
  serial: number | null
  record_sets: RecordSet[]
}

/** One name and type; no records when there is no such set. */
export type SetKey = { name: string; type: RecordType }

/** In one order whatever the server's, because states are compared: records of a set have no order (RFC 2181 §5). */
const sorted = (sets: readonly RecordSet[]): RecordSet[] =>
  sets.map((set) => ({ ...set, records: [...set.records].sort() })).sort((a, b) => (setId(a) < setId(b) ? -1 : 1))

export async function readZone(context: ToolContext, domainId: ResourceId): Promise<Zone> {
  const { name } = await context.resources.get(domainId)
  const { zone } = await context.keeper.read_zone({ zone_id: domainId, name })
  return { ...zone, name, record_sets: sorted(zone.record_sets) }
}

/** `present` with `changes` put in; a set without records goes away. */
export function applySets(present: readonly RecordSet[], changes: readonly RecordSet[]): RecordSet[] {
  const sets = new Map(present.map((set) => [setId(set), set]))
  for (const set of changes) {
    if (set.records.length > 0) sets.set(setId(set), set)
    else sets.delete(setId(set))
  }
  return sorted([...sets.values()])
}

/** No such set. Always the same text: a handler that runs again after a crash must tell the keeper the same thing. */
export const noSet = ({ name, type }: SetKey): RecordSet => ({ name, type, ttl_seconds: 3600, records: [] })
export const pickSets = (present: readonly RecordSet[], keys: readonly SetKey[]): RecordSet[] =>
  keys.map((key) => present.find((set) => setId(set) === setId(key)) ?? noSet(key))

/** What the DNS tools capture: the sets that the call touches and no other, so that undo conflicts only over those. */
export type SetsState = { sets: Record<string, RecordSet> }
export const setsState = (sets: readonly RecordSet[]): SetsState => ({
  sets: Object.fromEntries(sets.map((set) => [setId(set), set])),
})

/**
 * The zone as this operation found it: its last version. Not the zone itself, which a handler that runs again after a crash
 * finds changed already.
 */
export async function foundZone(context: ToolContext, domainId: ResourceId): Promise<RecordSet[]> {
  const { items } = await context.zones.versions(domainId, { limit: 1, cursor: null })
  const last = items[0]
  return last ? parseSets(last.recordSets) : (await readZone(context, domainId)).record_sets
}

/** All of `sets` in one write, and the zone's next version with it. */
export async function writeSets(context: ToolContext, domainId: ResourceId, sets: readonly RecordSet[]): Promise<void> {
  const { name } = await context.resources.get(domainId)
  await context.keeper.replace_record_sets({ zone_id: domainId, name, record_sets: [...sets] })
  const { record_sets } = await readZone(context, domainId)
  context.zones.record(domainId, record_sets)
}

/** For touchesCritical: the zone as it is against the zone with `changes`. */
export async function criticalOf(
  context: ToolContext,
  domainId: ResourceId,
  changes: readonly RecordSet[],
): Promise<string[]> {
  const [{ record_sets }, resource] = await Promise.all([readZone(context, domainId), context.resources.get(domainId)])
  return criticalTouched(record_sets, applySets(record_sets, changes), {
    name: resource.name,
    madeNs: domainData(resource).made_ns,
  })
}

/** Values in their canonical form, each once. The schema has refused what is none. */
export const canonicalRecords = (type: RecordType, records: readonly string[]): string[] => [
  ...new Set(records.map((value) => parseRecordValue(type, value) ?? value)),
]

/** A set as answers show it: contents of records are text from outside. */
export const ShownSet = z.strictObject({
  name: z.string(),
  type: RecordType,
  ttl_seconds: z.number().int(),
  records: z.array(UntrustedText),
})
export const showSet = (set: RecordSet): z.input<typeof ShownSet> => ({
  ...set,
  records: set.records.map((value) => untrusted(value)),
})
export const parseSets = (recordSets: Json): RecordSet[] => sorted(z.array(RecordSet).parse(recordSets))
