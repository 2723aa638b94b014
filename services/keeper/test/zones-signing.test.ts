// Signing on a real PowerDNS: what it serves is asked over DNS and its signatures are checked here.
import { dnskeysOf, dsDigest, keyTag, signerOf, askSigned } from '@bailiwick/testing/dnssec'
import { idHex, uuidv7 } from '@bailiwick/kernel/ids'
import type { Zones } from '../src/zones/zones.ts'
import { everyType, newDomain, newOperation, zonesWorld, type ZonesWorld } from './zones-helpers.ts'

let world: ZonesWorld
let zones: Zones
beforeAll(async () => {
  world = await zonesWorld()
  zones = world.open().zones
})
afterAll(() => world.close())

type Domain = ReturnType<typeof newDomain>
const op = <T extends object>(input: T): T & { operation_id: string } => ({ operation_id: newOperation(), ...input })
const sign = (domain: Domain, dnskey: string | null = null) => zones.sign_zone({ ...op(domain), dnskey })
const signing = async (domain: Domain) => (await zones.read_signing(domain)).signing
const published = async (): Promise<Domain> => {
  const domain = newDomain()
  await zones.create_zone(op(domain))
  await zones.replace_record_sets(op({ ...domain, record_sets: everyType }))
  await zones.publish_zone(op(domain))
  return domain
}
const port = (): number => world.powerDns.dnsPort
type RawKey = { id: number; privatekey: string; dnskey: string; active: boolean; published: boolean; keytype: string }
/** Everything about the zone's keys, the private halves too, as only PowerDNS' own API shows it. */
const rawKeys = async (apex: string): Promise<Omit<RawKey, 'id'>[]> => {
  const keys = (await world.powerDns.call('GET', `/zones/${apex}/cryptokeys`)) as RawKey[]
  const full = await Promise.all(
    keys.map(({ id }) => world.powerDns.call('GET', `/zones/${apex}/cryptokeys/${id}`) as Promise<RawKey>),
  )
  return full.map(({ id: _id, privatekey, ...key }) => ({ ...key, privatekey: privatekey.trim() }))
}
/** Not the first answer: PowerDNS keeps packets for some seconds. */
async function isServedUnsigned(domain: Domain): Promise<boolean> {
  return (await dnskeysOf(port(), domain.name)).length === 0
}

describe('a signed zone', () => {
  test('validates: its key signs itself, its records, new records and denials, and the DS names it', async () => {
    const domain = await published()
    expect(await signing(domain)).toEqual({ state: 'unsigned', key: null })
    const { key } = await sign(domain)
    const [served, ...more] = await dnskeysOf(port(), domain.name)
    expect(more).toEqual([])
    expect(key.key_tag).toBe(keyTag(served!))
    expect(key.algorithm).toBe(13)
    expect(key.dnskey).toBe(`257 3 13 ${served!.subarray(4).toString('base64')}`)
    expect(key.ds.map(({ digest_type }) => digest_type)).toEqual([2, 4])
    expect(key.ds[0]!.digest).toBe(dsDigest(domain.name, served!))
    expect(await signing(domain)).toEqual({ state: 'signed', key })
    expect(await signerOf(port(), domain.name, domain.name, 'DNSKEY')).toBe(key.key_tag)
    expect(await signerOf(port(), domain.name, domain.name, 'A')).toBe(key.key_tag)

    const late = { name: 'late.deep', type: 'A' as const, ttl_seconds: 60, records: ['192.0.2.77'] }
    await zones.replace_record_sets(op({ ...domain, record_sets: [late] }))
    expect(await signerOf(port(), domain.name, `late.deep.${domain.name}`, 'A')).toBe(key.key_tag)
    // A name that is not there: the denial of its neighbour spans it, and is signed. (Under `ptr`, where no wildcard answers.)
    const question = { name: `nothing.ptr.${domain.name}`, type: 'A' } as const
    expect((await askSigned(port(), question.name, 'A')).rcode).toBe(3)
    expect(await signerOf(port(), domain.name, `1.ptr.${domain.name}`, 'NSEC', question)).toBe(key.key_tag)
  })

  test('the signature check itself refuses a record that the key did not sign', async () => {
    const domain = await published()
    await sign(domain)
    expect(await signerOf(port(), `other.${domain.name}`, domain.name, 'A')).toBeNull()
    const unsigned = await published()
    expect(await signerOf(port(), unsigned.name, unsigned.name, 'A')).toBeNull()
  })

  test('gives DS records of the domain’s own name while it is staged under another', async () => {
    const domain = await published()
    const { key } = await sign(domain)
    await zones.unpublish_zone(op(domain))
    expect(await signing(domain)).toEqual({ state: 'signed', key })
    await zones.publish_zone(op(domain))
    expect(await signerOf(port(), domain.name, domain.name, 'A')).toBe(key.key_tag)
  })
})

describe('the key', () => {
  test('is made once: leaving off parks it, and signing again is with the same one', async () => {
    const domain = await published()
    const { key } = await sign(domain)
    const before = await rawKeys(`${domain.name}.`)
    await zones.unsign_zone(op(domain))
    expect(await signing(domain)).toEqual({ state: 'parked', key })
    expect(await isServedUnsigned(domain)).toBe(true)
    expect(await rawKeys(`${domain.name}.`)).toEqual([{ ...before[0], active: false, published: false }])
    expect((await sign(domain)).key).toEqual(key)
    expect(await rawKeys(`${domain.name}.`)).toEqual(before)
    expect(await signerOf(port(), domain.name, domain.name, 'A')).toBe(key.key_tag)
  })

  test.each(['signed', 'parked'] as const)(
    'survives quarantine and restore, twice, and moves between staged and published: private half, state, DS (%s)',
    async (state) => {
      const domain = await published()
      const { key } = await sign(domain)
      if (state === 'parked') await zones.unsign_zone(op(domain))
      const [before, looked] = [await rawKeys(`${domain.name}.`), await signing(domain)]
      for (const _ of ['first', 'again']) {
        await zones.quarantine_zone(op(domain))
        expect(await signing(domain)).toEqual({ state: 'unsigned', key: null })
        await zones.restore_zone(op(domain))
        expect(await rawKeys(`${domain.name}.`)).toEqual(before)
        expect(await signing(domain)).toEqual(looked)
      }
      await zones.unpublish_zone(op(domain))
      expect(await rawKeys(`z${idHex(domain.zone_id)}.staged.invalid.`)).toMatchObject(
        before.map(({ privatekey, dnskey, active }) => ({ privatekey, dnskey, active })),
      )
      await zones.publish_zone(op(domain))
      expect(await rawKeys(`${domain.name}.`)).toEqual(before)
      expect(await signerOf(port(), domain.name, domain.name, 'A')).toBe(state === 'signed' ? key.key_tag : null)
    },
  )

  test('is not touched by a change or a restore of records', async () => {
    const domain = await published()
    await sign(domain)
    const before = await rawKeys(`${domain.name}.`)
    await zones.replace_record_sets(op({ ...domain, record_sets: [{ ...everyType[0]!, records: ['198.51.100.9'] }] }))
    await zones.replace_record_sets(op({ ...domain, record_sets: everyType }))
    expect(await rawKeys(`${domain.name}.`)).toEqual(before)
  })

  test('asked for by name is that one or none', async () => {
    const [domain, other] = [await published(), await published()]
    const [{ key }, strange] = [await sign(domain), await sign(other)]
    await zones.unsign_zone(op(domain))
    await expect(sign(domain, strange.key.dnskey)).rejects.toMatchObject({ code: 'CONFLICT' })
    expect(await signing(domain)).toEqual({ state: 'parked', key })
    expect((await sign(domain, key.dnskey)).key).toEqual(key)
  })

  test('that a lost request made twice is one key still: the second stays parked through a restore', async () => {
    const domain = await published()
    const { key } = await sign(domain)
    const late = { keytype: 'csk', active: false, published: false, algorithm: 'ecdsa256' }
    await world.powerDns.call('POST', `/zones/${domain.name}./cryptokeys`, late)
    await zones.unsign_zone(op(domain))
    await zones.quarantine_zone(op(domain))
    await zones.restore_zone(op(domain))
    expect(await signing(domain)).toEqual({ state: 'parked', key })
    expect((await sign(domain)).key).toEqual(key)
    expect((await rawKeys(`${domain.name}.`)).map(({ active }) => active)).toEqual([true, false])
  })

  test('is nowhere in what the verbs answer, nor in the operation log', async () => {
    const opened = world.open({}, world.newStateDir())
    const domain = newDomain()
    const answers = [
      await opened.zones.create_zone(op(domain)),
      await opened.zones.sign_zone({ ...op(domain), dnskey: null }),
      await opened.zones.read_signing(domain),
      await opened.zones.read_zone(domain),
      await opened.zones.dump_zone(op(domain)),
      await opened.zones.quarantine_zone(op(domain)),
      await opened.zones.restore_zone(op(domain)),
      await opened.zones.unsign_zone(op(domain)),
    ]
    const [key] = await rawKeys(`z${idHex(domain.zone_id)}.staged.invalid.`)
    const secret = /PrivateKey: (\S+)/.exec(key!.privatekey)![1]!
    await opened.operations.close()
    const { readFileSync } = await import('node:fs')
    const text = JSON.stringify(answers) + readFileSync(`${opened.stateDir}/operations.log`, 'utf8')
    expect(text).toContain(key!.dnskey)
    for (const form of [secret, Buffer.from(secret, 'base64').toString('hex'), secret.slice(0, 20)])
      expect(text).not.toContain(form)
  })
})

test('another account can neither sign, nor leave off, nor see a zone’s keys', async () => {
  const domain = await published()
  await sign(domain)
  const stranger = { ...domain, account_id: uuidv7() }
  const before = await signing(domain)
  await expect(sign(stranger)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(zones.unsign_zone(op(stranger))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(await signing(stranger)).toEqual({ state: 'unsigned', key: null })
  expect(await signing(domain)).toEqual(before)
})

test('leaving off what was never signed is refused, and changes nothing', async () => {
  const domain = await published()
  await expect(zones.unsign_zone(op(domain))).rejects.toMatchObject({ code: 'CONFLICT' })
  expect(await signing(domain)).toEqual({ state: 'unsigned', key: null })
})
