// What the domain tools share: names, proof of control, the state that undo compares.
import { domainToASCII } from 'node:url'
import { z } from 'zod'
import { ZoneName, type RecordSet } from '@bailiwick/contracts/dns'
import { deny } from '@bailiwick/contracts/problem'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import type { ResourceId } from '@bailiwick/kernel/ids'
import type { ToolContext } from '../../context.ts'
import type { RestorePointName } from '../../define-tool.ts'
import { criticalTouched } from '../dns/critical.ts'
import { criticalDs, signingState } from '../dns/parent-ds.ts'
import { DOMAIN, domainData, readZone, setsState } from '../dns/zone.ts'

/** Names that no registry gives out (RFC 6761, RFC 7686). Staged zones live under `invalid`: one of that name would stand in for another account's. */
const SPECIAL_USE = /(^|\.)(invalid|localhost|local|onion|\d+)$/

/** Read as a URL would be, `a.com/b` and `a%2ecom` become other names: what is none in a domain name is refused first. */
const FOREIGN = /[^a-z0-9._\-\u0080-\u{10ffff}]/iu
const normalize = (text: string): string => {
  const name = text.trim().normalize('NFKC').replace(/\.$/, '')
  return FOREIGN.test(name) ? '' : domainToASCII(name)
}

/** Unicode names become punycode, upper case lower, the final dot goes. */
export const DomainName = z
  .string()
  .max(253)
  .overwrite(normalize)
  .refine((name) => ZoneName.safeParse(name).success && !SPECIAL_USE.test(name), 'not a domain name')
  .describe('Such as example.com. Names in other scripts are stored as punycode.')

export const Verification = z.strictObject({ type: z.literal('TXT'), name: z.string(), value: z.string() })

/** The record that proves control. Its value is this account's and this domain's alone; it needs no secrecy: it is published. */
export const verificationOf = (
  { account }: Pick<ToolContext, 'account'>,
  domainId: string,
  name: string,
): z.output<typeof Verification> => ({
  type: 'TXT',
  name: `_bailiwick.${name}`,
  value: `bailiwick-verify=${sha256Hex(`bailiwick-verify\n${account}\n${domainId}`).slice(0, 40)}`,
})

/** A domain with its zone that is there or not. With its records, so that undoing an add or a restore sees whether it has been used. */
export type DomainState =
  | { exists: false }
  | {
      exists: true
      state: 'staged' | 'published'
      sets: Record<string, RecordSet>
      /** Absent while it is not signed. */
      signed_with?: string
    }

export async function domainState(context: ToolContext, domainId: ResourceId): Promise<DomainState> {
  const { state, record_sets } = await readZone(context, domainId)
  if (state !== 'staged' && state !== 'published') return { exists: false }
  const { signed_with } = await signingState(context, domainId)
  return { exists: true, state, ...setsState(record_sets), ...(signed_with === null ? {} : { signed_with }) }
}

export async function dumpZone(context: ToolContext, domainId: ResourceId): Promise<RestorePointName[]> {
  const { name } = await context.resources.get(domainId)
  return [(await context.keeper.dump_zone({ zone_id: domainId, name })).restore_point]
}

/** For undos that take the domain away. */
export const domainRemoval = <Input>(idOf: (input: Input, deed: { newResourceId: string }) => ResourceId) => ({
  deleteTool: 'delete_domain',
  isRemoval: (to: DomainState) => !to.exists,
  snapshot: (context: ToolContext, input: Input, deed: { newResourceId: string }) =>
    dumpZone(context, idOf(input, deed)),
})

export async function quarantineDomain(context: ToolContext, domainId: ResourceId) {
  const { name } = await context.resources.get(domainId)
  const { restore_point } = await context.keeper.quarantine_zone({ zone_id: domainId, name })
  context.resources.setState(domainId, 'quarantined')
  return restore_point
}

/**
 * Brings domain and zone back. A domain cannot be restored beside another of its name: this account's newer one is a conflict;
 * where another account serves the name by now, the zone comes back staged and must be verified again.
 */
export async function restoreDomain(context: ToolContext, domainId: ResourceId): Promise<void> {
  const resource = await context.resources.get(domainId)
  const newer = await context.resources.findByName(DOMAIN, resource.name)
  if (newer && newer.id !== domainId)
    return context.refuse(
      deny('UNDO_CONFLICT', {
        detail: `${resource.name} was added again since.`,
        next: 'Keep the newer domain, or delete it first and undo then.',
        extra: { conflicts: [{ kind: DOMAIN, resource_id: newer.id, name: newer.name, reason: 'name_in_use' }] },
      }),
    )
  const { state } = await context.keeper.restore_zone({ zone_id: domainId, name: resource.name })
  context.resources.setState(domainId, 'active')
  if (state === 'staged') context.resources.setData(domainId, { ...resource.data, verified_at: null })
}

/** Critical records that go when the whole zone goes, and the parent's DS, which would be left behind. */
export async function criticalOfRemoval(
  context: ToolContext,
  domainId: ResourceId,
  present: DomainState,
): Promise<string[]> {
  if (!present.exists) return []
  const domain = await context.resources.get(domainId)
  const facts = { name: domain.name, madeNs: domainData(domain).made_ns }
  return [...criticalTouched(Object.values(present.sets), [], facts), ...(await criticalDs(context, domainId))]
}
