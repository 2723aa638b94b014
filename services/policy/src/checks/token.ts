// Is the token good here and now? A revoked or expired one is told nothing more than a made-up one.
import { BlockList, isIP } from 'node:net'
import { deny } from '@bailiwick/contracts/problem'
import { err, ok } from '@bailiwick/kernel/result'
import type { Current, GrantFacts, Verdict } from './facts.ts'

declare const live: unique symbol
/** Its token is active, unexpired and used from where it may be. Made by `checkToken` only. */
export type Live<C extends Current = Current> = C & { readonly [live]: true }

export function checkToken<C extends Current>(current: C, address: string, now: number): Verdict<Live<C>> {
  const { token } = current
  if (token.state === 'revoked') return err(deny('UNAUTHENTICATED', { why: 'revoked' }))
  if (token.grant && isTakenBack(token.grant))
    return err(deny('UNAUTHENTICATED', { why: 'issued before a revocation' }))
  if (token.expiresAt <= now) return err(deny('UNAUTHENTICATED', { why: 'expired' }))
  // Perhaps it was revoked and we have not heard of it.
  if (token.grant && !token.grant.isFresh) return err(deny('IDENTITY_UNAVAILABLE', { retry_after_s: 2 }))
  if (token.addresses && !contains(token.addresses, address)) return err(deny('TOKEN_ADDRESS_REFUSED'))
  if (token.state === 'blocked') return err(deny('TOKEN_BLOCKED'))
  if (token.state === 'paused') return err(deny('TOKEN_PAUSED'))
  return ok(current as Live<C>)
}

const isTakenBack = ({ issuedAt, notBefore }: GrantFacts): boolean => notBefore !== null && issuedAt <= notBefore

/** `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`. Null when one of them is not an address; an empty list is "anywhere". */
export function readAddressList(addresses: readonly string[]): { list: BlockList | null } | null {
  if (addresses.length === 0) return { list: null }
  const list = new BlockList()
  for (const text of addresses) {
    const [address = '', prefix, ...rest] = text.split('/')
    const version = isIP(address)
    const bits = prefix === undefined ? (version === 4 ? 32 : 128) : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
    if (version === 0 || rest.length > 0 || bits < 0 || bits > (version === 4 ? 32 : 128)) return null
    list.addSubnet(address, bits, version === 4 ? 'ipv4' : 'ipv6')
  }
  return { list }
}

function contains(list: BlockList, address: string): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  const version = isIP(plain)
  return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6')
}
