// Which addresses the proxy may connect to: public ones, and none of this machine's own. Pure.
import { BlockList, isIP } from 'node:net'
import { isPublicAddress } from '@bailiwick/kernel/public-address'

export type AddressRefusal = 'not_an_address' | 'special_address' | 'own_address'

/** Why `address` must not be connected to; undefined when it may. `own`: the addresses of this machine's interfaces. */
export function refusalOf(address: string, own: readonly string[] = []): AddressRefusal | undefined {
  if (isIP(address) === 0 || address.includes('%')) return 'not_an_address'
  if (!isPublicAddress(address)) return 'special_address'
  // From inside, the machine's own public address reaches services that its firewall keeps from everybody else.
  return own.length > 0 && isOwn(address, own) ? 'own_address' : undefined
}

function isOwn(address: string, own: readonly string[]): boolean {
  const list = new BlockList()
  for (const each of own) if (isIP(each) !== 0) list.addAddress(each, isIP(each) === 4 ? 'ipv4' : 'ipv6')
  return list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
}
