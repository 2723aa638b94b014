// Which existing critical records a change of a zone would touch (mechanisms.md §6, §11). Pure. What it names needs the owner's
// approval: with MX, SPF, DKIM and DMARC one reads and forges a domain's mail; with NS, CAA and DS one takes over its names and
// certificates. Adding a first one touches nothing that exists, unless it hides what does (RFC 1034 §4.2.1, RFC 4592 §2.2).
import type { RecordSet } from '@bailiwick/contracts/dns'

/** `madeNs`: the apex name servers that Bailiwick made with the zone. */
export type ZoneFacts = { readonly name: string; readonly madeNs: readonly string[] }

const ALWAYS = new Set(['MX', 'NS', 'CAA', 'DS'])
/** RFC 6376 §3.2 allows space around the equals sign. */
const POLICY_TEXT = /^\s*v\s*=\s*(spf1|dmarc1|dkim1)(?![a-z0-9])/i
/** `_dmarc`, `_dmarc.sub`; `selector._domainkey`, `selector._domainkey.sub`. */
const POLICY_NAME = /^_dmarc(\.|$)|(^|\.)_domainkey(\.|$)/
const APEX = '@'

export const setId = ({ name, type }: { name: string; type: string }): string => `${name} ${type}`
export const sameRecords = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && [...a].sort().every((value, index) => value === [...b].sort()[index])

const isText = ({ type }: RecordSet): boolean => type === 'TXT' || type === 'CNAME'
const isAtOrBelow = (name: string, ancestor: string): boolean =>
  ancestor === APEX || name === ancestor || name.endsWith(`.${ancestor}`)
/** `*.apps` -> `apps`; null for a name that is no wildcard. */
const wildcardParent = (name: string): string | null =>
  name === '*' ? APEX : name.startsWith('*.') ? name.slice(2) : null

/** The name and all above it within the zone, the apex last: with a record at the first, all of them exist. */
function withAncestors(name: string): string[] {
  const labels = name === APEX ? [] : name.split('.')
  return [...labels.map((_, index) => labels.slice(index).join('.')), APEX]
}
const existingNames = (sets: readonly RecordSet[]): Set<string> =>
  new Set([APEX, ...sets.filter(({ records }) => records.length > 0).flatMap(({ name }) => withAncestors(name))])

/** The name whose records answer for `name`: itself, or the wildcard at its closest ancestor that exists. */
function answersFor(name: string, existing: ReadonlySet<string>): string {
  if (existing.has(name)) return name
  const encloser = withAncestors(name).find((each) => existing.has(each)) ?? APEX
  return encloser === APEX ? '*' : `*.${encloser}`
}

/** Names in the zone to which `_domainkey` and `_dmarc` names point, however many CNAMEs away: the keys are there. */
function policyTargets(sets: readonly RecordSet[], zoneName: string): ReadonlySet<string> {
  const existing = existingNames(sets)
  const cnames = new Map(sets.filter(({ type }) => type === 'CNAME').map(({ name, records }) => [name, records]))
  const found = new Set<string>()
  const follow = (name: string): void => {
    for (const target of cnames.get(name) ?? []) {
      const absolute = target.toLowerCase().replace(/\.$/, '')
      if (absolute !== zoneName && !absolute.endsWith(`.${zoneName}`)) continue
      const relative = absolute === zoneName ? APEX : absolute.slice(0, -zoneName.length - 1)
      const owner = answersFor(relative, existing)
      if (found.has(owner)) continue
      found.add(owner)
      follow(owner)
    }
  }
  for (const name of cnames.keys()) if (POLICY_NAME.test(name)) follow(name)
  return found
}

/** The part of a set that is critical; null when nothing of it is. */
function criticalPart(set: RecordSet, targets: ReadonlySet<string>): readonly string[] | null {
  if (set.records.length === 0) return null
  if (ALWAYS.has(set.type)) return set.records
  // DKIM and DMARC are often a CNAME to the mail provider's record.
  if (isText(set) && (POLICY_NAME.test(set.name) || targets.has(set.name))) return set.records
  if (set.type !== 'TXT') return null
  const policies = set.records.filter((value) => POLICY_TEXT.test(value))
  return policies.length > 0 ? policies : null
}

/**
 * The name servers that came with the zone are ours, not the owner's: they may go with the whole zone, and coming back to them
 * is always allowed. Away from them whoever is named there takes over every name: never without the owner.
 */
const isOursToChange = (set: RecordSet, next: RecordSet | undefined, madeNs: readonly string[]): boolean =>
  set.type === 'NS' && set.name === APEX && sameRecords((next ?? set).records, madeNs)

/** A delegation hides everything at and below its name from resolvers, except itself and its DS: that is a removal in effect. */
const isHidden = (set: RecordSet, delegations: readonly string[]): boolean =>
  delegations.some(
    (cut) => isAtOrBelow(set.name, cut) && !(set.name === cut && (set.type === 'NS' || set.type === 'DS')),
  )
const delegationsOf = (sets: readonly RecordSet[]): string[] =>
  sets.filter((set) => set.type === 'NS' && set.name !== APEX && set.records.length > 0).map(({ name }) => name)

/** A wildcard answers only for names that do not exist: any record at a name that it answered for ends that. */
function losesNames(set: RecordSet, before: ReadonlySet<string>, after: ReadonlySet<string>): boolean {
  if (wildcardParent(set.name) === null) return false
  return [...after].some((name) => !before.has(name) && answersFor(name, before) === set.name)
}

/**
 * The critical sets of `present` that `target` changes, removes or hides, as `name TYPE`, in order. Both are whole zones.
 */
export function criticalTouched(
  present: readonly RecordSet[],
  target: readonly RecordSet[],
  zone: ZoneFacts,
): string[] {
  const after = new Map(target.map((set) => [setId(set), set]))
  const [cutsBefore, cutsAfter] = [delegationsOf(present), delegationsOf(target)]
  const [namesBefore, namesAfter] = [existingNames(present), existingNames(target)]
  const targets = policyTargets(present, zone.name)
  return present
    .filter((set) => {
      const critical = criticalPart(set, targets)
      if (!critical) return false
      const next = after.get(setId(set))
      if (isOursToChange(set, next, zone.madeNs)) return false
      // A second SPF record breaks the first (RFC 7208 §4.5), so records added to the critical part count as well.
      const kept = next && (criticalPart(next, targets) ?? [])
      return (
        !kept ||
        next.ttl_seconds !== set.ttl_seconds ||
        !sameRecords(critical, kept) ||
        (isHidden(set, cutsAfter) && !isHidden(set, cutsBefore)) ||
        losesNames(set, namesBefore, namesAfter)
      )
    })
    .map(setId)
    .sort()
}
