import { isPublicAddress } from '../src/public-address.ts'

describe('an address that is not public unicast', () => {
  // Each range by its first address, one inside and its last; beside it, what lies just outside on either side.
  test.each([
    ['this network', '0.0.0.0', '0.1.2.3', '0.255.255.255'],
    ['private 10/8', '10.0.0.0', '10.1.2.3', '10.255.255.255'],
    ['the carrier’s', '100.64.0.0', '100.100.100.200', '100.127.255.255'],
    ['loopback', '127.0.0.0', '127.0.0.1', '127.255.255.255'],
    ['a cloud’s host agent', '168.63.129.16', '168.63.129.16', '168.63.129.16'],
    ['link-local', '169.254.0.0', '169.254.169.254', '169.254.255.255'],
    ['private 172.16/12', '172.16.0.0', '172.20.1.1', '172.31.255.255'],
    ['protocol assignments', '192.0.0.0', '192.0.0.192', '192.0.0.255'],
    ['documentation 1', '192.0.2.0', '192.0.2.1', '192.0.2.255'],
    ['AS112', '192.31.196.0', '192.31.196.1', '192.31.196.255'],
    ['AMT', '192.52.193.0', '192.52.193.1', '192.52.193.255'],
    ['6to4 relays', '192.88.99.0', '192.88.99.1', '192.88.99.255'],
    ['private 192.168/16', '192.168.0.0', '192.168.1.1', '192.168.255.255'],
    ['AS112, direct', '192.175.48.0', '192.175.48.1', '192.175.48.255'],
    ['benchmarking', '198.18.0.0', '198.19.1.1', '198.19.255.255'],
    ['documentation 2', '198.51.100.0', '198.51.100.1', '198.51.100.255'],
    ['documentation 3', '203.0.113.0', '203.0.113.1', '203.0.113.255'],
    ['multicast', '224.0.0.0', '239.1.1.1', '239.255.255.255'],
    ['reserved and broadcast', '240.0.0.0', '250.1.1.1', '255.255.255.255'],
    ['unspecified and loopback', '::', '::1', '::1'],
    ['IPv4-compatible', '::7f00:1', '::10.0.0.1', '::255.255.255.255'],
    ['IPv4-mapped', '::ffff:0.0.0.0', '::ffff:127.0.0.1', '::ffff:255.255.255.255'],
    ['IPv4-mapped, a public one', '::ffff:8.8.8.8', '::ffff:808:808', '::FFFF:93.184.216.34'],
    ['IPv4-translated', '::ffff:0:0:0', '::ffff:0:127.0.0.1', '::ffff:0:10.0.0.1'],
    ['NAT64', '64:ff9b::', '64:ff9b::127.0.0.1', '64:ff9b::ffff:ffff'],
    ['NAT64, a public one', '64:ff9b::8.8.8.8', '64:ff9b::808:808', '0064:FF9B::0808:0808'],
    ['local NAT64', '64:ff9b:1::', '64:ff9b:1::a00:1', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff'],
    ['discard', '100::', '100::1', '100::ffff:ffff:ffff:ffff'],
    ['below global unicast', '200::1', '400::1', '1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['Teredo', '2001::', '2001:0:4136:e378:8000:63bf:3fff:fdd2', '2001:0:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['benchmarking, ORCHID and the rest', '2001:2::1', '2001:10::1', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['documentation', '2001:db8::', '2001:db8::1', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['6to4', '2002::', '2002:7f00:1::1', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['6to4, a public one', '2002:808:808::1', '2002:0808:0808::', '2002:5db8:d822::1'],
    ['AS112', '2620:4f:8000::', '2620:4f:8000::1', '2620:4f:8000:ffff:ffff:ffff:ffff:ffff'],
    ['documentation, the new one', '3fff::', '3fff:1::1', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['above global unicast', '4000::', '5f00::1', '9fff::1'],
    ['unique local', 'fc00::', 'fd00:ec2::254', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['link-local', 'fe80::', 'fe80::1', 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['site-local', 'fec0::', 'fec0::1', 'feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['multicast', 'ff00::', 'ff02::1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ])('is not the public’s: %s', (_range, first, inside, last) => {
    expect([first, inside, last].filter(isPublicAddress)).toEqual([])
  })

  test.each([
    ['1.0.0.0', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0'],
    ['168.63.129.15', '168.63.129.17', '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0'],
    ['191.255.255.255', '192.0.1.0', '192.0.3.0', '192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0'],
    ['198.51.99.255', '198.51.101.0', '203.0.112.255', '203.0.114.0', '223.255.255.255'],
    ['2000::', '2001:200::', '2001:db7:ffff::1', '2001:db9::', '2003::', '2606:4700::1111', '2620:4f:8001::'],
    ['3ffe:ffff::1', '3fff:1000::', '2a00:1450:4001:800::200e'],
  ])('lies in one of those ranges, and what is beside them is the public’s: %s, ...', (...addresses) => {
    expect(addresses.filter((address) => !isPublicAddress(address))).toEqual([])
  })

  test.each([
    '',
    'localhost',
    '1.2.3',
    '0177.0.0.1',
    '0x7f.0.0.1',
    '2130706433',
    'fe80::1%lo',
    '2606:4700::1111%eth0',
    '1.2.3.4:443',
    '[::1]',
  ])('is also what is no address in the one usual spelling: %j', (text) => expect(isPublicAddress(text)).toBe(false))
})
