// Signing a zone, and leaving off. A zone has one key, made when it is first signed and kept for as long as the zone is: so the
// DS that its owner once handed to the registrar is right again after every undo. Nothing here can remove a key.
import type { Signing, SigningKey } from '@bailiwick/contracts/dns'
import type { Clock } from '@bailiwick/kernel/clock'
import { Fault } from '@bailiwick/kernel/result'
import type { Probed } from '../operations.ts'
import { Refusal } from '../refusal.ts'
import { signingKeyOf } from './dnskey.ts'
import { locate, type Live, type ZoneAddress } from './locate.ts'
import type { PdnsPublicKey, PowerDns } from './powerdns.ts'
import { hasSeen, stampComments, withOperation } from './stamp.ts'

/**
 * The zone's own key: the one in use, else the oldest. Another can only be a request of ours that was given up and arrived late:
 * it was parked as it was made, and stays so.
 */
const ownKey = (keys: readonly PdnsPublicKey[]): PdnsPublicKey | null =>
  keys.find(({ active }) => active) ?? keys[0] ?? null

/** From the public halves alone. */
export async function readSigning(powerDns: PowerDns, apex: string, name: string): Promise<Signing> {
  const key = ownKey(await powerDns.listKeys(apex))
  if (!key) return { state: 'unsigned', key: null }
  return { state: key.active ? 'signed' : 'parked', key: signingKeyOf(name, key.dnskey) }
}

export function createSigningChanges(parts: {
  powerDns: PowerDns
  requireLive: (address: ZoneAddress) => Promise<Live>
  whenGone: (address: ZoneAddress) => Promise<{ state: 'unknown' | 'not_done' }>
  clock: Clock
}) {
  const { powerDns, requireLive, whenGone, clock } = parts

  /** Last, so that it is there only when all before it is. It is read anew: what stood there when we came may be older. */
  const mark = async (address: ZoneAddress, operationId: string): Promise<void> => {
    const { apex, zone, stamp } = await requireLive(address)
    const soa = zone.rrsets.find(({ type }) => type === 'SOA')!
    const comments = stampComments(withOperation(stamp, operationId), soa.comments, clock.now())
    const outcome = await powerDns.patchZone(apex, [{ name: apex, type: 'SOA', changetype: 'REPLACE', comments }])
    if (outcome === 'refused') throw new Fault('INTERNAL', `zone ${address.zone_id} could not be marked`)
  }
  const requireKey = async (apex: string, dnskey: string | null): Promise<PdnsPublicKey> => {
    const keys = await powerDns.listKeys(apex)
    const before = dnskey === null ? ownKey(keys) : keys.find((key) => key.dnskey === dnskey)
    if (before) return before
    if (dnskey !== null) throw new Refusal('CONFLICT', 'The zone does not have this key.')
    // Dying after this line leaves a parked key, which the next attempt finds and uses.
    await powerDns.generateKey(apex)
    const made = ownKey(await powerDns.listKeys(apex))
    if (!made) throw new Fault('BACKEND_UNAVAILABLE', `powerdns made no key for ${apex}`)
    return made
  }

  const signZone = async (
    address: ZoneAddress,
    operationId: string,
    dnskey: string | null,
  ): Promise<{ key: SigningKey }> => {
    const { apex, zone } = await requireLive(address)
    const key = await requireKey(apex, dnskey)
    if (!zone.api_rectify) await powerDns.setAttributes(apex, { api_rectify: true })
    // Before it is signed: names out of their place would make the first denials false.
    await powerDns.rectify(apex)
    await powerDns.useKey(apex, key.id, true)
    await mark(address, operationId)
    return { key: signingKeyOf(address.name, key.dnskey) }
  }

  const unsignZone = async (address: ZoneAddress, operationId: string): Promise<Record<string, never>> => {
    const { apex } = await requireLive(address)
    const key = ownKey(await powerDns.listKeys(apex))
    if (!key) throw new Refusal('CONFLICT', 'The zone is not signed.')
    await powerDns.useKey(apex, key.id, false)
    await mark(address, operationId)
    return {}
  }

  const look = async (address: ZoneAddress, operationId: string) => {
    const { live } = await locate(powerDns, address)
    if (!live) return whenGone(address)
    const seen = hasSeen(live.stamp, operationId)
    return seen === 'done' ? { state: seen, live } : { state: seen }
  }
  const probes = {
    sign_zone: async (address: ZoneAddress, operationId: string): Promise<Probed<{ key: SigningKey }>> => {
      const found = await look(address, operationId)
      if (!('live' in found)) return found
      const { key } = await readSigning(powerDns, found.live.apex, address.name)
      return key ? { state: 'done', result: { key } } : { state: 'unknown' }
    },
    unsign_zone: async (address: ZoneAddress, operationId: string): Promise<Probed<Record<string, never>>> => {
      const found = await look(address, operationId)
      return 'live' in found ? { state: 'done', result: {} } : found
    },
  }

  return { acts: { sign_zone: signZone, unsign_zone: unsignZone }, probes }
}
