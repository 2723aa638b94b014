import { createHash, createHmac, randomBytes } from 'node:crypto'
import { commit, commitPersonal, openPersonal, type Opening } from '../src/commitments.ts'
import { leafHash, leafText, periodOf, prepare, retentionClass } from '../src/leaf.ts'
import { openOpening, partitionKey, sealOpening } from '../src/openings.ts'
import { entry, PERSONAL } from './helpers.ts'

const NOON = Date.UTC(2026, 10, 21, 12)
const leafOf = (change = {}): Record<string, unknown> =>
  JSON.parse(leafText(prepare(entry(change), NOON), 7, 'standard-2026-11')) as Record<string, unknown>

test('a leaf is RFC 8785 JSON with exactly the fields of version 1', () => {
  const text = leafText(prepare(entry(), NOON), 7, 'standard-2026-11')
  const leaf = JSON.parse(text) as Record<string, unknown>
  expect(Object.keys(leaf)).toEqual(
    'account catalog_hash class code commitments count decision door duration_ms index kind opening operation_id policy_hash request_id risk scopes status time tool v'.split(
      ' ',
    ),
  )
  expect(leaf).toMatchObject({
    v: 1,
    index: 7,
    time: NOON,
    class: 'standard',
    opening: { partition: 'standard-2026-11' },
  })
  expect(text).toBe(JSON.stringify(leaf))
})

test('a leaf hash is the leaf hash of RFC 6962', () => {
  expect(leafHash('{"ä":1}').toString('hex')).toBe(
    createHash('sha256')
      .update(Buffer.from([0]))
      .update('{"ä":1}', 'utf8')
      .digest('hex'),
  )
})

test('a commitment is HMAC-SHA-256 of the canonical value under its key', () => {
  for (const value of ['""', '"ümlaut 😀"', '{"a":[1,2]}', `"${'x'.repeat(5000)}"`]) {
    const blind = randomBytes(32)
    expect(commit(value, blind)).toBe(createHmac('sha256', blind).update(value).digest('hex'))
  }
})

test('no personal value is in a leaf, whatever its field', () => {
  const text = leafText(prepare(entry(), NOON), 7, 'standard-2026-11')
  for (const value of [...Object.values(PERSONAL).filter((value) => typeof value === 'string'), 'erika', 'ümlaut'])
    expect(text.toLowerCase()).not.toContain(value.toLowerCase())
})

test('two entries with the same values have different commitments', () => {
  expect(leafOf()['commitments']).not.toEqual(leafOf()['commitments'])
})

test('absent and null fields have no commitment', () => {
  expect(leafOf({ personal: { user: 'x', client: null } })['commitments']).toEqual({
    user: expect.stringMatching(/^[0-9a-f]{64}$/),
  })
})

test('what an agent spells into the name of a tool cannot carry an address or a sentence', () => {
  expect(leafOf({ tool: 'erika@example.org' })['tool']).toBe('unrecognized')
  expect(leafOf({ request_id: 'call me, Erika' })['request_id']).toBe('unrecognized')
  expect(leafOf({ tool: 'list_domains' })['tool']).toBe('list_domains')
})

test('an account that is no identifier, or a value without canonical form, is refused alone', () => {
  expect(() => prepare(entry({ account: 'a\u0000b' }), NOON)).toThrow(
    expect.objectContaining({ code: 'MESSAGE_INVALID' }),
  )
  expect(() => prepare(entry({ personal: { why: '\ud800' } }), NOON)).toThrow(
    expect.objectContaining({ code: 'MESSAGE_INVALID' }),
  )
})

test.each([
  [{ kind: 'call', risk: 'read', tool: 'list_domains' }, 'standard'],
  [{ kind: 'intent', risk: 'write', tool: 'set_dns_records' }, 'standard'],
  [{ kind: 'intent', risk: 'destructive', tool: 'remove_it' }, 'long'],
  [{ kind: 'outcome', risk: null, tool: 'delete_database' }, 'long'],
  [{ kind: 'intent', risk: 'write', tool: 'install_wordpress' }, 'long'],
  [{ kind: 'token_issued', risk: null, tool: null }, 'long'],
  [{ kind: 'approval', risk: null, tool: null }, 'long'],
  [{ kind: 'purge', risk: null, tool: null }, 'long'],
] as const)('%j is kept in class %s', (what, expected) => {
  expect(retentionClass(what)).toBe(expected)
})

test('a period is the class and the month in UTC', () => {
  expect(periodOf('long', Date.UTC(2026, 11, 31, 23, 59, 59, 999))).toBe('long-2026-12')
  expect(periodOf('standard', Date.UTC(2027, 0, 1))).toBe('standard-2027-01')
})

describe('an opening', () => {
  const made = commitPersonal(PERSONAL)
  const opening = JSON.parse(made.opening) as Opening

  test('gives back exactly what was committed to', () => {
    expect(openPersonal(made.commitments, opening)).toEqual(PERSONAL)
  })

  test('with a changed value, a missing or an added field opens nothing', () => {
    const { user, ...without } = opening
    expect(openPersonal(made.commitments, { ...opening, user: { ...user!, value: 'somebody else' } })).toBeNull()
    expect(openPersonal(made.commitments, without)).toBeNull()
    expect(openPersonal(made.commitments, { ...opening, approval_id: user! })).toBeNull()
    expect(openPersonal(made.commitments, { ...without, approval_id: user! })).toBeNull()
  })

  test('opens only at its own index, in its own partition, under its own key, unchanged', () => {
    const key = partitionKey('standard-2026-11', '07'.repeat(32))
    const sealed = sealOpening(key, 5, made.opening)
    expect(openOpening(key, 5, sealed)).toEqual(opening)
    expect(() => openOpening(key, 6, sealed)).toThrow()
    expect(() => openOpening(partitionKey('long-2026-11', '07'.repeat(32)), 5, sealed)).toThrow()
    expect(() => openOpening(partitionKey('standard-2026-11', '08'.repeat(32)), 5, sealed)).toThrow()
    sealed[40]! ^= 1
    expect(() => openOpening(key, 5, sealed)).toThrow()
  })

  test('is sealed under a nonce of its own each time, also at the same index', () => {
    const key = partitionKey('standard-2026-11', '07'.repeat(32))
    const nonces = Array.from({ length: 2000 }, () => sealOpening(key, 5, '{}').subarray(0, 12).toString('hex'))
    expect(new Set(nonces).size).toBe(2000)
  })
})
