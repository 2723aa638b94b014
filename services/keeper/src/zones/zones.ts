// The keeper's verbs for zones, on PowerDNS. None of them destroys: a zone leaves PowerDNS only after the vault has read its
// image back, and a copy is removed only when a newer whole one stands. Every change leaves its operation on the zone.
import { hashJson, type Json } from '@bailiwick/kernel/canonical'
import type { Clock } from '@bailiwick/kernel/clock'
import type { keeperDoor } from '@bailiwick/contracts/doors/keeper'
import type { Client } from '@bailiwick/kernel/door'
import { AccountId, OperationId, ResourceId } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import type { Operations, Probed, StepKey } from '../operations.ts'
import { Refusal } from '../refusal.ts'
import { exportImage, installImage, type ZoneImage } from './image.ts'
import { locate, type Live, type ZoneAddress } from './locate.ts'
import { publishedApex, stagedApex } from './names.ts'
import { createPowerDns, type PdnsSet } from './powerdns.ts'
import { normalize, refuseCnameConflicts, toChange, toRecordSets } from './record-sets.ts'
import { resolveTxt } from './resolve-txt.ts'
import { loadImage, saveImage, type Vault } from './snapshot.ts'
import { hasSeen, stampComments, withOperation, type Stamp } from './stamp.ts'
import { createTrash, type TrashRecord } from './trash.ts'

type ZoneVerb =
  | 'create_zone'
  | 'read_zone'
  | 'replace_record_sets'
  | 'publish_zone'
  | 'unpublish_zone'
  | 'quarantine_zone'
  | 'restore_zone'
  | 'resolve_txt'
type Answer<V extends ZoneVerb> = Omit<Extract<Awaited<ReturnType<Client<typeof keeperDoor>[V]>>, { ok: true }>, 'ok'>
export type ZoneVerbs = {
  readonly [V in ZoneVerb]: (input: Parameters<Client<typeof keeperDoor>[V]>[0]) => Promise<Answer<V>>
}
export type QuarantinedZone = {
  account_id: AccountId
  kind: 'zone'
  target: string
  operation_id: OperationId
  quarantined_at: number
}
export type Zones = ZoneVerbs & {
  listQuarantined(): Promise<QuarantinedZone[]>
  /** Gives up the way back of one quarantined zone (`target` is its id). The snapshot itself is the vault's to expire. */
  purge(target: string, operationId: string, accountId?: string): Promise<{ purged: boolean }>
}

const MINIMUM_QUARANTINE_MS = 30 * 86_400_000
const DEFAULT_NAME_SERVERS = ['ns1.bailiwick.invalid', 'ns2.bailiwick.invalid'] as const
const APEX_TTL_SECONDS = 3600
const NATIVE = {
  kind: 'Native',
  soa_edit: '',
  // PowerDNS moves the serial itself with every change.
  soa_edit_api: 'DEFAULT',
  api_rectify: false,
  nsec3param: '',
  nsec3narrow: false,
}

const done = <T>(result: T): Probed<T> => ({ state: 'done', result })
const absent = (): Refusal => new Refusal('NOT_FOUND', 'No zone with this id in this account.')

export function createZoneVerbs(options: {
  powerdnsUrl: string
  apiKey: string
  vault: Vault
  operations: Operations
  /** `host:port`, or null for the system's resolver. */
  resolver: string | null
  stateDir: string
  logger: Logger
  clock: Clock
  /** What a new zone's NS set names, without the final dot; the first also stands in the SOA. */
  nameServers?: readonly string[]
  timeoutMs?: number
}): Zones {
  const { vault, operations, logger, clock, timeoutMs = 5000 } = options
  const nameServers = (options.nameServers ?? DEFAULT_NAME_SERVERS).map((name) => `${name}.`)
  const powerDns = createPowerDns({ url: options.powerdnsUrl, apiKey: options.apiKey, timeoutMs, logger })
  const trash = createTrash(options.stateDir)

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
  const trashOf = async ({ account_id, zone_id, name }: ZoneAddress): Promise<TrashRecord | null> => {
    const record = await trash.read(zone_id)
    return record?.account_id === account_id && record.name === name ? record : null
  }

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

  // Each change: what it does (act), and how to tell from the real target whether it was done (probe).
  const acts = {
    create_zone: async (address: ZoneAddress, operationId: string) => {
      if (await locateAlone(address)) return {}
      if (await trashOf(address))
        throw new Refusal('CONFLICT', 'The zone is in the trash; restore it instead.')
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
      const record = await trashOf(address)
      if (!record) throw absent()
      const state = await bringBack(await loadImage(vault, record), record, operationId)
      // Dying before this line leaves a record of a zone that is served, which nothing believes.
      await trash.remove(record.zone_id)
      return { state }
    },
  }

  // In the trash its marks cannot be read any more; where there is nothing at all, nothing can have been changed.
  const whenGone = async (address: ZoneAddress): Promise<{ state: 'unknown' | 'not_done' }> => ({
    state: (await trashOf(address)) ? 'unknown' : 'not_done',
  })
  const probes = {
    create_zone: async (address: ZoneAddress): Promise<Probed<Record<string, never>>> => {
      const { live } = await locate(powerDns, address)
      return live || (await trashOf(address)) ? done({}) : { state: 'not_done' }
    },
    publish_zone: (address: ZoneAddress) => probeState(address, 'published'),
    unpublish_zone: (address: ZoneAddress) => probeState(address, 'staged'),
    quarantine_zone: async (
      address: ZoneAddress,
      operationId: string,
    ): Promise<Probed<{ restore_point: TrashRecord['restore_point'] }>> => {
      const { live } = await locate(powerDns, address)
      if (live) return { state: 'not_done' }
      const record = await trashOf(address)
      return record?.operation_id === operationId
        ? done({ restore_point: record.restore_point })
        : { state: 'unknown' }
    },
    restore_zone: async (address: ZoneAddress, operationId: string): Promise<Probed<{ state: Live['state'] }>> => {
      const { live } = await locate(powerDns, address)
      if (!live) return { state: 'not_done' }
      const seen = hasSeen(live.stamp, operationId)
      if (seen !== 'done') return { state: seen }
      await trash.remove(address.zone_id)
      return done({ state: live.state })
    },
    replace_record_sets: async (address: ZoneAddress, operationId: string): Promise<Probed<Record<string, never>>> => {
      const { live } = await locate(powerDns, address)
      if (!live) return whenGone(address)
      const seen = hasSeen(live.stamp, operationId)
      return seen === 'done' ? done({}) : { state: seen }
    },
  }
  const probeState = async (
    address: ZoneAddress,
    state: Live['state'],
  ): Promise<Probed<Record<string, never>>> => {
    const { live } = await locate(powerDns, address)
    if (!live) return whenGone(address)
    return live.state === state ? done({}) : { state: 'not_done' }
  }

  const keyOf = (verb: keyof typeof probes, input: ZoneAddress & { operation_id: string }): StepKey => ({
    operation_id: input.operation_id,
    account_id: input.account_id,
    verb,
    // The name is in it so that a probe after a restart, which has nothing but the key, can find the zone.
    target: `${input.zone_id}/${input.name}`,
    input_hash: hashJson(input as unknown as Json),
  })
  for (const verb of Object.keys(probes) as (keyof typeof probes)[])
    operations.registerProber(verb, (key) => {
      const [zoneId, name] = key.target.split('/')
      return probes[verb]({ account_id: key.account_id, zone_id: zoneId!, name: name! }, key.operation_id)
    })

  const once =
    <V extends keyof typeof acts>(verb: V) =>
    (input: ZoneAddress & { operation_id: string }): ReturnType<(typeof acts)[V]> =>
      operations.once<Json>(keyOf(verb, input), {
        probe: () => probes[verb](input, input.operation_id),
        act: () => acts[verb](input, input.operation_id),
      }) as ReturnType<(typeof acts)[V]>

  return {
    create_zone: once('create_zone'),
    publish_zone: once('publish_zone'),
    unpublish_zone: once('unpublish_zone'),
    quarantine_zone: once('quarantine_zone'),
    restore_zone: once('restore_zone'),

    replace_record_sets: (input) =>
      operations.once(keyOf('replace_record_sets', input), {
        probe: () => probes.replace_record_sets(input, input.operation_id),
        act: async () => {
          const changes = normalize(input.record_sets, input)
          const { apex, zone, stamp } = await requireLive(input)
          refuseCnameConflicts(toRecordSets(zone.rrsets, apex), changes)
          const soa = zone.rrsets.find(({ type }) => type === 'SOA')!
          const now = clock.now()
          const comments = stampComments(withOperation(stamp, input.operation_id), soa.comments, now)
          const outcome = await powerDns.patchZone(apex, [
            ...changes.map((set) => toChange(set, apex, input.operation_id, now)),
            { name: apex, type: 'SOA', changetype: 'REPLACE', comments },
          ])
          if (outcome === 'refused')
            throw new Refusal('INPUT_INVALID', 'The name server does not accept these records.')
          return {}
        },
      }),

    read_zone: async (input) => {
      const { live } = await locate(powerDns, input)
      if (live) {
        const record_sets = toRecordSets(live.zone.rrsets, live.apex)
        return { zone: { state: live.state, serial: live.zone.serial, record_sets } }
      }
      const state = (await trashOf(input)) ? 'quarantined' : 'absent'
      return { zone: { state, serial: null, record_sets: [] } }
    },

    resolve_txt: async ({ name }) => ({ values: await resolveTxt(options.resolver, name) }),

    listQuarantined: async () => {
      const served = new Set(await powerDns.listZoneNames())
      const items: QuarantinedZone[] = []
      for (const record of await trash.list()) {
        // A name of its own in PowerDNS may be another zone that took the name since: then only a closer look tells.
        const maybeServed = served.has(stagedApex(record.zone_id)) || served.has(publishedApex(record.name))
        if (maybeServed && (await locate(powerDns, record)).live) continue
        const { account_id, zone_id, operation_id, quarantined_at } = record
        items.push({ account_id, kind: 'zone', target: zone_id, operation_id, quarantined_at })
      }
      return items
    },

    purge: async (target, operationId, accountId) => {
      const record = await trash.read(ResourceId.parse(target))
      if (!record) return { purged: false }
      if (record.operation_id !== operationId || (accountId !== undefined && record.account_id !== accountId))
        throw new Fault('NOT_QUARANTINED', `zone ${target} is not in the trash of this operation`)
      if ((await locate(powerDns, record)).live) throw new Fault('NOT_QUARANTINED', `zone ${target} is served`)
      if (clock.now() - record.quarantined_at < MINIMUM_QUARANTINE_MS)
        throw new Fault('TOO_YOUNG', `zone ${target} is in the trash for less than 30 days`)
      await trash.remove(target)
      logger.info('zone_purged', { zone_id: target, operation_id: operationId })
      return { purged: true }
    },
  }
}

const addressOf = ({ account_id, zone_id, name }: ZoneAddress): ZoneAddress => ({ account_id, zone_id, name })
