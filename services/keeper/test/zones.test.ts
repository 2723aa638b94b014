import { Resolver } from 'node:dns/promises'
import { DatabaseSync } from 'node:sqlite'
import type { RecordSet } from '@bailiwick/contracts/dns'
import { idHex, uuidv7 } from '@bailiwick/kernel/ids'
import type { Zones } from '../src/zones/zones.ts'
import { everyType, newDomain, newOperation, sorted, zonesWorld, type ZonesWorld } from './zones-helpers.ts'

let world: ZonesWorld
let zones: Zones
beforeAll(async () => {
  world = await zonesWorld()
  zones = world.open().zones
})
afterAll(() => world.close())

type Domain = ReturnType<typeof newDomain>
const op = <T extends object>(input: T): T & { operation_id: string } => ({ operation_id: newOperation(), ...input })
const stateOf = async (domain: Domain) => (await zones.read_zone(domain)).zone
const setsOf = async (domain: Domain): Promise<RecordSet[]> => (await stateOf(domain)).record_sets
const made = async (name?: string): Promise<Domain> => {
  const domain = newDomain(name)
  await zones.create_zone(op(domain))
  return domain
}
const ownNs: RecordSet = {
  name: '@',
  type: 'NS',
  ttl_seconds: 3600,
  records: ['ns1.bailiwick.invalid.', 'ns2.bailiwick.invalid.'],
}
/** What the world gets for a name from the real server. */
async function ask(name: string, type: 'A' | 'TXT' | 'MX'): Promise<unknown> {
  const resolver = new Resolver({ timeout: 1000, tries: 2 })
  resolver.setServers([`127.0.0.1:${world.powerDns.dnsPort}`])
  return resolver.resolve(name, type).catch((error: NodeJS.ErrnoException) => error.code)
}

describe('a zone’s records', () => {
  test('come back as they were set: every type, name, TTL, wildcard and quoted text, staged and published', async () => {
    const domain = await made()
    expect(await setsOf(domain)).toEqual([ownNs])
    await zones.replace_record_sets(op({ ...domain, record_sets: everyType }))
    const expected = sorted([ownNs, ...everyType])
    expect(await setsOf(domain)).toEqual(expected)
    await zones.publish_zone(op(domain))
    expect(await stateOf(domain)).toMatchObject({ state: 'published', record_sets: expected })
    expect(await ask(domain.name, 'A')).toEqual(expect.arrayContaining(['192.0.2.1', '192.0.2.2']))
    const texts = (await ask(domain.name, 'TXT')) as string[][]
    expect(texts.map((parts) => parts.join(''))).toContain('with "quotes", a back\\slash; and a semicolon')
    await zones.unpublish_zone(op(domain))
    expect(await stateOf(domain)).toMatchObject({ state: 'staged', record_sets: expected })
    expect(await ask(domain.name, 'A')).toBe('EREFUSED')
  })
  test('written again as they were read change nothing', async () => {
    const domain = await made()
    await zones.replace_record_sets(op({ ...domain, record_sets: everyType }))
    const before = await setsOf(domain)
    await zones.replace_record_sets(op({ ...domain, record_sets: before }))
    expect(await setsOf(domain)).toEqual(before)
  })
  test('are taken in one spelling', async () => {
    const domain = await made()
    const record_sets: RecordSet[] = [
      { name: 'a', type: 'AAAA', ttl_seconds: 60, records: ['2001:0DB8:0:0::1', '2001:db8::1', '::ffff:192.0.2.1'] },
      { name: 'c', type: 'CNAME', ttl_seconds: 60, records: ['EDGE.Host.Test'] },
      { name: 'm', type: 'MX', ttl_seconds: 60, records: ['010 Mail.Test', '0 .'] },
    ]
    await zones.replace_record_sets(op({ ...domain, record_sets }))
    const values = Object.fromEntries((await setsOf(domain)).map((set) => [set.name, set.records]))
    expect(values).toMatchObject({
      a: ['2001:db8::1', '::ffff:c000:201'],
      c: ['edge.host.test.'],
      m: ['0 .', '10 mail.test.'],
    })
  })
  test('change together or not at all: one bad set among good ones leaves the zone as it was', async () => {
    const domain = await made()
    await zones.replace_record_sets(op({ ...domain, record_sets: everyType }))
    const before = await setsOf(domain)
    const a = (name: string): RecordSet => ({ name, type: 'A', ttl_seconds: 60, records: ['192.0.2.9'] })
    const cases: [RecordSet[], string][] = [
      [[a('new'), { name: 'www', type: 'TXT', ttl_seconds: 60, records: ['x'] }], 'CONFLICT'],
      [[a('new'), { name: '@', type: 'CNAME', ttl_seconds: 60, records: ['x.test'] }], 'CONFLICT'],
      [[a('new'), { name: '@', type: 'NS', ttl_seconds: 60, records: [] }], 'CONFLICT'],
      [[a('new'), { name: '@', type: 'DS', ttl_seconds: 60, records: [`1 8 2 ${'a'.repeat(64)}`] }], 'CONFLICT'],
      [[a('new'), a('new')], 'INPUT_INVALID'],
      [[a('new'), a(['a'.repeat(63), 'b'.repeat(63), 'c'.repeat(63), 'd'.repeat(60)].join('.'))], 'INPUT_INVALID'],
    ]
    for (const [record_sets, code] of cases)
      await expect(zones.replace_record_sets(op({ ...domain, record_sets }))).rejects.toMatchObject({ code })
    expect(await setsOf(domain)).toEqual(before)
  })
  test('a CNAME may replace what is removed in the same change', async () => {
    const domain = await made()
    const set = (type: 'A' | 'CNAME', records: string[]): RecordSet => ({ name: 'x', type, ttl_seconds: 60, records })
    await zones.replace_record_sets(op({ ...domain, record_sets: [set('A', ['192.0.2.1'])] }))
    await zones.replace_record_sets(op({ ...domain, record_sets: [set('A', []), set('CNAME', ['y.test'])] }))
    expect(await setsOf(domain)).toEqual([ownNs, set('CNAME', ['y.test.'])])
  })
  test('a set without records is gone, and the same operation again changes nothing', async () => {
    const domain = await made()
    await zones.replace_record_sets(op({ ...domain, record_sets: everyType }))
    const gone = op({ ...domain, record_sets: [{ ...everyType[0]!, records: [] }] })
    await zones.replace_record_sets(gone)
    expect((await setsOf(domain)).some(({ name, type }) => name === '@' && type === 'A')).toBe(false)
    await zones.replace_record_sets(op({ ...domain, record_sets: [everyType[0]!] }))
    const { serial } = await stateOf(domain)
    await zones.replace_record_sets(gone)
    expect(await stateOf(domain)).toMatchObject({ serial })
  })
  test('carry the operation that wrote them', async () => {
    const domain = await made()
    const input = op({ ...domain, record_sets: [everyType[0]!] })
    await zones.replace_record_sets(input)
    const raw = JSON.stringify(await world.powerDns.call('GET', `/zones/z${idHex(domain.zone_id)}.staged.invalid.`))
    expect(raw.split(`operation ${input.operation_id}`)).toHaveLength(3)
  })
  test('PowerDNS’s own words never reach the caller', async () => {
    const domain = await made()
    // Behind our own checks: a record that only PowerDNS knows to conflict.
    const raw = `/zones/z${idHex(domain.zone_id)}.staged.invalid.`
    const name = `q.z${idHex(domain.zone_id)}.staged.invalid.`
    await world.powerDns.call('PATCH', raw, {
      rrsets: [
        {
          name,
          type: 'SPF',
          ttl: 60,
          changetype: 'REPLACE',
          records: [{ content: '"v=spf1 -all"', disabled: false }],
        },
      ],
    })
    const record_sets: RecordSet[] = [{ name: 'q', type: 'CNAME', ttl_seconds: 60, records: ['y.test.'] }]
    await expect(zones.replace_record_sets(op({ ...domain, record_sets }))).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      detail: 'The name server does not accept these records.',
    })
  })
})

describe('another account', () => {
  test('finds no zone by an id that is not its own, whatever it does, and leaves it as it is', async () => {
    const domain = await made()
    await zones.replace_record_sets(op({ ...domain, record_sets: everyType }))
    const before = await stateOf(domain)
    const stranger = { ...domain, account_id: uuidv7() }
    expect(await stateOf(stranger)).toEqual({ state: 'absent', serial: null, record_sets: [] })
    const nothing = newDomain()
    const acts = [
      (of: Domain) => zones.replace_record_sets(op({ ...of, record_sets: [everyType[0]!] })),
      (of: Domain) => zones.publish_zone(op(of)),
      (of: Domain) => zones.unpublish_zone(op(of)),
      (of: Domain) => zones.quarantine_zone(op(of)),
      (of: Domain) => zones.restore_zone(op(of)),
    ]
    for (const act of acts) {
      const refusal = await act(stranger).catch((error: Error) => error.message)
      expect(refusal).toBe(await act(nothing).catch((error: Error) => error.message))
    }
    await expect(zones.create_zone(op(stranger))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await stateOf(domain)).toEqual(before)
    await zones.quarantine_zone(op(domain))
    expect(await stateOf(stranger)).toMatchObject({ state: 'absent' })
    await expect(zones.restore_zone(op(stranger))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
  test('may stage the same domain; one can publish it, the other is not told whose it is', async () => {
    const [one, other] = [await made('shared.test'), await made('shared.test')]
    await zones.replace_record_sets(op({ ...one, record_sets: [everyType[0]!] }))
    await zones.publish_zone(op(one))
    const refused: unknown = await zones.publish_zone(op(other)).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'CONFLICT', detail: 'This name is served by another zone.' })
    expect(await stateOf(other)).toMatchObject({ state: 'staged', record_sets: [ownNs] })
    expect(await stateOf(one)).toMatchObject({ state: 'published' })
    expect(await ask('shared.test', 'A')).toEqual(expect.arrayContaining(['192.0.2.1']))
  })
  test('of two that publish the same name at once exactly one is served', async () => {
    const two = [await made('race.test'), await made('race.test')]
    const outcomes = await Promise.allSettled(two.map((domain) => zones.publish_zone(op(domain))))
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const states = await Promise.all(two.map(async (domain) => (await stateOf(domain)).state))
    expect(states.sort()).toEqual(['published', 'staged'])
  })
})

describe('quarantine and restore', () => {
  const many: RecordSet[] = Array.from({ length: 300 }, (_, index) => ({
    name: `n${index}`,
    type: index % 2 ? 'A' : 'TXT',
    ttl_seconds: 30 + index,
    records: index % 2 ? [`192.0.2.${index % 250}`, '198.51.100.1'] : [`text "${index}" \\ ü`],
  }))
  /** All that PowerDNS has of a zone, but the serial, our mark and key numbers. */
  const everything = async (apex: string) => {
    const { rrsets, ...zone } = (await world.powerDns.call('GET', `/zones/${apex}`)) as Record<string, unknown> & {
      rrsets: { type: string; comments: unknown[]; records: { content: string }[]; name: string }[]
    }
    const { kind, account, dnssec, nsec3param, nsec3narrow, soa_edit, soa_edit_api, api_rectify } = zone
    const keys = (await world.powerDns.call('GET', `/zones/${apex}/cryptokeys`)) as { id: number }[]
    const full = (await Promise.all(
      keys.map(({ id }) => world.powerDns.call('GET', `/zones/${apex}/cryptokeys/${id}`)),
    )) as Record<string, unknown>[]
    return {
      zone: { kind, account, dnssec, nsec3param, nsec3narrow, soa_edit, soa_edit_api, api_rectify },
      sets: rrsets
        .map((set) =>
          set.type === 'SOA'
            ? { ...set, comments: [], records: set.records.map(({ content }) => content.split(' ').toSpliced(2, 1)) }
            : { ...set, records: set.records.toSorted((a, b) => (a.content < b.content ? -1 : 1)) },
        )
        .sort((a, b) => (`${a.name} ${a.type}` < `${b.name} ${b.type}` ? -1 : 1)),
      metadata: await world.powerDns.call('GET', `/zones/${apex}/metadata`),
      keys: full.map(({ privatekey, dnskey, active, published, keytype }) => ({
        privatekey: String(privatekey).trim(),
        dnskey,
        active,
        published,
        keytype,
      })),
    }
  }

  test('bring a published zone back whole: 300 records, comments, metadata and private keys, and it answers again', async () => {
    const domain = await made()
    await zones.replace_record_sets(op({ ...domain, record_sets: [...everyType, ...many] }))
    await zones.publish_zone(op(domain))
    const apex = `${domain.name}.`
    await world.powerDns.call('PUT', `/zones/${apex}/metadata/X-OPERATOR-NOTE`, { metadata: ['one', 'two'] })
    await world.powerDns.call('POST', `/zones/${apex}/cryptokeys`, {
      keytype: 'csk',
      active: true,
      published: true,
      algorithm: 'ECDSAP256SHA256',
    })
    await world.powerDns.call('PUT', `/zones/${apex}`, { nsec3param: '1 0 0 -', nsec3narrow: false })
    const [before, read] = [await everything(apex), await stateOf(domain)]
    const { restore_point } = await zones.quarantine_zone(op(domain))
    expect(await stateOf(domain)).toEqual({ state: 'quarantined', serial: null, record_sets: [] })
    expect(await ask(domain.name, 'A')).toBe('EREFUSED')
    expect(restore_point.name).toMatch(new RegExp(`^[0-9a-f-]{36}\\.${idHex(domain.zone_id)}$`))
    expect(await world.vault.verify({ account_id: domain.account_id, ...pick(restore_point) })).toEqual({ ok: true })

    expect(await zones.restore_zone(op(domain))).toEqual({ state: 'published' })
    expect(await everything(apex)).toEqual(before)
    const after = await stateOf(domain)
    expect(after.record_sets).toEqual(read.record_sets)
    expect(after.serial!).toBeGreaterThan(read.serial!)
    expect(await ask(domain.name, 'MX')).toHaveLength(2)
    // And the whole way once more, from what was restored.
    await zones.quarantine_zone(op(domain))
    expect(await zones.restore_zone(op(domain))).toEqual({ state: 'published' })
    expect(await everything(apex)).toEqual(before)
  })
  test('bring a staged zone back staged', async () => {
    const domain = await made()
    await zones.replace_record_sets(op({ ...domain, record_sets: everyType }))
    const before = await setsOf(domain)
    await zones.quarantine_zone(op(domain))
    expect(await zones.restore_zone(op(domain))).toEqual({ state: 'staged' })
    expect(await setsOf(domain)).toEqual(before)
  })
  test('bring a zone back staged, beside the one that took its name since', async () => {
    const domain = await made('taken.test')
    await zones.replace_record_sets(op({ ...domain, record_sets: everyType }))
    await zones.publish_zone(op(domain))
    const before = await setsOf(domain)
    await zones.quarantine_zone(op(domain))
    const successor = await made('taken.test')
    await zones.publish_zone(op(successor))
    expect(await zones.restore_zone(op(domain))).toEqual({ state: 'staged' })
    expect(await setsOf(domain)).toEqual(before)
    expect(await stateOf(successor)).toMatchObject({ state: 'published', record_sets: [ownNs] })
  })
  test('give the same operation its first answer, and refuse another restore', async () => {
    const domain = await made()
    const [away, back] = [op(domain), op(domain)]
    const first = await zones.quarantine_zone(away)
    expect(await zones.quarantine_zone(away)).toEqual(first)
    await expect(zones.replace_record_sets(op({ ...domain, record_sets: everyType }))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    expect(await zones.restore_zone(back)).toEqual({ state: 'staged' })
    expect(await zones.restore_zone(back)).toEqual({ state: 'staged' })
    await expect(zones.restore_zone(op(domain))).rejects.toMatchObject({ code: 'CONFLICT' })
    expect(await zones.quarantine_zone(away)).toEqual(first)
    expect(await stateOf(domain)).toMatchObject({ state: 'staged' })
  })
  test('change nothing when the vault is down, full, or does not read back what it took', async () => {
    const domain = await made()
    await zones.publish_zone(op(domain))
    const before = await stateOf(domain)
    const failsBefore = { ...world.vault, create: () => Promise.reject(new Error('down')) }
    const forgets = { ...world.vault, verify: () => Promise.resolve({ ok: false }) }
    const failsAfterEffect = { ...world.vault, verify: () => Promise.reject(new Error('down')) }
    for (const vault of [failsBefore, forgets, failsAfterEffect]) {
      const { zones } = world.open({ vault }, world.newStateDir())
      await expect(zones.quarantine_zone(op(domain))).rejects.toMatchObject({ code: 'SNAPSHOT_FAILED' })
    }
    expect(await stateOf(domain)).toEqual(before)
    await zones.quarantine_zone(op(domain))
    await expect(
      world
        .open({ vault: { ...world.vault, read: () => Promise.reject(new Error('down')) } })
        .zones.restore_zone(op(domain)),
    ).rejects.toThrow('down')
    expect(await stateOf(domain)).toMatchObject({ state: 'quarantined' })
  })
})

describe('purge', () => {
  const DAY = 86_400_000
  test('is for what is in the trash of that operation for 30 days, and for nothing else', async () => {
    const domain = await made()
    const away = op(domain)
    await zones.quarantine_zone(away)
    const listed = (await zones.listQuarantined()).filter(({ target }) => target === domain.zone_id)
    expect(listed).toEqual([
      {
        account_id: domain.account_id,
        kind: 'zone',
        target: domain.zone_id,
        operation_id: away.operation_id,
        quarantined_at: world.clock.now(),
      },
    ])
    const purge = (operationId = away.operation_id, account = domain.account_id) =>
      zones.purge(domain.zone_id, operationId, account)
    await expect(purge()).rejects.toMatchObject({ code: 'TOO_YOUNG' })
    world.clock.advance(30 * DAY)
    await expect(purge(newOperation())).rejects.toMatchObject({ code: 'NOT_QUARANTINED' })
    await expect(purge(away.operation_id, uuidv7())).rejects.toMatchObject({ code: 'NOT_QUARANTINED' })
    expect(await purge()).toEqual({ purged: true })
    expect(await purge()).toEqual({ purged: false })
    expect(await stateOf(domain)).toMatchObject({ state: 'absent' })
    await expect(zones.restore_zone(op(domain))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
  test('is refused for a zone that is served again', async () => {
    const domain = await made()
    const away = op(domain)
    await zones.quarantine_zone(away)
    world.clock.advance(40 * DAY)
    await zones.restore_zone(op(domain))
    expect(await zones.purge(domain.zone_id, away.operation_id)).toEqual({ purged: false })
    expect(await stateOf(domain)).toMatchObject({ state: 'staged' })
    expect((await zones.listQuarantined()).some(({ target }) => target === domain.zone_id)).toBe(false)
  })
})

describe('resolve_txt', () => {
  test('returns what the configured resolver sees, joined, and nothing where there is nothing', async () => {
    const domain = await made()
    const own = world.open({ resolver: `127.0.0.1:${world.powerDns.dnsPort}` }, world.newStateDir()).zones
    const ask = (name: string) => own.resolve_txt({ account_id: domain.account_id, name })
    const long = 'x'.repeat(600)
    const record_sets: RecordSet[] = [
      { name: '_bailiwick', type: 'TXT', ttl_seconds: 60, records: ['bailiwick-verify=abc', long] },
    ]
    await zones.replace_record_sets(op({ ...domain, record_sets }))
    expect(await ask(`_bailiwick.${domain.name}`)).toEqual({ values: [] })
    await zones.publish_zone(op(domain))
    const { values } = await ask(`_bailiwick.${domain.name}`)
    expect(values.sort()).toEqual(['bailiwick-verify=abc', long])
    expect(await ask(`nothing.${domain.name}`)).toEqual({ values: [] })
  })
  test('is BACKEND_UNAVAILABLE when the resolver does not answer', async () => {
    const { zones } = world.open({ resolver: '127.0.0.1:1' }, world.newStateDir())
    await expect(zones.resolve_txt({ account_id: uuidv7(), name: 'example.test' })).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
    })
  })
})

test('an empty zone that PowerDNS left behind when it died while creating stands in nobody’s way', async () => {
  const domain = newDomain('halfmade.test')
  const insert = (name: string): void => {
    const db = new DatabaseSync(world.powerDns.database)
    db.prepare('INSERT INTO domains (name, type, account) VALUES (?, ?, ?)').run(name, 'NATIVE', domain.account_id)
    db.close()
  }
  insert(`z${idHex(domain.zone_id)}.staged.invalid`)
  await zones.create_zone(op(domain))
  expect(await stateOf(domain)).toMatchObject({ state: 'staged', record_sets: [ownNs] })
  insert('halfmade.test')
  await zones.publish_zone(op(domain))
  expect(await stateOf(domain)).toMatchObject({ state: 'published', record_sets: [ownNs] })
})

const pick = ({ kind, name, sha256 }: { kind: 'snapshot'; name: string; sha256: string }) => ({ kind, name, sha256 })
