// Which existing critical records a change of a zone would touch (mechanisms.md §6, §11). Pure. What it names needs the owner's
// approval: with MX, SPF, DKIM and DMARC one reads and forges a domain's mail; with NS, CAA and DS one takes over its names and
// certificates. Adding a first one touches nothing that exists.
import type { RecordSet } from '@bailiwick/contracts/dns'

const ALWAYS = new Set(['MX', 'NS', 'CAA', 'DS'])
const POLICY_TEXT = /^\s*v=(spf1|dmarc1)\b/i
/** `_dmarc`, `_dmarc.sub`; `selector._domainkey`, `selector._domainkey.sub`. */
const POLICY_NAME = /^_dmarc(\.|$)|(^|\.)_domainkey(\.|$)/
const APEX = '@'

export const setId = ({ name, type }: { name: string; type: string }): string => `${name} ${type}`
export const sameRecords = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && [...a].sort().every((value, index) => value === [...b].sort()[index])

/** The part of a set that is critical; null when nothing of it is. */
function criticalPart(set: RecordSet, madeNs: readonly string[]): readonly string[] | null {
  if (set.records.length === 0) return null
  // The name servers that came with the zone are ours, not the owner's: they count once the owner has changed them.
  if (set.type === 'NS' && set.name === APEX && sameRecords(set.records, madeNs)) return null
  if (ALWAYS.has(set.type)) return set.records
  // DKIM and DMARC are often a CNAME to the mail provider's record.
  if ((set.type === 'TXT' || set.type === 'CNAME') && POLICY_NAME.test(set.name)) return set.records
  if (set.type !== 'TXT') return null
  const policies = set.records.filter((value) => POLICY_TEXT.test(value))
  return policies.length > 0 ? policies : null
}

const isAtOrBelow = (name: string, ancestor: string): boolean => name === ancestor || name.endsWith(`.${ancestor}`)

/** A delegation hides everything at and below its name from resolvers, except itself and its DS: that is a removal in effect. */
const isHidden = (set: RecordSet, delegations: readonly string[]): boolean =>
  delegations.some(
    (cut) => isAtOrBelow(set.name, cut) && !(set.name === cut && (set.type === 'NS' || set.type === 'DS')),
  )
const delegationsOf = (sets: readonly RecordSet[]): string[] =>
  sets.filter((set) => set.type === 'NS' && set.name !== APEX && set.records.length > 0).map(({ name }) => name)

/**
 * The critical sets of `present` that `target` changes, removes or hides, as `name TYPE`, in order. Both are whole zones.
 * `madeNs`: the apex name servers that Bailiwick made with the zone.
 */
export function criticalTouched(
  present: readonly RecordSet[],
  target: readonly RecordSet[],
  madeNs: readonly string[],
): string[] {
  const after = new Map(target.map((set) => [setId(set), set]))
  const [cutsBefore, cutsAfter] = [delegationsOf(present), delegationsOf(target)]
  return present
    .filter((set) => {
      const critical = criticalPart(set, madeNs)
      if (!critical) return false
      const next = after.get(setId(set))
      // A second SPF record breaks the first (RFC 7208 §4.5), so records added to the critical part count as well.
      const kept = next && (criticalPart(next, []) ?? [])
      return (
        !kept ||
        next.ttl_seconds !== set.ttl_seconds ||
        !sameRecords(critical, kept) ||
        (isHidden(set, cutsAfter) && !isHidden(set, cutsBefore))
      )
    })
    .map(setId)
    .sort()
}
