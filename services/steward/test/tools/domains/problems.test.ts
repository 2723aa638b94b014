// What check_domain concludes from what was seen: each fault named, nothing claimed of what nobody answered.
import type { OutsideView } from '@bailiwick/contracts/dns'
import { delegationOf, findProblems, nextOf, type Facts } from '../../../src/tools/domains/problems.ts'

const NOW = Date.parse('2026-06-01T00:00:00Z')
const DAY = 86_400_000
const registration: Facts['registration'] = {
  state: 'known',
  why: null,
  name: 'example.com',
  registrar: 'R',
  statuses: ['active'],
  expires_at: NOW + 200 * DAY,
  name_servers: [],
}
const server = (answers: OutsideView['servers'][number]['answers']) => ({ name: 'ns1', address: '192.0.2.1', answers })
const view = (servers = [server('ours')]): OutsideView => ({
  texts: [],
  delegation: { state: 'delegated', parent_zone: 'com', source: 'parent', name_servers: [] },
  servers,
  ds: { state: 'absent', records: [] },
})
const well: Facts = {
  name: 'example.com',
  isVerified: true,
  isProofVisible: true,
  delegation: 'here',
  view: view(),
  fit: 'matches',
  isSigned: true,
  registration,
  now: NOW,
}
const codes = (facts: Partial<Facts>): string[] => findProblems({ ...well, ...facts }).map(({ code }) => code)

test('a healthy domain has no problems, and nothing is next', () => {
  expect(codes({})).toEqual([])
  expect(codes({ isSigned: false, fit: 'none' })).toEqual([])
  expect(nextOf(well, [])).toMatch(/^Nothing/)
})

test('what nobody answered is no problem, and no reassurance', () => {
  const unknown: Partial<Facts> = {
    delegation: 'unknown',
    fit: 'unknown',
    isProofVisible: null,
    view: view([]),
    registration: { ...registration, state: 'unknown', statuses: [], expires_at: null },
  }
  expect(codes(unknown)).toEqual([])
  expect(nextOf({ ...well, ...unknown }, [])).toContain('could not be seen')
  expect(nextOf({ ...well, ...unknown, isVerified: false }, [])).toContain('Try again')
})

test.each<[string, Partial<Facts>, string[]]>([
  ['an unregistered name', { registration: { ...registration, state: 'not_registered' } }, ['not_registered']],
  ['clientHold', { registration: { ...registration, statuses: ['clientHold'] } }, ['registration_held']],
  ['server hold', { registration: { ...registration, statuses: ['server hold'] } }, ['registration_held']],
  ['redemption', { registration: { ...registration, statuses: ['redemption period'] } }, ['registration_lapsed']],
  ['an expired one', { registration: { ...registration, expires_at: NOW - 1 } }, ['registration_expired']],
  ['one about to', { registration: { ...registration, expires_at: NOW + DAY } }, ['registration_expires_soon']],
  ['no delegation', { delegation: 'not_delegated', view: view([]), fit: 'none' }, ['not_delegated']],
  ['a delegation elsewhere', { delegation: 'elsewhere', fit: 'none' }, ['delegated_elsewhere']],
  ['half a delegation', { delegation: 'partly' }, ['delegated_partly']],
  ['a dead server', { view: view([server('nothing')]) }, ['no_server_answers']],
  ['one lame of two', { view: view([server('ours'), server('not_authoritative')]) }, ['some_servers_do_not_answer']],
  ['an old copy', { view: view([server('outdated')]) }, ['outdated_answers']],
  ['a server that may not be asked', { view: view([server('not_asked')]) }, []],
  ['another’s DS', { fit: 'mismatch' }, ['ds_mismatch']],
  ['a DS over an unsigned zone', { fit: 'mismatch', isSigned: false }, ['ds_without_signatures']],
  [
    'a DS before the move here',
    { fit: 'mismatch', delegation: 'elsewhere' },
    ['delegated_elsewhere', 'ds_of_another_provider'],
  ],
  ['a missing DS', { fit: 'none' }, ['ds_missing']],
  ['a missing proof', { isVerified: false, isProofVisible: false }, ['verification_missing']],
])('%s is named', (_, facts, expected) => {
  expect(codes(facts)).toEqual(expected)
  for (const { what, remedy } of findProblems({ ...well, ...facts })) expect(`${what}${remedy}`).toMatch(/\w{3,}.*\./)
})

test('the delegation is compared as names are: without case and final dot', () => {
  const seen = (name_servers: string[]): OutsideView['delegation'] => ({ ...view().delegation, name_servers })
  const inZone = ['ns1.bailiwick.invalid.', 'ns2.bailiwick.invalid.']
  expect(delegationOf(seen(['NS2.bailiwick.invalid', 'ns1.bailiwick.invalid']), inZone)).toBe('here')
  expect(delegationOf(seen(['ns1.bailiwick.invalid']), inZone)).toBe('partly')
  expect(delegationOf(seen(['ns1.bailiwick.invalid', 'ns2.bailiwick.invalid', 'x.test']), inZone)).toBe('partly')
  expect(delegationOf(seen(['x.test']), inZone)).toBe('elsewhere')
  expect(delegationOf({ ...seen([]), state: 'unknown' }, inZone)).toBe('unknown')
})
