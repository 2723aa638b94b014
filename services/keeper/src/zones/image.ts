// A zone as a whole: taken out of PowerDNS, put back under another name, compared. Snapshots in the vault are images.
// Trusted: an image read back from the vault, because its hash is in the keeper's own record of the quarantine.
import { z } from 'zod'
import { canonical } from '@bailiwick/kernel/canonical'
import { Fault } from '@bailiwick/kernel/result'
import { toAbsolute, toRelative } from './names.ts'
import { PdnsAttributes, PdnsKey, PdnsMetadata, PdnsSet, type PowerDns } from './powerdns.ts'
import { spellAaaa } from './record-sets.ts'
import { readStamp, stampComments, type Stamp } from './stamp.ts'

export const ZoneImage = z.strictObject({
  v: z.literal(1),
  zone_id: z.string(),
  account_id: z.string(),
  name: z.string(),
  state: z.enum(['staged', 'published']),
  generation: z.number().int(),
  operations: z.array(z.string()),
  attributes: PdnsAttributes,
  /** Record names relative to the zone, everything else as PowerDNS has it. */
  sets: z.array(PdnsSet),
  metadata: z.array(PdnsMetadata),
  keys: z.array(PdnsKey),
})
export type ZoneImage = z.infer<typeof ZoneImage>

/** These are attributes of the zone in the API; as metadata they are read-only there. */
const ATTRIBUTE_METADATA = new Set([
  'SOA-EDIT',
  'SOA-EDIT-API',
  'API-RECTIFY',
  'NSEC3PARAM',
  'NSEC3NARROW',
  'PRESIGNED',
])

const order = <T>(items: readonly T[], key: (item: T) => string): T[] =>
  items.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))

export type Place = { account_id: string; zone_id: string; name: string; state: 'staged' | 'published' }

export async function exportImage(powerDns: PowerDns, apex: string, place: Place): Promise<ZoneImage> {
  const zone = await powerDns.readZone(apex)
  const stamp = zone && readStamp(zone.rrsets)
  if (!zone || !stamp) throw new Fault('INTERNAL', `zone ${place.zone_id} went away while it was exported`)
  const metadata = await powerDns.readMetadata(apex)
  return {
    v: 1,
    ...place,
    generation: stamp.generation,
    operations: [...stamp.operations],
    attributes: PdnsAttributes.parse(zone),
    sets: order(
      zone.rrsets.map((set) => ({
        ...set,
        name: toRelative(set.name, apex),
        records: order(
          set.records.map((record) =>
            set.type === 'AAAA' ? { ...record, content: spellAaaa(record.content) } : record,
          ),
          ({ content }) => content,
        ),
        comments: order(set.comments, ({ account, content }) => `${account} ${content}`),
      })),
      ({ name, type }) => `${name} ${type}`,
    ),
    metadata: order(
      metadata.filter(({ kind }) => !ATTRIBUTE_METADATA.has(kind)).map(({ kind, metadata }) => ({ kind, metadata })),
      ({ kind }) => kind,
    ),
    // Oldest first: which of several is the zone's own goes by age (signing.ts), so a copy keeps their order.
    keys: await powerDns.readKeys(apex),
  }
}

/** All that must survive a copy: not the SOA's serial, which moves, nor our own mark. */
function comparable(image: ZoneImage): string {
  const sets = image.sets.map((set) =>
    set.type === 'SOA'
      ? {
          ...set,
          records: set.records.map(({ content, disabled }) => ({ content: withoutSerial(content), disabled })),
          comments: set.comments.filter(({ account }) => account !== 'bailiwick'),
        }
      : set,
  )
  const keys = image.keys.map((key) => ({ ...key, privatekey: key.privatekey.trim() }))
  return canonical({ attributes: image.attributes, sets, metadata: image.metadata, keys })
}
const withoutSerial = (soa: string): string =>
  soa
    .split(' ')
    .map((part, index) => (index === 2 ? '*' : part))
    .join(' ')

/**
 * Puts `image` into PowerDNS at `apex`, in an order that is safe to die in: what is half there says so in its mark and does
 * not count; only when it was read back equal is the mark changed, which is the moment of truth. `taken`: nothing was done.
 */
export async function installImage(
  powerDns: PowerDns,
  image: ZoneImage,
  apex: string,
  stamp: Omit<Stamp, 'incomplete'>,
  nowMs: number,
): Promise<'installed' | 'taken'> {
  const marked = (set: PdnsSet, incomplete: boolean): PdnsSet['comments'] =>
    set.type === 'SOA' ? stampComments({ ...stamp, incomplete }, set.comments, nowMs) : set.comments
  const { nsec3param, nsec3narrow, ...plain } = image.attributes
  const created = await powerDns.createZone({
    ...plain,
    // Until there are keys, PowerDNS refuses these.
    nsec3param: '',
    nsec3narrow: false,
    name: apex,
    account: image.account_id,
    rrsets: image.sets.map((set) => ({ ...set, name: toAbsolute(set.name, apex), comments: marked(set, true) })),
  })
  if (created === 'taken') return 'taken'
  for (const metadata of image.metadata) await powerDns.writeMetadata(apex, metadata)
  for (const key of image.keys) await powerDns.addKey(apex, key)
  if (nsec3param !== '') await powerDns.setAttributes(apex, { nsec3param, nsec3narrow })
  if (image.keys.length > 0) await powerDns.rectify(apex)
  const copy = await exportImage(powerDns, apex, image)
  if (comparable(copy) !== comparable(image))
    throw new Fault('INTERNAL', `the copy of zone ${image.zone_id} is not equal to its source`)
  const soa = copy.sets.find(({ type }) => type === 'SOA')!
  const whole = { name: apex, type: 'SOA', changetype: 'REPLACE', comments: marked(soa, false) } as const
  if ((await powerDns.patchZone(apex, [whole])) === 'refused')
    throw new Fault('INTERNAL', `the copy of zone ${image.zone_id} could not be marked as whole`)
  return 'installed'
}
