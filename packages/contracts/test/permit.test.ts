import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { boundInput, inputHash, isGenuine, Permit, redactInput, sealPermit } from '@bailiwick/contracts/permit'

const key = randomBytes(32)
const permit = Permit.parse({
  v: 1,
  account: uuidv7(),
  principal: `pat:${uuidv7()}`,
  user: null,
  token_id: 'a'.repeat(64),
  client: null,
  door: 'mcp',
  scopes: ['dns:read'],
  tier: 'beta',
  tool: 'list_dns_records',
  risk: 'read',
  decision: 'allow',
  policy_hash: 'p',
  catalog_hash: 'c',
  input_hash: 'i',
  operation_id: null,
  bound: null,
  preview_id: null,
  approval_id: null,
  obligations: [],
  undo_until: null,
  address: '127.0.0.1',
  agent: 'test',
  request_id: 'r',
  idempotency_key: null,
  issued_at: 1,
  nonce: 'n',
})

describe('a permit', () => {
  test('is genuine under its key, through JSON and whatever the order of its keys', () => {
    const sealed = JSON.parse(JSON.stringify(sealPermit(key, permit))) as ReturnType<typeof sealPermit>
    const shuffled = Object.fromEntries(Object.entries(sealed.permit).reverse()) as typeof sealed.permit
    expect(isGenuine(key, { permit: shuffled, mac: sealed.mac })).toBe(true)
  })
  test('is refused under another key', () => {
    expect(isGenuine(randomBytes(32), sealPermit(key, permit))).toBe(false)
  })
  test.each(Object.keys(permit))('is refused when %s is changed', (field) => {
    const sealed = sealPermit(key, permit)
    const changed = {
      ...sealed.permit,
      [field]: field === 'scopes' || field === 'obligations' ? ['dns:delete'] : 'other',
    }
    expect(isGenuine(key, { permit: changed, mac: sealed.mac })).toBe(false)
  })
})

describe('the input hash', () => {
  test('ignores the idempotency key and nothing else', () => {
    expect(inputHash({ a: 1, idempotency_key: 'x' })).toBe(inputHash({ a: 1, idempotency_key: 'y' }))
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.integer()), fc.string(), fc.integer(), (input, field, value) => {
        fc.pre(field !== 'idempotency_key' && field !== '__proto__' && input[field] !== value)
        expect(inputHash({ ...input, [field]: value })).not.toBe(inputHash(input))
      }),
    )
  })
  test('binds a preview without its own token and confirmation', () => {
    expect(boundInput({ database_id: 'd', preview_token: 't', confirm: true, idempotency_key: 'k' })).toEqual({
      database_id: 'd',
    })
  })
})

test('a redacted input keeps only what its rules keep', () => {
  const redacted = redactInput(
    { name: 'keep', rows: 'hash' },
    {
      name: 'orders',
      rows: ['secret'],
      extra: 'secret',
    },
  )
  expect(redacted).toMatchObject({ name: 'orders' })
  expect(JSON.stringify(redacted)).not.toContain('secret')
})
