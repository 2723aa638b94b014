// The fake keeper's zones: staged, published, quarantined; and what resolvers outside see.
import {
  parseRecordValue,
  type ParentDs,
  type RecordSet,
  type Registration,
  type SigningKey,
} from '@bailiwick/contracts/dns'
import type { Json } from '@bailiwick/kernel/canonical'
import { plain, Refused, restorePoint, type KeeperVerb, type Verbs } from './fake-keeper-verbs.ts'

type FakeZone = {
  account: string
  name: string
  state: 'staged' | 'published' | 'quarantined'
  wasPublished: boolean
  serial: number
  sets: Map<string, RecordSet>
  /** Made when it is first signed, and never gone while the zone is. */
  key: SigningKey | null
  isSigned: boolean
}

export type ZoneVerb = Extract<
  KeeperVerb,
  | `${string}_zone`
  | 'replace_record_sets'
  | 'resolve_txt'
  | `read_${'signing' | 'parent_ds' | 'registration'}`
  | 'look_outside'
>

export const FAKE_NAME_SERVERS = ['ns1.bailiwick.invalid.', 'ns2.bailiwick.invalid.']

export function createFakeZones() {
  const zones = new Map<string, FakeZone>()
  const txt = new Map<string, string[]>()
  const parentDs = new Map<string, ParentDs>()
  const registrations = new Map<string, Registration>()
  const delegated = new Map<string, string[]>()
  let keys = 0

  const zoneOf = (input: { account_id: string; zone_id: string; name: string }): FakeZone => {
    const found = zones.get(input.zone_id)
    if (!found || found.account !== input.account_id || found.name !== input.name || found.state === 'quarantined')
      throw new Refused('NOT_FOUND', 'No zone with this id in this account.')
    return found
  }
  const isServed = (name: string): boolean =>
    [...zones.values()].some((zone) => zone.name === name && zone.state === 'published')
  const replaceSets = (zone: FakeZone, sets: readonly RecordSet[]): void => {
    const next = new Map(zone.sets)
    for (const set of sets) {
      const id = `${set.name} ${set.type}`
      if (set.records.length === 0 && id === '@ NS')
        throw new Refused('CONFLICT', 'A zone cannot be without NS records at its apex.')
      if (set.records.length === 0) next.delete(id)
      else next.set(id, { ...set, records: set.records.map((value) => parseRecordValue(set.type, value)!).sort() })
    }
    for (const { name, type } of next.values())
      if (type === 'CNAME' && [...next.values()].some((other) => other.name === name && other.type !== 'CNAME'))
        throw new Refused('CONFLICT', `${name} cannot have a CNAME beside other records.`)
    zone.sets = next
    zone.serial += 1
  }

  const verbs: Verbs<ZoneVerb> = {
    create_zone({ account_id, zone_id, name }) {
      if (zones.has(zone_id)) throw new Refused('CONFLICT', 'there is such a zone')
      const ns: RecordSet = { name: '@', type: 'NS', ttl_seconds: 3600, records: FAKE_NAME_SERVERS }
      const sets = new Map([['@ NS', ns]])
      zones.set(zone_id, {
        account: account_id,
        name,
        state: 'staged',
        wasPublished: false,
        serial: 1,
        sets,
        key: null,
        isSigned: false,
      })
      return {}
    },
    read_zone(input) {
      const found = zones.get(input.zone_id)
      if (!found || found.account !== input.account_id || found.name !== input.name)
        return { zone: { state: 'absent', serial: null, record_sets: [] } }
      if (found.state === 'quarantined') return { zone: { state: 'quarantined', serial: null, record_sets: [] } }
      return { zone: { state: found.state, serial: found.serial, record_sets: [...found.sets.values()] } }
    },
    replace_record_sets(input) {
      replaceSets(zoneOf(input), input.record_sets)
      return {}
    },
    publish_zone(input) {
      const zone = zoneOf(input)
      if (zone.state !== 'published' && isServed(input.name))
        throw new Refused('CONFLICT', 'This name is served by another zone.')
      zone.state = 'published'
      return {}
    },
    unpublish_zone(input) {
      zoneOf(input).state = 'staged'
      return {}
    },
    sign_zone(input) {
      const zone = zoneOf(input)
      if (input.dnskey !== null && zone.key?.dnskey !== input.dnskey)
        throw new Refused('CONFLICT', 'The zone does not have this key.')
      zone.key ??= fakeKey((keys += 1))
      zone.isSigned = true
      return { key: zone.key }
    },
    unsign_zone(input) {
      const zone = zoneOf(input)
      if (!zone.key) throw new Refused('CONFLICT', 'The zone is not signed.')
      zone.isSigned = false
      return {}
    },
    read_signing(input) {
      const { key = null, isSigned = false } = zones.get(input.zone_id) ?? {}
      return { signing: { state: isSigned ? 'signed' : key ? 'parked' : 'unsigned', key } }
    },
    read_parent_ds: ({ name }) => ({ ds: parentDs.get(name) ?? { state: 'absent', records: [] } }),
    look_outside: ({ name, texts }) => ({
      view: {
        texts: texts.map((each) => ({ name: each, seen: seenTexts(each) })),
        delegation: {
          state: delegated.has(name) ? 'delegated' : 'unknown',
          parent_zone: name.split('.').slice(1).join('.'),
          source: delegated.has(name) ? 'parent' : null,
          name_servers: delegated.get(name) ?? [],
        },
        servers: [],
        ds: parentDs.get(name) ?? { state: 'absent', records: [] },
      },
    }),
    read_registration: ({ name }) => ({ registration: registrations.get(name) ?? UNKNOWN }),
    dump_zone(input) {
      return { restore_point: restorePoint(input.operation_id, plain(zoneOf(input).sets)) }
    },
    quarantine_zone(input) {
      const zone = zoneOf(input)
      zone.wasPublished = zone.state === 'published'
      zone.state = 'quarantined'
      return { restore_point: restorePoint(input.operation_id, plain(zone.sets)) }
    },
    restore_zone(input) {
      const zone = zones.get(input.zone_id)
      if (!zone || zone.account !== input.account_id) throw new Refused('NOT_FOUND', 'No zone with this id.')
      if (zone.state !== 'quarantined') throw new Refused('CONFLICT', 'The zone is not in the trash.')
      const state = zone.wasPublished && !isServed(zone.name) ? 'published' : 'staged'
      zone.state = state
      return { state }
    },
    resolve_txt: ({ name }) => ({ values: seenTexts(name) }),
  }
  function seenTexts(name: string): string[] {
    const served = [...zones.values()]
      .filter((zone) => zone.state === 'published')
      .flatMap((zone) =>
        [...zone.sets.values()].filter(
          (set) => set.type === 'TXT' && (set.name === '@' ? zone.name : `${set.name}.${zone.name}`) === name,
        ),
      )
    return [...(txt.get(name) ?? []), ...served.flatMap(({ records }) => records)]
  }
  return {
    verbs,
    txt,
    parentDs,
    registrations,
    delegated,
    world: (): Json =>
      Object.fromEntries(
        [...zones]
          .filter(([, { state }]) => state !== 'quarantined')
          .map(([id, { account, name, state, sets, isSigned, key }]) => [
            id,
            { account, name, state, sets: plain(sets), signed_with: isSigned ? plain(key) : null },
          ]),
      ),
  }
}

const UNKNOWN: Registration = {
  state: 'unknown',
  why: 'The list of registries could not be read: it could not be reached.',
  name: null,
  registrar: null,
  statuses: [],
  expires_at: null,
  name_servers: [],
}

const fakeKey = (number: number): SigningKey => ({
  key_tag: 1000 + number,
  algorithm: 13,
  dnskey: `257 3 13 ${Buffer.from(`key ${number}`).toString('base64')}`,
  ds: [{ key_tag: 1000 + number, algorithm: 13, digest_type: 2, digest: number.toString(16).padStart(64, '0') }],
})
