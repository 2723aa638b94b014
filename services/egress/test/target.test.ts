import { readTarget } from '../src/target.ts'

test.each([
  ['app.example.com:443', 'app.example.com'],
  ['APP.Example.COM:443', 'app.example.com'],
  ['xn--bcher-kva.example.com:443', 'xn--bcher-kva.example.com'],
  ['a.xn--p1ai:443', 'a.xn--p1ai'],
  ['1.2.3.4.com:443', '1.2.3.4.com'],
])('%s is a target', (target, name) => expect(readTarget(target)).toEqual({ ok: true, value: name }))

test.each([
  [
    'malformed',
    ['', 'app.example.com', 'https://app.example.com:443', 'app.example.com:', 'app.example.com:443/', ':443', '/'],
  ],
  ['malformed', ['user@app.example.com:443:443', 'a.example.com:4430000', 'a.example.com:-443', 'a.example.com:0x1bb']],
  [
    'port',
    ['app.example.com:80', 'app.example.com:22', 'app.example.com:0', 'app.example.com:8443', 'app.example.com:65979'],
  ],
  ['literal_address', ['127.0.0.1:443', '8.8.8.8:443', '[::1]:443', '[2606:4700::1111]:443', '[::ffff:127.0.0.1]:443']],
  ['literal_address', ['2130706433:443', '127.1:443', '0x7f000001:443', '0x7f.0x1:443', '0177.0.0.01:443', '0x:443']],
  ['name', ['intranet:443', 'app.example.com.:443', '.example.com:443', 'app..example.com:443', '-a.example.com:443']],
  [
    'name',
    [
      'a-.example.com:443',
      'a_b.example.com:443',
      'bücher.example.com:443',
      'a。example.com:443',
      'a%2eexample.com:443',
    ],
  ],
  [
    'name',
    ['a b.example.com:443', 'user@app.example.com:443', `${'a'.repeat(64)}.com:443`, `${'a.'.repeat(126)}com:443`],
  ],
  [
    'special_name',
    ['localhost:443', 'a.localhost:443', 'printer.local:443', 'metadata.google.internal:443', 'x.home.arpa:443'],
  ],
  [
    'special_name',
    ['1.0.0.127.in-addr.arpa:443', 'a.onion:443', 'a.test:443', 'a.invalid:443', 'a.example:443', 'a.ALT:443'],
  ],
])('refused as %s: %j', (verdict, targets) => {
  expect(targets.map((target) => readTarget(target))).toEqual(targets.map(() => ({ ok: false, error: verdict })))
})
