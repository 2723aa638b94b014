// Which of the zones in PowerDNS is the one that an account means: never one of another account, never a half-made copy.
import { publishedApex, stagedApex } from './names.ts'
import type { PdnsZone, PowerDns } from './powerdns.ts'
import { readStamp, type Stamp } from './stamp.ts'
import type { Trash, TrashRecord } from './trash.ts'

export type ZoneAddress = { readonly account_id: string; readonly zone_id: string; readonly name: string }
export type Live = {
  readonly state: 'staged' | 'published'
  readonly apex: string
  readonly zone: PdnsZone
  readonly stamp: Stamp
}
export type Located = {
  /** What counts; null when this account has no such zone in PowerDNS. */
  readonly live: Live | null
  /** Copies of this zone that do not count: half made, or left behind by a copy that was finished. Safe to remove. */
  readonly leftovers: readonly string[]
}

export async function locate(powerDns: PowerDns, address: ZoneAddress): Promise<Located> {
  const [staged, published] = [stagedApex(address.zone_id), publishedApex(address.name)]
  const found = [
    ...(await look(powerDns, 'staged', staged, address)),
    ...(await look(powerDns, 'published', published, address)),
  ]
  const whole = found.filter((copy): copy is Live => copy.stamp !== null && !copy.stamp.incomplete)
  const live = whole.toSorted((a, b) => b.stamp.generation - a.stamp.generation)[0] ?? null
  return { live, leftovers: found.map(({ apex }) => apex).filter((apex) => apex !== live?.apex) }
}

async function look(
  powerDns: PowerDns,
  state: Live['state'],
  apex: string,
  { account_id, zone_id }: ZoneAddress,
): Promise<(Omit<Live, 'stamp'> & { stamp: Stamp | null })[]> {
  const zone = await powerDns.readZone(apex)
  if (!zone || zone.account !== account_id) return []
  const stamp = readStamp(zone.rrsets)
  // PowerDNS makes the zone first and fills it in a transaction after: dying between the two leaves an empty one of this
  // account, which holds nothing and stands in the way. One with records but without our mark is not ours to touch.
  if (!stamp) return zone.rrsets.length === 0 ? [{ state, apex, zone, stamp: null }] : []
  return stamp.zoneId === zone_id ? [{ state, apex, zone, stamp }] : []
}

/** The keeper's record of this zone's quarantine, if it is this account's zone of that name. */
export async function trashOf(trash: Trash, address: ZoneAddress): Promise<TrashRecord | null> {
  const record = await trash.read(address.zone_id)
  return record?.account_id === address.account_id && record.name === address.name ? record : null
}
