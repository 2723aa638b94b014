// Comparing versions of a zone.
import type { RecordSet } from '@bailiwick/contracts/dns'
import { deny } from '@bailiwick/contracts/problem'
import type { ResourceId } from '@bailiwick/kernel/ids'
import type { ToolContext } from '../../context.ts'
import { sameRecords, setId } from './critical.ts'
import { parseSets } from './zone.ts'

export type SetChange = { name: string; type: RecordSet['type']; before: RecordSet | null; after: RecordSet | null }

/** What turns `from` into `to`, set by set, in order. Equal sets are left out. */
export function changesBetween(from: readonly RecordSet[], to: readonly RecordSet[]): SetChange[] {
  const [before, after] = [from, to].map((sets) => new Map(sets.map((set) => [setId(set), set]))) as [
    Map<string, RecordSet>,
    Map<string, RecordSet>,
  ]
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((id) => {
    const [old, now] = [before.get(id) ?? null, after.get(id) ?? null]
    if (old && now && old.ttl_seconds === now.ttl_seconds && sameRecords(old.records, now.records)) return []
    const { name, type } = (old ?? now)!
    return [{ name, type, before: old, after: now }]
  })
}

export async function readVersion(context: ToolContext, domainId: ResourceId, version: number): Promise<RecordSet[]> {
  const found = await context.zones.version(domainId, version)
  if (!found)
    return context.refuse(
      deny('NOT_FOUND', { detail: `The zone has no version ${version}.`, next: 'Call list_dns_versions.' }),
    )
  return parseSets(found.recordSets)
}
