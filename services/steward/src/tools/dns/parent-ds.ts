// Whether taking a zone's key out of service would leave the parent's DS without a key. Then every resolver that validates answers
// for the whole domain with a failure: as critical as a removed NS, so the owner decides (mechanisms.md §6).
import { dsContent, sameDs, type ParentDs, type Signing } from '@bailiwick/contracts/dns'
import type { ResourceId } from '@bailiwick/kernel/ids'
import { z } from 'zod'
import type { ToolContext } from '../../context.ts'
import { exact } from '../../define-tool.ts'
import { untrusted, UntrustedText } from '../../untrusted.ts'

export async function readSigning(context: ToolContext, domainId: ResourceId): Promise<Signing> {
  const { name } = await context.resources.get(domainId)
  return (await context.keeper.read_signing({ zone_id: domainId, name })).signing
}

/** `@ DS` unless no DS can be there: seen, and not answered, count alike. */
export async function criticalDs(context: ToolContext, domainId: ResourceId): Promise<string[]> {
  const [{ name }, signing] = await Promise.all([context.resources.get(domainId), readSigning(context, domainId)])
  if (signing.state !== 'signed') return []
  const { ds } = await context.keeper.read_parent_ds({ name })
  return ds.state === 'absent' ? [] : ['@ DS']
}

/** How the parent's DS and the zone's key fit. */
export const DsFit = z
  .enum(['matches', 'mismatch', 'none', 'unknown'])
  .describe(
    'Mismatch: the parent names a key that does not sign, so validating resolvers fail. Unknown: nobody answered.',
  )

export function fitOf(ds: ParentDs, { state, key }: Signing): z.output<typeof DsFit> {
  if (ds.state === 'unknown') return 'unknown'
  if (ds.state === 'absent') return 'none'
  const own = state === 'signed' && key ? key.ds : []
  return ds.records.some((record) => own.some((mine) => sameDs(mine, record))) ? 'matches' : 'mismatch'
}

/** As seen at the parent: from outside, though it can only be numbers and hex. */
export const SeenDs = z.array(UntrustedText)
export const showSeenDs = ({ records }: ParentDs): string[] => records.map((record) => untrusted(dsContent(record)))

/** A key as answers show it: all that a registrar's form may ask for. */
export const ShownKey = z.strictObject({
  key_tag: z.number().int(),
  algorithm: z.number().int().describe('13 is ECDSAP256SHA256.'),
  dnskey: z.string().describe('Flags, protocol, algorithm and public key, for registrars that ask for the DNSKEY.'),
  ds: z
    .array(
      z.strictObject({
        key_tag: z.number().int(),
        algorithm: z.number().int(),
        digest_type: z.number().int().describe('2 is SHA-256, 4 is SHA-384.'),
        digest: z.string(),
        record: z.string(),
      }),
    )
    .describe('DS records for the registrar; the first is enough.'),
})
export const showKey = (key: NonNullable<Signing['key']>): z.input<typeof ShownKey> => ({
  ...key,
  ds: key.ds.map((ds) => ({ ...ds, record: dsContent(ds) })),
})

/** What signing and leaving off capture. A key is the zone's for good, so naming it is enough to see that it is the same. */
type SigningState = { signed_with: string | null }
export async function signingState(context: ToolContext, domainId: ResourceId): Promise<SigningState> {
  const { state, key } = await readSigning(context, domainId)
  return { signed_with: state === 'signed' && key ? key.dnskey : null }
}

/** Of signing and of leaving off: either is undone by going back to what was captured, with that very key or with none. */
export const signingEffect = <Output>() =>
  exact<{ domain_id: ResourceId }, Output, SigningState>({
    capture: (context, { domain_id }) => signingState(context, domain_id),
    async undo(context, { domain_id }, to) {
      const { name } = await context.resources.get(domain_id)
      const zone = { zone_id: domain_id, name }
      await (to.signed_with === null
        ? context.keeper.unsign_zone(zone)
        : context.keeper.sign_zone({ ...zone, dnskey: to.signed_with }))
    },
  })
