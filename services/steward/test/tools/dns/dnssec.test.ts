// Signing and leaving off: undone with the same key, and never taken away from under a DS at the parent without the owner.
import type { ParentDs, SigningKey } from '@bailiwick/contracts/dns'
import addDomain from '../../../src/tools/domains/add_domain.ts'
import deleteDomain from '../../../src/tools/domains/delete_domain.ts'
import previewDeleteDomain from '../../../src/tools/domains/preview_delete_domain.ts'
import verifyDomain from '../../../src/tools/domains/verify_domain.ts'
import getDnssec from '../../../src/tools/dns/get_dnssec.ts'
import restoreDnsVersion from '../../../src/tools/dns/restore_dns_version.ts'
import setDnsRecords from '../../../src/tools/dns/set_dns_records.ts'
import signDomain from '../../../src/tools/dns/sign_domain.ts'
import unsignDomain from '../../../src/tools/dns/unsign_domain.ts'
import { denialOf, openWorkshop, proveInverse, type Workshop } from '../harness.ts'

const NAME = 'example.com'
async function published(workshop: Workshop): Promise<{ domain_id: string; added: string; verified: string }> {
  const { output, operationId: added } = await workshop.call(addDomain, { name: NAME })
  const domain_id = output['domain_id'] as string
  const proof = output['verification'] as { name: string; value: string }
  workshop.keeper.txt.set(proof.name, [proof.value])
  const { operationId: verified } = await workshop.call(verifyDomain, { domain_id })
  return { domain_id, added, verified }
}
async function signed(workshop: Workshop) {
  const domain = await published(workshop)
  const { output, operationId } = await workshop.call(signDomain, { domain_id: domain.domain_id })
  const { ds } = output['key'] as { ds: (SigningKey['ds'][number] & { record: string })[] }
  const atParent = (state: ParentDs['state'], records: ParentDs['records'] = []): void =>
    void workshop.keeper.parentDs.set(NAME, { state, records })
  return { ...domain, operationId, ds: ds.map(({ record: _record, ...each }) => each), atParent }
}
const dnssec = async (workshop: Workshop, domain_id: string) => (await workshop.call(getDnssec, { domain_id })).output
const another = { key_tag: 7, algorithm: 8, digest_type: 2, digest: 'ab'.repeat(32) }

test('a served zone is signed, undone and redone exactly, with one key, even when its handler runs twice', async () => {
  const workshop = openWorkshop()
  const { domain_id } = await published(workshop)
  const { output } = await proveInverse(workshop, () => workshop.call(signDomain, { domain_id }, { crashes: true }))
  const key = output['key'] as { key_tag: number; ds: { record: string }[] }
  expect(key.ds[0]!.record).toMatch(/^\d+ 13 2 [0-9a-f]{64}$/)
  expect(await dnssec(workshop, domain_id)).toMatchObject({ state: 'parked', key })
  expect((await workshop.call(signDomain, { domain_id })).output['key']).toEqual(key)
})

test('leaving off is undone with the same key', async () => {
  const workshop = openWorkshop()
  const { domain_id } = await signed(workshop)
  const before = await dnssec(workshop, domain_id)
  await proveInverse(workshop, () => workshop.call(unsignDomain, { domain_id }, { crashes: true }))
  expect(await dnssec(workshop, domain_id)).toEqual(before)
})

test('only a verified domain is signed, and only once; what is not signed is not left off', async () => {
  const workshop = openWorkshop()
  const { output } = await workshop.call(addDomain, { name: 'staged.example' })
  expect(await denialOf(workshop.call(signDomain, { domain_id: output['domain_id'] }))).toMatchObject({
    code: 'CONFLICT',
    next: expect.stringContaining('verify_domain'),
  })
  const { domain_id } = await published(workshop)
  expect((await denialOf(workshop.call(unsignDomain, { domain_id }))).code).toBe('CONFLICT')
  await workshop.call(signDomain, { domain_id })
  expect((await denialOf(workshop.call(signDomain, { domain_id }))).code).toBe('CONFLICT')
})

describe.each<[string, ParentDs]>([
  ['a DS at the parent', { state: 'present', records: [another] }],
  ['a parent that nobody could ask', { state: 'unknown', records: [] }],
])('under %s', (_, ds) => {
  test('the owner decides whether a key goes out of use: left off, undone, unpublished, deleted', async () => {
    const workshop = openWorkshop()
    const { domain_id, verified, operationId, atParent } = await signed(workshop)
    atParent(ds.state, ds.records)
    const before = workshop.world()
    for (const call of [
      () => workshop.call(unsignDomain, { domain_id }),
      () => workshop.undo(operationId),
      () => workshop.undo(verified),
      () => workshop.call(deleteDomain, { domain_id }),
    ])
      expect(await denialOf(call())).toMatchObject({ code: 'APPROVAL_REQUIRED', extra: { critical: ['@ DS'] } })
    expect(workshop.world()).toEqual(before)
    expect((await workshop.call(previewDeleteDomain, { domain_id })).output['impact']).toMatchObject({
      critical: ['@ DS'],
    })
  })

  test('bringing the key back needs nobody; taking it away again does', async () => {
    const workshop = openWorkshop()
    const { domain_id, atParent } = await signed(workshop)
    const left = await workshop.call(unsignDomain, { domain_id })
    atParent(ds.state, ds.records)
    const back = await workshop.undo(left.operationId)
    expect((await denialOf(workshop.undo(back.operationId))).code).toBe('APPROVAL_REQUIRED')
    const deleted = await workshop.call(deleteDomain, { domain_id }, { mayTouchCritical: true })
    await workshop.undo(deleted.operationId)
    expect(await dnssec(workshop, domain_id)).toMatchObject({ state: 'signed' })
  })

  test('an unsigned zone is nobody’s concern', async () => {
    const workshop = openWorkshop()
    const { domain_id, verified } = await published(workshop)
    workshop.keeper.parentDs.set(NAME, ds)
    await workshop.undo(verified)
    await workshop.call(deleteDomain, { domain_id })
  })
})

test('a deleted signed domain comes back signed with the same key', async () => {
  const workshop = openWorkshop()
  const { domain_id } = await signed(workshop)
  const before = await dnssec(workshop, domain_id)
  await proveInverse(workshop, () => workshop.call(deleteDomain, { domain_id }, { crashes: true }))
  expect(await dnssec(workshop, domain_id)).toEqual(before)
})

test('an add is not undone behind the back of who has signed since', async () => {
  const workshop = openWorkshop()
  const { domain_id, added, verified } = await signed(workshop)
  await workshop.undo(verified)
  expect((await denialOf(workshop.undo(added))).code).toBe('CONFIRMATION_REQUIRED')
  expect(await dnssec(workshop, domain_id)).toMatchObject({ state: 'signed' })
})

test('an earlier version of the records is restored under the same key', async () => {
  const workshop = openWorkshop()
  const { domain_id } = await signed(workshop)
  const before = await dnssec(workshop, domain_id)
  await workshop.call(setDnsRecords, { domain_id, name: 'www', type: 'A', records: ['192.0.2.1'] })
  await workshop.call(restoreDnsVersion, { domain_id, version: 1 })
  expect(await dnssec(workshop, domain_id)).toEqual(before)
})

test('the parent’s DS is told apart: ours, another’s, none, and unknown', async () => {
  const workshop = openWorkshop()
  const { domain_id, ds, atParent } = await signed(workshop)
  const dsFit = async () => (await dnssec(workshop, domain_id))['parent']
  expect(await dsFit()).toEqual({ ds: 'none', seen: [] })
  atParent('unknown')
  expect(await dsFit()).toEqual({ ds: 'unknown', seen: [] })
  atParent('present', [another])
  expect(await dsFit()).toEqual({ ds: 'mismatch', seen: [`7 8 2 ${'ab'.repeat(32)}`] })
  atParent('present', [another, ...ds])
  expect(await dsFit()).toMatchObject({ ds: 'matches' })
  await workshop.call(unsignDomain, { domain_id }, { mayTouchCritical: true })
  expect(await dnssec(workshop, domain_id)).toMatchObject({
    state: 'parked',
    parent: { ds: 'mismatch' },
    next: expect.stringContaining('sign_domain'),
  })
})

test('another account’s domain is not found', async () => {
  const workshop = openWorkshop()
  const { domain_id } = await signed(workshop)
  const stranger = openWorkshop(workshop)
  for (const tool of [getDnssec, signDomain, unsignDomain])
    expect(await denialOf(stranger.call(tool, { domain_id }))).toEqual({ code: 'NOT_FOUND' })
})
