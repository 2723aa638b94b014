// Between the contract's record sets (relative names, plain TXT) and PowerDNS's (absolute names, zone-file contents). Pure.
import { parseRecordValue, quoteTxt, RecordType, unquoteTxt, type RecordSet } from '@bailiwick/contracts/dns'
import { Refusal } from '../refusal.ts'
import { fits, toAbsolute, toRelative } from './names.ts'
import { operationComment } from './stamp.ts'
import type { PdnsChange, PdnsSet } from './powerdns.ts'

const keyOf = (set: { name: string; type: string }): string => `${set.name} ${set.type}`
const byKey = (a: RecordSet, b: RecordSet): number => (keyOf(a) < keyOf(b) ? -1 : 1)

/** PowerDNS returns IPv4-mapped addresses with dots and refuses to take them so; this spelling goes both ways. */
export const spellAaaa = (address: string): string => new URL(`http://[${address}]`).hostname.slice(1, -1)

/** The one spelling of a value that is stored and compared. */
function canonicalValue(type: RecordType, value: string): string {
  const parsed = parseRecordValue(type, value)
  if (parsed === null) throw new Refusal('INPUT_INVALID', `not a value of type ${type}`)
  return type === 'AAAA' ? spellAaaa(parsed) : parsed
}

const toContent = (type: RecordType, value: string): string => (type === 'TXT' ? quoteTxt(value) : value)

function fromContent(type: RecordType, content: string): string {
  if (type === 'TXT') return unquoteTxt(content)
  if (type === 'AAAA') return spellAaaa(content)
  return parseRecordValue(type, content) ?? content
}

/** What callers may see of a zone: every set of a type they may write, in a fixed order. */
export function toRecordSets(sets: readonly PdnsSet[], apex: string): RecordSet[] {
  return sets
    .flatMap((set) => {
      const type = RecordType.safeParse(set.type)
      const live = set.records.filter(({ disabled }) => !disabled)
      if (!type.success || live.length === 0) return []
      const records = live.map(({ content }) => fromContent(type.data, content)).sort()
      return [{ name: toRelative(set.name, apex), type: type.data, ttl_seconds: set.ttl, records }]
    })
    .sort(byKey)
}

/** One spelling, no doubles. Refuses what could never stand in this zone. */
export function normalize(sets: readonly RecordSet[], zone: { zone_id: string; name: string }): RecordSet[] {
  const seen = new Set<string>()
  return sets.map((set) => {
    if (seen.has(keyOf(set))) throw new Refusal('INPUT_INVALID', `${set.name} ${set.type} is named twice`)
    seen.add(keyOf(set))
    if (!fits(set.name, zone.zone_id, zone.name))
      throw new Refusal('INPUT_INVALID', `${set.name} is too long under this domain`)
    if (set.name === '@' && set.type === 'NS' && set.records.length === 0)
      throw new Refusal('CONFLICT', 'A zone cannot be without NS records at its apex.')
    if (set.name === '@' && (set.type === 'CNAME' || set.type === 'DS') && set.records.length > 0)
      throw new Refusal('CONFLICT', `${set.type} cannot stand at the apex of a zone.`)
    return { ...set, records: [...new Set(set.records.map((value) => canonicalValue(set.type, value)))].sort() }
  })
}

/** RFC 1034 §3.6.2: a CNAME stands alone at its name. Judged on the zone as it will be. */
export function refuseCnameConflicts(present: readonly RecordSet[], changes: readonly RecordSet[]): void {
  const after = new Map(present.map((set) => [keyOf(set), set]))
  for (const set of changes)
    if (set.records.length === 0) after.delete(keyOf(set))
    else after.set(keyOf(set), set)
  const typesAt = Map.groupBy(after.values(), ({ name }) => name)
  for (const [name, sets] of typesAt)
    if (sets.length > 1 && sets.some(({ type }) => type === 'CNAME'))
      throw new Refusal('CONFLICT', `${name} cannot have a CNAME beside other records.`)
}

export function toChange(set: RecordSet, apex: string, operationId: string, nowMs: number): PdnsChange {
  const place = { name: toAbsolute(set.name, apex), type: set.type }
  if (set.records.length === 0) return { ...place, changetype: 'DELETE' }
  return {
    ...place,
    changetype: 'REPLACE',
    ttl: set.ttl_seconds,
    records: set.records.map((value) => ({ content: toContent(set.type, value), disabled: false })),
    comments: [operationComment(operationId, nowMs)],
  }
}
