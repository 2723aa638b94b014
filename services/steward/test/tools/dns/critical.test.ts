// The table of what counts as touching an existing critical record.
import type { RecordSet } from '@bailiwick/contracts/dns'
import { criticalTouched } from '../../../src/tools/dns/critical.ts'
import { applySets } from '../../../src/tools/dns/zone.ts'

const MADE = ['ns1.bailiwick.invalid.', 'ns2.bailiwick.invalid.']
const ZONE = { name: 'example.com', madeNs: MADE }
const set = (name: string, type: RecordSet['type'], ...records: string[]): RecordSet => ({
  name,
  type,
  ttl_seconds: 3600,
  records,
})
const made = set('@', 'NS', ...MADE)
const mx = set('@', 'MX', '10 mail.example.com.')
const spf = 'v=spf1 include:_spf.example.com -all'
const dkim = set('s1._domainkey', 'TXT', 'v=DKIM1; p=abc')
const dmarc = set('_dmarc', 'TXT', 'v=DMARC1; p=reject')
const anyMx = set('*', 'MX', '10 mail.example.com.')
const dkimCname = (target: string) => set('k1._domainkey', 'CNAME', `${target}.example.com.`)
const ownNs = set('@', 'NS', 'ns1.other.example.')

test.each<[string, RecordSet[], RecordSet[], string[]]>([
  // MX
  ['an MX that changes', [mx], [set('@', 'MX', '10 evil.example.')], ['@ MX']],
  ['an MX that goes', [mx], [set('@', 'MX')], ['@ MX']],
  ['a second MX beside the first', [mx], [set('@', 'MX', '10 mail.example.com.', '5 evil.example.')], ['@ MX']],
  ['an MX whose TTL changes', [mx], [{ ...mx, ttl_seconds: 60 }], ['@ MX']],
  ['an MX written again as it is', [mx], [mx], []],
  ['the same MX records in another order', [set('@', 'MX', '1 a.', '2 b.')], [set('@', 'MX', '2 b.', '1 a.')], []],
  ['a first MX', [], [mx], []],
  ['a first MX elsewhere', [mx], [set('sub', 'MX', '10 mail.example.com.')], []],
  // SPF
  ['an SPF that changes', [set('@', 'TXT', spf)], [set('@', 'TXT', 'v=spf1 +all')], ['@ TXT']],
  ['an SPF that is dropped beside another text', [set('@', 'TXT', spf, 'x')], [set('@', 'TXT', 'x')], ['@ TXT']],
  ['a second SPF', [set('@', 'TXT', spf)], [set('@', 'TXT', spf, 'v=spf1 +all')], ['@ TXT']],
  ['a text added beside an SPF', [set('@', 'TXT', spf)], [set('@', 'TXT', spf, 'site-verification=1')], []],
  ['a text without policy', [set('@', 'TXT', 'hello')], [set('@', 'TXT', 'bye')], []],
  ['a first SPF in an existing TXT set', [set('@', 'TXT', 'hello')], [set('@', 'TXT', 'hello', spf)], []],
  ['an SPF in capitals', [set('@', 'TXT', 'V=SPF1 -all')], [set('@', 'TXT')], ['@ TXT']],
  ['a text that only begins alike', [set('@', 'TXT', 'v=spf10 x')], [set('@', 'TXT')], []],
  ['an SPF of a subdomain', [set('mail', 'TXT', spf)], [set('mail', 'TXT')], ['mail TXT']],
  // DKIM and DMARC
  ['a DKIM key', [dkim], [set('s1._domainkey', 'TXT', 'v=DKIM1; p=evil')], ['s1._domainkey TXT']],
  [
    'a DKIM key without a version',
    [set('s1._domainkey', 'TXT', 'p=abc')],
    [set('s1._domainkey', 'TXT')],
    ['s1._domainkey TXT'],
  ],
  [
    'a DKIM key of a subdomain',
    [set('s1._domainkey.news', 'TXT', 'p=a')],
    [set('s1._domainkey.news', 'TXT')],
    ['s1._domainkey.news TXT'],
  ],
  [
    'a DKIM key by CNAME',
    [set('s1._domainkey', 'CNAME', 'a.')],
    [set('s1._domainkey', 'CNAME', 'b.')],
    ['s1._domainkey CNAME'],
  ],
  ['another DKIM selector', [dkim], [set('s2._domainkey', 'TXT', 'p=abc')], []],
  ['a DMARC policy', [dmarc], [set('_dmarc', 'TXT', 'v=DMARC1; p=none')], ['_dmarc TXT']],
  ['whatever lives at _dmarc', [set('_dmarc.sub', 'TXT', 'x')], [set('_dmarc.sub', 'TXT')], ['_dmarc.sub TXT']],
  ['a DMARC text elsewhere', [set('x', 'TXT', 'v=DMARC1; p=none')], [set('x', 'TXT')], ['x TXT']],
  ['a name that only looks like one', [set('my_dmarc', 'TXT', 'x')], [set('my_dmarc', 'TXT')], []],
  // NS, CAA, DS
  ['our own apex NS, changed first', [made], [ownNs], ['@ NS']],
  ['our own apex NS with another beside', [made], [set('@', 'NS', ...MADE, 'evil.')], ['@ NS']],
  ['our own apex NS, in another order', [made], [set('@', 'NS', ...MADE.toReversed())], []],
  ['our own apex NS with another TTL', [made], [{ ...made, ttl_seconds: 60 }], []],
  ['the apex NS that the owner set, changed', [ownNs], [set('@', 'NS', 'evil.')], ['@ NS']],
  ['the apex NS that the owner set, back to ours', [ownNs], [made], []],
  ['back to ours, in another order', [ownNs], [set('@', 'NS', ...MADE.toReversed())], []],
  ['a delegation that changes', [set('sub', 'NS', 'a.')], [set('sub', 'NS', 'b.')], ['sub NS']],
  ['a delegation to our names is still the owner’s', [set('sub', 'NS', ...MADE)], [set('sub', 'NS')], ['sub NS']],
  ['a CAA that goes', [set('@', 'CAA', '0 issue "a"')], [set('@', 'CAA')], ['@ CAA']],
  ['a first CAA', [], [set('@', 'CAA', '0 issue "a"')], []],
  ['a DS that changes', [set('sub', 'DS', '1 8 2 aa')], [set('sub', 'DS', '1 8 2 bb')], ['sub DS']],
  // Hidden by a new delegation
  ['a DKIM key under a new delegation', [dkim], [set('_domainkey', 'NS', 'evil.')], ['s1._domainkey TXT']],
  ['a DMARC policy at a new delegation', [dmarc], [set('_dmarc', 'NS', 'evil.')], ['_dmarc TXT']],
  ['an MX under a new delegation', [set('a.sub', 'MX', '1 m.')], [set('sub', 'NS', 'evil.')], ['a.sub MX']],
  ['a sibling of a new delegation', [set('asub', 'MX', '1 m.')], [set('sub', 'NS', 'evil.')], []],
  ['a DS at its new delegation', [set('sub', 'DS', '1 8 2 aa')], [set('sub', 'NS', 'a.')], []],
  // DKIM by CNAME to a name of the same zone
  [
    'a DKIM key anywhere',
    [set('dkimkey', 'TXT', 'v=DKIM1; p=a')],
    [set('dkimkey', 'TXT', 'v=DKIM1; p=b')],
    ['dkimkey TXT'],
  ],
  ['a DKIM key in small letters, with space', [set('x', 'TXT', ' v = dkim1; p=a')], [set('x', 'TXT')], ['x TXT']],
  ['a text that only begins like a DKIM key', [set('x', 'TXT', 'v=DKIM12')], [set('x', 'TXT')], []],
  [
    'a key without a version to which a DKIM name points',
    [dkimCname('dkimkey'), set('dkimkey', 'TXT', 'p=a')],
    [set('dkimkey', 'TXT', 'p=b')],
    ['dkimkey TXT'],
  ],
  [
    'a key two CNAMEs away',
    [dkimCname('a'), set('a', 'CNAME', 'b.example.com.'), set('b', 'TXT', 'p=a')],
    [set('a', 'CNAME', 'evil.'), set('b', 'TXT', 'p=b')],
    ['a CNAME', 'b TXT'],
  ],
  [
    'CNAMEs in a ring',
    [dkimCname('a'), set('a', 'CNAME', 'b.example.com.'), set('b', 'CNAME', 'a.example.com.')],
    [set('b', 'CNAME', 'evil.')],
    ['b CNAME'],
  ],
  ['a key under a wildcard', [dkimCname('k.w'), set('*.w', 'TXT', 'p=a')], [set('*.w', 'TXT', 'p=b')], ['*.w TXT']],
  [
    'a name put before that wildcard',
    [dkimCname('k.w'), set('*.w', 'TXT', 'p=a')],
    [set('k.w', 'TXT', 'p=b')],
    ['*.w TXT'],
  ],
  [
    'what a DMARC name points to',
    [set('_dmarc', 'CNAME', 'd.example.com.'), set('d', 'TXT', 'x')],
    [set('d', 'TXT')],
    ['d TXT'],
  ],
  [
    'the address where a DKIM name points',
    [dkimCname('k'), set('k', 'A', '192.0.2.1')],
    [set('k', 'A', '192.0.2.2')],
    [],
  ],
  [
    'a DKIM name that points outside',
    [set('k._domainkey', 'CNAME', 'k.notexample.com.'), set('k', 'TXT', 'x')],
    [set('k', 'TXT')],
    [],
  ],
  ['where another CNAME points', [set('w', 'CNAME', 'x.example.com.'), set('x', 'TXT', 'x')], [set('x', 'TXT')], []],
  // Hidden by a name that a wildcard answered for
  ['an address under a wildcard MX', [anyMx], [set('www', 'A', '192.0.2.1')], ['* MX']],
  ['an address two labels below a wildcard MX', [anyMx], [set('a.b', 'A', '192.0.2.1')], ['* MX']],
  ['an MX of its own under a wildcard MX', [anyMx], [set('www', 'MX', '1 evil.')], ['* MX']],
  ['another wildcard under a wildcard MX', [anyMx], [set('*.b', 'A', '192.0.2.1')], ['* MX']],
  ['a text under a wildcard SPF', [set('*.b', 'TXT', spf)], [set('a.b', 'TXT', 'x')], ['*.b TXT']],
  ['a name that exists beside a wildcard MX', [anyMx, set('www', 'A', '192.0.2.1')], [set('www', 'TXT', 'x')], []],
  ['a name below one that exists', [anyMx, set('www', 'A', '192.0.2.1')], [set('a.www', 'A', '192.0.2.1')], []],
  ['a name beside the wildcard’s branch', [set('*.b', 'MX', '1 m.')], [set('www', 'A', '192.0.2.1')], []],
  ['the wildcard’s own parent', [set('*.b', 'MX', '1 m.')], [set('b', 'A', '192.0.2.1')], []],
  ['another set at the wildcard', [anyMx], [set('*', 'A', '192.0.2.1')], []],
  ['an address under a wildcard address', [set('*', 'A', '192.0.2.1')], [set('www', 'A', '192.0.2.2')], []],
  // Others
  ['a second text of a name with SPF', [set('@', 'TXT', spf)], [set('@', 'TXT', spf, 'x')], []],
  ['a first address beside an MX', [mx], [set('www', 'A', '192.0.2.1')], []],
  ['an address', [set('www', 'A', '192.0.2.1')], [set('www', 'A', '192.0.2.2')], []],
  [
    'many at once, in order',
    [mx, dmarc, set('www', 'A', '192.0.2.1')],
    [set('@', 'MX'), set('_dmarc', 'TXT'), set('www', 'A')],
    ['@ MX', '_dmarc TXT'],
  ],
])('%s', (_, present, changes, touched) => {
  expect(criticalTouched(present, applySets(present, changes), ZONE)).toEqual(touched)
})

test('a whole zone that goes touches all that is critical in it', () => {
  expect(criticalTouched([made, mx, dkim, set('www', 'A', '192.0.2.1')], [], ZONE)).toEqual([
    '@ MX',
    's1._domainkey TXT',
  ])
})
