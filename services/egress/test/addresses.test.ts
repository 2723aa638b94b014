import { refusalOf } from '../src/addresses.ts'

test.each(['127.0.0.1', '169.254.169.254', '::1', '::ffff:8.8.8.8', '64:ff9b::808:808'])(
  'an address that is not the public’s is refused: %s',
  (address) => expect(refusalOf(address)).toBe('special_address'),
)

test.each(['', 'localhost', '0x7f.0.0.1', '2606:4700::1111%eth0', '[::1]'])(
  'what is no address in the one usual spelling is told apart: %j',
  (text) => expect(refusalOf(text)).toBe('not_an_address'),
)

test('an address of this machine is refused, though it is public', () => {
  const own = ['93.184.216.34', '2606:4700::1111', 'fe80::1']
  expect(refusalOf('93.184.216.34', own)).toBe('own_address')
  expect(refusalOf('2606:4700:0::1111', own)).toBe('own_address')
  expect(refusalOf('93.184.216.35', own)).toBeUndefined()
})
