// The keeper dies at every request that it makes to PowerDNS or the vault, before and after its effect, starts again with
// nothing but its files, and is asked the same thing again.
import { readFileSync, writeFileSync } from 'node:fs'
import { idHex } from '@bailiwick/kernel/ids'
import type { Zones } from '../src/zones/zones.ts'
import { everyType, newDomain, newOperation, trashFiles, zonesWorld, type ZonesWorld } from './zones-helpers.ts'

let world: ZonesWorld
beforeAll(async () => {
  world = await zonesWorld({ timeoutMs: 1000 })
})
afterAll(() => world.close())

type Domain = ReturnType<typeof newDomain>
const op = <T extends object>(input: T): T & { operation_id: string } => ({ operation_id: newOperation(), ...input })
const state = async (zones: Zones, domain: Domain) => (await zones.read_zone(domain)).zone
/** Zones of this domain in PowerDNS, whole or not. */
const copies = async (domain: Domain): Promise<string[]> => {
  const all = (await world.powerDns.call('GET', '/zones')) as { name: string }[]
  return all
    .map(({ name }) => name)
    .filter((name) => name === `${domain.name}.` || name.includes(idHex(domain.zone_id)))
}

const filled = async (zones: Zones, domain: Domain): Promise<void> => {
  await zones.create_zone(op(domain))
  await zones.replace_record_sets(op({ ...domain, record_sets: everyType }))
}
const published = async (zones: Zones, domain: Domain): Promise<void> => {
  await filled(zones, domain)
  await zones.publish_zone(op(domain))
}
const signed = async (zones: Zones, domain: Domain): Promise<void> => {
  await published(zones, domain)
  await zones.sign_zone({ ...op(domain), dnskey: null })
}
/** Of the domain's every copy, all about its keys, the private halves too. */
const keysOf = async (domain: Domain): Promise<string[]> => {
  const [apex] = await copies(domain)
  if (apex === undefined) return []
  const keys = (await world.powerDns.call('GET', `/zones/${apex}/cryptokeys`)) as { id: number }[]
  const full = await Promise.all(
    keys.map(({ id }) => world.powerDns.call('GET', `/zones/${apex}/cryptokeys/${id}`) as Promise<Key>),
  )
  return full.map(({ privatekey, dnskey, active, published }) =>
    [privatekey.trim(), dnskey, active, published].join(' '),
  )
}
type Key = { privatekey: string; dnskey: string; active: boolean; published: boolean }
const verbs: Record<
  string,
  {
    before: (zones: Zones, domain: Domain) => Promise<void>
    act: (zones: Zones, domain: Domain & { operation_id: string }) => Promise<object>
    /** What may be found right after the crash, and what must be after the retry. */
    between: string[]
    after: string
    /** How many keys in all, how many of them in use; and whether they are the same ones as before. */
    keys?: { all: number; inUse: number; same: boolean }
  }
> = {
  create_zone: {
    before: async () => undefined,
    act: (zones, input) => zones.create_zone(input),
    between: ['absent', 'staged'],
    after: 'staged',
  },
  replace_record_sets: {
    before: (zones, domain) => zones.create_zone(op(domain)).then(() => undefined),
    act: (zones, input) => zones.replace_record_sets({ ...input, record_sets: everyType }),
    between: ['staged'],
    after: 'staged',
  },
  publish_zone: {
    before: filled,
    act: (zones, input) => zones.publish_zone(input),
    between: ['staged', 'published'],
    after: 'published',
  },
  unpublish_zone: {
    before: published,
    act: (zones, input) => zones.unpublish_zone(input),
    between: ['staged', 'published'],
    after: 'staged',
  },
  quarantine_zone: {
    before: published,
    act: (zones, input) => zones.quarantine_zone(input),
    between: ['published', 'quarantined'],
    after: 'quarantined',
  },
  restore_zone: {
    before: async (zones, domain) => {
      await published(zones, domain)
      await zones.quarantine_zone(op(domain))
    },
    act: (zones, input) => zones.restore_zone(input),
    between: ['quarantined', 'published'],
    after: 'published',
  },
  sign_zone: {
    before: published,
    act: (zones, input) => zones.sign_zone({ ...input, dnskey: null }),
    between: ['published'],
    after: 'published',
    keys: { all: 1, inUse: 1, same: false },
  },
  unsign_zone: {
    before: signed,
    act: (zones, input) => zones.unsign_zone(input),
    between: ['published'],
    after: 'published',
    keys: { all: 1, inUse: 0, same: false },
  },
  'unpublish_zone of a signed zone': {
    before: signed,
    act: (zones, input) => zones.unpublish_zone(input),
    between: ['staged', 'published'],
    after: 'staged',
    keys: { all: 1, inUse: 1, same: true },
  },
  'quarantine_zone and restore_zone of a signed zone': {
    before: signed,
    act: async (zones, input) => {
      await zones.quarantine_zone(input)
      return zones.restore_zone(input)
    },
    between: ['published', 'quarantined'],
    after: 'published',
    keys: { all: 1, inUse: 1, same: true },
  },
}

describe.each(Object.entries(verbs))('%s', (_, verb) => {
  test.each(['failsBefore', 'failsAfterEffect'] as const)(
    'is done once and whole, wherever the keeper dies (%s)',
    async (mode) => {
      // What the same verb gives when nothing fails.
      const calm = newDomain()
      const { zones: calmZones } = world.open({}, world.newStateDir())
      await verb.before(calmZones, calm)
      await verb.act(calmZones, op(calm))
      const expected = (await state(calmZones, calm)).record_sets

      let died = true
      for (let request = 1; died; request += 1) {
        const domain = newDomain()
        const stateDir = world.newStateDir()
        const first = world.open({}, stateDir)
        await verb.before(first.zones, domain)
        const whole = (await state(first.zones, domain)).record_sets
        const keysBefore = verb.keys ? await keysOf(domain) : []
        const input = op(domain)
        world.proxy.plan(mode, request)
        const outcome = await verb.act(first.zones, input).then(
          () => 'answered',
          (error: { code?: string }) => error.code,
        )
        died = world.proxy.unplan()
        expect(outcome).toBe(died ? 'BACKEND_UNAVAILABLE' : 'answered')

        // A keeper that knows only what is on the disk.
        const second = world.open({}, stateDir)
        const found = await state(second.zones, domain)
        expect(verb.between).toContain(found.state)
        if (found.state !== 'quarantined' && found.state !== 'absent')
          expect([whole, expected]).toContainEqual(found.record_sets)
        const [step] = (await second.operations.steps(domain.account_id, input.operation_id)).filter(({ target }) =>
          target.startsWith(domain.zone_id),
        )
        expect(step!.state).not.toBe('unknown')

        await verb.act(second.zones, input)
        expect(await state(second.zones, domain)).toMatchObject({ state: verb.after, record_sets: expected })
        expect(await copies(domain)).toHaveLength(verb.after === 'quarantined' ? 0 : 1)
        if (verb.keys) {
          const keys = await keysOf(domain)
          expect(keys).toHaveLength(verb.keys.all)
          expect(keys.filter((key) => key.endsWith('true true'))).toHaveLength(verb.keys.inUse)
          if (verb.keys.same) expect(keys).toEqual(keysBefore)
        }
        await first.operations.close()
        await second.operations.close()
      }
    },
    120_000,
  )
})

test('a quarantine that died half way and is never asked again hides nothing and offers nothing to the reaper', async () => {
  const domain = newDomain()
  const { zones } = world.open({}, world.newStateDir())
  await published(zones, domain)
  const before = await state(zones, domain)
  const powerDnsDies = world.open({}, world.newStateDir())
  // Reads pass; the one DELETE does not come through.
  for (let request = 1; ; request += 1) {
    world.proxy.plan('failsBefore', request)
    const outcome = await powerDnsDies.zones.quarantine_zone(op(domain)).catch((error: { code?: string }) => error.code)
    if (!world.proxy.unplan()) throw new Error('the DELETE was never reached')
    expect(outcome).toBe('BACKEND_UNAVAILABLE')
    if (trashFiles(powerDnsDies.stateDir).length > 0) break
  }
  expect(await state(powerDnsDies.zones, domain)).toEqual(before)
  expect(await powerDnsDies.zones.listQuarantined()).toEqual([])
  world.clock.advance(60 * 86_400_000)
  const [file] = trashFiles(powerDnsDies.stateDir)
  const { operation_id } = JSON.parse(readFileSync(file!, 'utf8')) as { operation_id: string }
  await expect(powerDnsDies.zones.purge(domain.zone_id, operation_id)).rejects.toMatchObject({
    code: 'NOT_QUARANTINED',
  })
  expect(await state(powerDnsDies.zones, domain)).toEqual(before)
})

describe('PowerDNS', () => {
  test('killed right after it acknowledged has kept everything', async () => {
    const { zones } = world.open({}, world.newStateDir())
    for (let round = 0; round < 5; round += 1) {
      const domain = newDomain()
      await published(zones, domain)
      await world.powerDns.kill('SIGKILL')
      await expect(zones.read_zone(domain)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
      await world.powerDns.start()
      expect(await state(zones, domain)).toMatchObject({ state: 'published' })
      expect((await state(zones, domain)).record_sets).toHaveLength(everyType.length + 1)
    }
  })
  test('that hangs is BACKEND_UNAVAILABLE within the timeout, and the step is finished when it is back', async () => {
    const { zones } = world.open({ timeoutMs: 300 }, world.newStateDir())
    const domain = newDomain()
    await zones.create_zone(op(domain))
    const input = op({ ...domain, record_sets: everyType })
    await world.powerDns.kill('SIGSTOP')
    const start = performance.now()
    await expect(zones.replace_record_sets(input)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
    expect(performance.now() - start).toBeLessThan(2000)
    await world.powerDns.kill('SIGCONT')
    await zones.replace_record_sets(input)
    expect((await state(zones, domain)).record_sets).toHaveLength(everyType.length + 1)
  })
})

test('a damaged record in the trash is left alone and does not hide the others', async () => {
  const opened = world.open({}, world.newStateDir())
  const [damaged, sound] = [newDomain(), newDomain()]
  for (const domain of [damaged, sound]) {
    await opened.zones.create_zone(op(domain))
    await opened.zones.quarantine_zone(op(domain))
  }
  writeFileSync(`${opened.stateDir}/zones-quarantined/${idHex(damaged.zone_id)}.json`, '{"half')
  expect((await opened.zones.listQuarantined()).map(({ target }) => target)).toEqual([sound.zone_id])
  await expect(opened.zones.restore_zone(op(damaged))).rejects.toThrow()
  expect(await opened.zones.restore_zone(op(sound))).toEqual({ state: 'staged' })
})
