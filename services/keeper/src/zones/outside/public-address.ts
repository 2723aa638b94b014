// Which addresses are the public's: those that a stranger's DNS or redirect may send the keeper to. Everything else (this host, its
// networks, other special ones, and IPv6 forms that carry an IPv4 address past the list) is refused. Pure.
import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** IANA's special-purpose registries (RFC 6890), with what is not globally reachable, and what translates. */
const SPECIAL_4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]
/** Of what is given out (2000::/3); all else is refused as a whole. */
const SPECIAL_6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20']

const list = (type: 'ipv4' | 'ipv6', ranges: readonly string[]): BlockList => {
  const made = new BlockList()
  for (const range of ranges) {
    const [net, prefix] = range.split('/')
    made.addSubnet(net!, Number(prefix), type)
  }
  return made
}
const special4 = list('ipv4', SPECIAL_4)
const special6 = list('ipv6', SPECIAL_6)
const global6 = list('ipv6', ['2000::/3'])

export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special4.check(address, 'ipv4')
  return isIPv6(address) && !address.includes('%') && global6.check(address, 'ipv6') && !special6.check(address, 'ipv6')
}
