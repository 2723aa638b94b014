import fc from 'fast-check'
import { parseRecordValue, quoteTxt, RecordSet, unquoteTxt, ZoneName } from '@bailiwick/contracts/dns'

test.each([
  ['A', '192.0.2.1', '192.0.2.1'],
  ['A', '192.0.2.256', null],
  ['A', '192.0.2.1\n@ NS evil.example.', null],
  ['AAAA', '2001:DB8::1', '2001:db8::1'],
  ['AAAA', 'fe80::1%eth0', null],
  ['CNAME', 'Www.Example.com.', 'www.example.com.'],
  ['CNAME', 'a b', null],
  ['MX', '10 mail.example.com', '10 mail.example.com.'],
  ['MX', '0 .', '0 .'],
  ['MX', '70000 mail.example.com', null],
  ['MX', '10 mail.example.com extra', null],
  ['SRV', '1 2 443 host.example.com', '1 2 443 host.example.com.'],
  ['CAA', '0 issue "ca.example.net"', '0 issue "ca.example.net"'],
  ['CAA', '0 issue ca.example.net', null],
  ['CAA', '256 issue "x"', null],
  ['DS', '60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118', '60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118'],
  ['DS', '60485 5 1 zz', null],
  ['TXT', 'v=spf1 -all', 'v=spf1 -all'],
  ['TXT', 'two\nlines', null],
] as const)('a record value of type %s: %j -> %j', (type, value, expected) => {
  expect(parseRecordValue(type, value)).toBe(expected)
})

test('TXT text survives quoting, whatever it holds', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 700 }), (text) => {
      fc.pre(text.isWellFormed())
      const quoted = quoteTxt(text)
      expect(unquoteTxt(quoted)).toBe(text)
      // Nothing that a zone parser could take for the end of the string or of the line.
      expect(quoted).toMatch(/^"[\x20-\x7e]*"$/)
    }),
  )
})

test('zone names are plain lower-case ASCII domains', () => {
  expect(ZoneName.safeParse('example.com').success).toBe(true)
  for (const bad of [
    'example.com.',
    'Example.com',
    'com',
    '-a.com',
    'a..com',
    'exämple.com',
    'a.com/..',
    `${'a'.repeat(64)}.com`,
  ]) {
    expect(ZoneName.safeParse(bad).success).toBe(false)
  }
})

test('a CNAME has one target', () => {
  const set = { name: 'www', type: 'CNAME', ttl_seconds: 300, records: ['a.example.com', 'b.example.com'] }
  expect(RecordSet.safeParse(set).success).toBe(false)
})
