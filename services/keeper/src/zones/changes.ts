// What each change of a zone does, and how to tell from the real target whether it was done. Each is safe to die in anywhere:
// what counts is decided by the marks on the zones (stamp.ts), and a next attempt finishes or repeats what it finds.
import type { RecordSet } from '@bailiwick/contracts/dns'
import type { Clock } from '@bailiwick/kernel/clock'
import { AccountId, OperationId, ResourceId } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import type { Probed } from '../operations.ts'
import { Refusal } from '../refusal.ts'
import { exportImage, installImage, type ZoneImage } from './image.ts'
import { locate, trashOf, type Live, type ZoneAddress } from './locate.ts'
import { publishedApex, stagedApex } from './names.ts'
import type { PdnsSet, PowerDns } from './powerdns.ts'
import { normalize, refuseCnameConflicts, toChange, toRecordSets } from './record-sets.ts'
import { createSigningChanges } from './signing.ts'
import { loadImage, saveImage, type Vault } from './snapshot.ts'
import { hasSeen, stampComments, withOperation, type Stamp } from './stamp.ts'
import type { Trash, TrashRecord } from './trash.ts'

type Nothing = Record<string, never>

const APEX_TTL_SECONDS = 3600
const NATIVE = {
  kind: 'Native',
  soa_edit: '',
  // PowerDNS moves the serial itself with every change.
  soa_edit_api: 'DEFAULT',
  // Only of a signed zone, where it puts new names in their place.
  api_rectify: true,
  // NSEC, not NSEC3: powerdns/README.md says why.
  nsec3param: '',
  nsec3narrow: false,
}

const done = <T>(result: T): Probed<T> => ({ state: 'done', result })
const absent = (): Refusal => new Refusal('NOT_FOUND', 'No zone with this id in this account.')

export function createZoneChanges(parts: {
  powerDns: PowerDns
  vault: Vault
  trash: Trash
  clock: Clock
  logger: Logger
  /** With the final dot. */
  nameServers: readonly string[]
}) {
  const { powerDns, vault, trash, clock, logger, nameServers } = parts

  /** The account's live zone, alone: copies that do not count are removed first. */
  const locateAlone = async (address: ZoneAddress): Promise<Live | null> => {
    const { live, leftovers } = await locate(powerDns, address)
    for (const apex of leftovers) {
      logger.info('zone_leftover_removed', { zone_id: address.zone_id })
      await powerDns.deleteZone(apex)
    }
    return live
  }
  const requireLive = async (address: ZoneAddress): Promise<Live> => {
    const live = await locateAlone(address)
    if (!live) throw absent()
    return live
  }
  // In the trash its marks cannot be read any more; where there is nothing at all, nothing can have been changed.
  const whenGone = async (address: ZoneAddress): Promise<{ state: 'unknown' | 'not_done' }> => ({
    state: (await trashOf(trash, address)) ? 'unknown' : 'not_done',
  })
  const signing = createSigningChanges({ powerDns, requireLive, whenGone, clock })

  const apexSets = (apex: string, stamp: Stamp): PdnsSet[] => {
    const primary = nameServers[0]!
    const hostmaster = `hostmaster.${primary.slice(primary.indexOf('.') + 1)}`
    const set = (type: string, contents: readonly string[], comments: PdnsSet['comments']): PdnsSet => ({
      name: apex,
      type,
      ttl: APEX_TTL_SECONDS,
      records: contents.map((content) => ({ content, disabled: false })),
      comments,
    })
    return [
      set('SOA', [`${primary} ${hostmaster} 0 10800 3600 604800 3600`], stampComments(stamp, [], clock.now())),
      set('NS', nameServers, []),
    ]
  }

  const move = async (address: ZoneAddress, operationId: string, state: Live['state']): Promise<void> => {
    const live = await requireLive(address)
    if (live.state === state) return
    const image = await exportImage(powerDns, live.apex, { ...addressOf(address), state })
    const apex = state === 'published' ? publishedApex(address.name) : stagedApex(address.zone_id)
    const stamp = withOperation({ ...live.stamp, generation: live.stamp.generation + 1 }, operationId)
    if ((await installImage(powerDns, image, apex, stamp, clock.now())) === 'taken')
      throw new Refusal('CONFLICT', 'This name is served by another zone.')
    // Dying before this line leaves the old copy, which the mark's lower generation tells apart.
    await powerDns.deleteZone(live.apex)
  }

  /** Where the image can be served again: under its name if that is free, else staged. */
  const bringBack = async (
    image: ZoneImage,
    record: TrashRecord,
    operationId: string,
  ): Promise<TrashRecord['state']> => {
    const stamp = withOperation(
      { zoneId: record.zone_id, generation: record.generation + 1, incomplete: false, operations: image.operations },
      operationId,
    )
    const published = publishedApex(record.name)
    if (record.state === 'published') {
      const outcome = await installImage(powerDns, image, published, stamp, clock.now())
      if (outcome === 'installed') return 'published'
    }
    if ((await installImage(powerDns, image, stagedApex(record.zone_id), stamp, clock.now())) === 'taken')
      throw new Fault('INTERNAL', `the staged name of zone ${record.zone_id} is taken`)
    return 'staged'
  }

  const acts = {
    create_zone: async (address: ZoneAddress, operationId: string) => {
      if (await locateAlone(address)) return {}
      if (await trashOf(trash, address)) throw new Refusal('CONFLICT', 'The zone is in the trash; restore it instead.')
      const apex = stagedApex(address.zone_id)
      const stamp = { zoneId: address.zone_id, generation: 1, incomplete: false, operations: [operationId] }
      const rrsets = apexSets(apex, stamp)
      const made = await powerDns.createZone({ ...NATIVE, name: apex, account: address.account_id, rrsets })
      // Taken: an earlier attempt of ours that arrived late; or, as the name comes from the id alone, another account's id.
      if (made === 'taken' && !(await locateAlone(address))) throw absent()
      return {}
    },
    publish_zone: async (address: ZoneAddress, operationId: string) => {
      await move(address, operationId, 'published')
      return {}
    },
    unpublish_zone: async (address: ZoneAddress, operationId: string) => {
      await move(address, operationId, 'staged')
      return {}
    },
    dump_zone: async (address: ZoneAddress, operationId: string) => {
      const live = await requireLive(address)
      const image = await exportImage(powerDns, live.apex, { ...addressOf(address), state: live.state })
      return { restore_point: await saveImage(vault, image, operationId, logger) }
    },
    quarantine_zone: async (address: ZoneAddress, operationId: string) => {
      const live = await requireLive(address)
      const image = await exportImage(powerDns, live.apex, { ...addressOf(address), state: live.state })
      const restorePoint = await saveImage(vault, image, operationId, logger)
      await trash.write({
        account_id: AccountId.parse(address.account_id),
        zone_id: ResourceId.parse(address.zone_id),
        name: address.name,
        operation_id: OperationId.parse(operationId),
        state: live.state,
        generation: live.stamp.generation,
        quarantined_at: clock.now(),
        restore_point: restorePoint,
      })
      // Dying before this line leaves the zone served; the record counts only once it is not.
      await powerDns.deleteZone(live.apex)
      return { restore_point: restorePoint }
    },
    restore_zone: async (address: ZoneAddress, operationId: string) => {
      const live = await locateAlone(address)
      if (live) throw new Refusal('CONFLICT', 'The zone is not in the trash.')
      const record = await trashOf(trash, address)
      if (!record) throw absent()
      const state = await bringBack(await loadImage(vault, record), record, operationId)
      // Dying before this line leaves a record of a zone that is served, which nothing believes.
      await trash.remove(record.zone_id)
      return { state }
    },
    replace_record_sets: async (address: ZoneAddress, operationId: string, recordSets: readonly RecordSet[]) => {
      const changes = normalize(recordSets, address)
      const { apex, zone, stamp } = await requireLive(address)
      refuseCnameConflicts(toRecordSets(zone.rrsets, apex), changes)
      const soa = zone.rrsets.find(({ type }) => type === 'SOA')!
      const now = clock.now()
      const comments = stampComments(withOperation(stamp, operationId), soa.comments, now)
      const outcome = await powerDns.patchZone(apex, [
        ...changes.map((set) => toChange(set, apex, operationId, now)),
        { name: apex, type: 'SOA', changetype: 'REPLACE', comments },
      ])
      if (outcome === 'refused') throw new Refusal('INPUT_INVALID', 'The name server does not accept these records.')
      return {}
    },
    ...signing.acts,
  }

  const probeState = async (address: ZoneAddress, state: Live['state']): Promise<Probed<Nothing>> => {
    const { live, leftovers } = await locate(powerDns, address)
    if (!live) return whenGone(address)
    // An old copy that is still there may still be served.
    return live.state === state && leftovers.length === 0 ? done({}) : { state: 'not_done' }
  }
  const probes = {
    create_zone: async (address: ZoneAddress): Promise<Probed<Nothing>> => {
      const { live } = await locate(powerDns, address)
      return live || (await trashOf(trash, address)) ? done({}) : { state: 'not_done' }
    },
    publish_zone: (address: ZoneAddress) => probeState(address, 'published'),
    unpublish_zone: (address: ZoneAddress) => probeState(address, 'staged'),
    // Whether an image got there does not matter: another one harms nothing.
    dump_zone: (): Promise<Probed<{ restore_point: TrashRecord['restore_point'] }>> =>
      Promise.resolve({ state: 'not_done' }),
    quarantine_zone: async (
      address: ZoneAddress,
      operationId: string,
    ): Promise<Probed<{ restore_point: TrashRecord['restore_point'] }>> => {
      const { live } = await locate(powerDns, address)
      if (live) return { state: 'not_done' }
      const record = await trashOf(trash, address)
      return record?.operation_id === operationId ? done({ restore_point: record.restore_point }) : { state: 'unknown' }
    },
    restore_zone: async (address: ZoneAddress, operationId: string): Promise<Probed<{ state: Live['state'] }>> => {
      const { live } = await locate(powerDns, address)
      if (!live) return { state: 'not_done' }
      const seen = hasSeen(live.stamp, operationId)
      if (seen !== 'done') return { state: seen }
      await trash.remove(address.zone_id)
      return done({ state: live.state })
    },
    replace_record_sets: async (address: ZoneAddress, operationId: string): Promise<Probed<Nothing>> => {
      const { live } = await locate(powerDns, address)
      if (!live) return whenGone(address)
      const seen = hasSeen(live.stamp, operationId)
      return seen === 'done' ? done({}) : { state: seen }
    },
    ...signing.probes,
  }

  return { acts, probes }
}

const addressOf = ({ account_id, zone_id, name }: ZoneAddress): ZoneAddress => ({ account_id, zone_id, name })
