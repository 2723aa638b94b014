// Which addresses are the public's: those that a stranger's name, record or redirect may lead us to. IPv4 is a list of what is
// refused, IPv6 the other way round: one block is let in, and of that a few are taken out again. Pure.
import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** IANA's special-purpose registry and what clouds answer on without being in it. */
const REFUSED_IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8], // "this network"; 0.0.0.0 is the machine itself on Linux
  ['10.0.0.0', 8], // private (RFC 1918)
  ['100.64.0.0', 10], // shared with the carrier (RFC 6598); a cloud's metadata service lives here
  ['127.0.0.0', 8], // loopback
  ['168.63.129.16', 32], // a cloud's host agent, in the middle of public space
  ['169.254.0.0', 16], // link-local: metadata services
  ['172.16.0.0', 12], // private
  ['192.0.0.0', 24], // protocol assignments (RFC 6890)
  ['192.0.2.0', 24], // documentation
  ['192.31.196.0', 24], // AS112
  ['192.52.193.0', 24], // AMT
  ['192.88.99.0', 24], // 6to4 relays, deprecated
  ['192.168.0.0', 16], // private
  ['192.175.48.0', 24], // AS112
  ['198.18.0.0', 15], // benchmarking
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, and broadcast
]

/**
 * Global unicast (RFC 4291 §2.4). Outside it, and so refused without being named: unspecified, loopback, IPv4-compatible and
 * IPv4-mapped, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard, unique local, link-local, site-local, SRv6 and multicast.
 */
const GLOBAL_IPV6: readonly [string, number] = ['2000::', 3]

const REFUSED_IPV6: readonly (readonly [string, number])[] = [
  ['2001::', 23], // protocol assignments: Teredo, benchmarking, ORCHID, AMT
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4: an IPv4 address inside, private or not
  ['2620:4f:8000::', 48], // AS112
  ['3fff::', 20], // documentation (RFC 9637)
]

const refusedIpv4 = listOf('ipv4', REFUSED_IPV4)
const globalIpv6 = listOf('ipv6', [GLOBAL_IPV6])
const refusedIpv6 = listOf('ipv6', REFUSED_IPV6)

/** False too for what is no address, in the one usual spelling. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !refusedIpv4.check(address, 'ipv4')
  // A zone ("fe80::1%eth0") names an interface of this machine: nothing public has one.
  if (!isIPv6(address) || address.includes('%')) return false
  return globalIpv6.check(address, 'ipv6') && !refusedIpv6.check(address, 'ipv6')
}

function listOf(family: 'ipv4' | 'ipv6', subnets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of subnets) list.addSubnet(network, prefix, family)
  return list
}
