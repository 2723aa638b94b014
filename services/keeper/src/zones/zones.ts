// The keeper's verbs for zones, on PowerDNS. None of them destroys: a zone leaves PowerDNS only after the vault has read its
// image back, and a copy is removed only when a newer whole one stands. Every change leaves its operation on the zone.
import type { keeperDoor } from '@bailiwick/contracts/doors/keeper'
import { hashJson, type Json } from '@bailiwick/kernel/canonical'
import type { Clock } from '@bailiwick/kernel/clock'
import type { Client } from '@bailiwick/kernel/door'
import { ResourceId, type AccountId, type OperationId } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import type { Operations, StepKey } from '../operations.ts'
import { createZoneChanges } from './changes.ts'
import { locate, trashOf, type Live, type ZoneAddress } from './locate.ts'
import { publishedApex, stagedApex } from './names.ts'
import { lookOutside } from './outside/look.ts'
import { readParentDs } from './outside/parent.ts'
import { createRegistration, registryThrough, type Registry } from './outside/registration.ts'
import { worldThrough, type Outside } from './outside/world.ts'
import { createPowerDns } from './powerdns.ts'
import { toRecordSets } from './record-sets.ts'
import { readSigning } from './signing.ts'
import { resolveTxt } from './resolve-txt.ts'
import type { Vault } from './snapshot.ts'
import { createTrash } from './trash.ts'

type ZoneVerb =
  | 'create_zone'
  | 'read_zone'
  | 'replace_record_sets'
  | 'publish_zone'
  | 'unpublish_zone'
  | 'dump_zone'
  | 'quarantine_zone'
  | 'restore_zone'
  | 'sign_zone'
  | 'unsign_zone'
  | 'read_signing'
  | 'read_parent_ds'
  | 'look_outside'
  | 'read_registration'
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

/** Of databases, tables and zones alike: what is younger is not purged, whoever asks. */
export const MINIMUM_QUARANTINE_MS = 30 * 86_400_000
const DEFAULT_NAME_SERVERS = ['ns1.bailiwick.invalid', 'ns2.bailiwick.invalid'] as const

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
  /** Tests alone point these at servers of their own. */
  outside?: Partial<Outside>
  registry?: Partial<Registry>
  /** The only way out for HTTPS: an HTTP proxy's origin. */
  egress: string
  /** What a new zone's NS set names, without the final dot; the first also stands in the SOA. */
  nameServers?: readonly string[]
  timeoutMs?: number
}): Zones {
  const { vault, operations, logger, clock, timeoutMs = 5000 } = options
  const nameServers = (options.nameServers ?? DEFAULT_NAME_SERVERS).map((name) => `${name}.`)
  const powerDns = createPowerDns({ url: options.powerdnsUrl, apiKey: options.apiKey, timeoutMs, logger })
  const trash = createTrash(options.stateDir, logger)
  const { acts, probes } = createZoneChanges({ powerDns, vault, trash, clock, logger, nameServers })

  const outside: Outside = { ...worldThrough(options.resolver), ...options.outside }
  const registration = createRegistration({
    ...registryThrough(options.egress, clock),
    ...options.registry,
  })

  const keyOf = (verb: keyof typeof probes, input: ZoneAddress & { operation_id: string }): StepKey => ({
    operation_id: input.operation_id,
    account_id: input.account_id,
    verb,
    // The name is in it so that a probe after a restart, which has nothing but the key, can find the zone.
    target: `${input.zone_id}/${input.name}`,
    input_hash: hashJson(input),
  })
  for (const verb of Object.keys(probes) as (keyof typeof probes)[])
    operations.registerProber(verb, (key) => {
      const [zoneId, name] = key.target.split('/')
      return probes[verb]({ account_id: key.account_id, zone_id: zoneId!, name: name! }, key.operation_id)
    })

  const once =
    <V extends Exclude<keyof typeof acts, 'replace_record_sets' | 'sign_zone'>>(verb: V) =>
    (input: ZoneAddress & { operation_id: string }): ReturnType<(typeof acts)[V]> =>
      operations.once<Json>(keyOf(verb, input), {
        probe: () => probes[verb](input, input.operation_id),
        act: () => acts[verb](input, input.operation_id),
      }) as ReturnType<(typeof acts)[V]>

  return {
    create_zone: once('create_zone'),
    publish_zone: once('publish_zone'),
    unpublish_zone: once('unpublish_zone'),
    dump_zone: once('dump_zone'),
    quarantine_zone: once('quarantine_zone'),
    restore_zone: once('restore_zone'),
    unsign_zone: once('unsign_zone'),

    replace_record_sets: (input) =>
      operations.once(keyOf('replace_record_sets', input), {
        probe: () => probes.replace_record_sets(input, input.operation_id),
        act: () => acts.replace_record_sets(input, input.operation_id, input.record_sets),
      }),

    sign_zone: (input) =>
      operations.once(keyOf('sign_zone', input), {
        probe: () => probes.sign_zone(input, input.operation_id),
        act: () => acts.sign_zone(input, input.operation_id, input.dnskey),
      }),

    read_zone: async (input) => {
      const { live } = await locate(powerDns, input)
      if (live) {
        const record_sets = toRecordSets(live.zone.rrsets, live.apex)
        return { zone: { state: live.state, serial: live.zone.serial, record_sets } }
      }
      const state = (await trashOf(trash, input)) ? 'quarantined' : 'absent'
      return { zone: { state, serial: null, record_sets: [] } }
    },

    read_signing: async (input) => {
      const { live } = await locate(powerDns, input)
      return { signing: live ? await readSigning(powerDns, live.apex, input.name) : { state: 'unsigned', key: null } }
    },

    read_parent_ds: async ({ name }) => ({ ds: await readParentDs(outside, name) }),

    look_outside: async (input) => {
      const { live } = await locate(powerDns, input)
      return { view: await lookOutside(outside, { name: input.name, texts: input.texts, own: live && soaOf(live) }) }
    },

    read_registration: async ({ name }) => ({ registration: await registration.read(name) }),

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

/** What a server of ours answers with when asked for the zone's SOA. */
function soaOf({ zone }: Live): { mname: string; serial: number } {
  const content = zone.rrsets.find(({ type }) => type === 'SOA')?.records[0]?.content ?? ''
  return { mname: content.split(' ')[0]!.toLowerCase(), serial: zone.serial }
}
