// Reads what a CONNECT asks for: `name:443`, where the name is a public DNS name in the one spelling that we accept. Pure.
import { err, ok, type Result } from '@bailiwick/kernel/result'

export type TargetRefusal = 'malformed' | 'port' | 'literal_address' | 'name' | 'special_name'

export const TLS_PORT = 443

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/
/** A last label of digits, or of hex after 0x, makes an IPv4 address to some readers: 2130706433, 127.1, 0x7f.0x1. */
const NUMBER = /^(\d+|0x[\da-f]*)$/
/** RFC 6761, 6762, 7686, 8375, 9476 and ICANN's .internal; arpa, because reverse names are no hosts. */
const SPECIAL = new Set(['localhost', 'local', 'internal', 'arpa', 'onion', 'alt', 'test', 'invalid', 'example'])

/** `target` as it stands in the request line. A name in Unicode is refused: it has to come as `xn--`. */
export function readTarget(target: string): Result<string, TargetRefusal> {
  const split = /^([^:]+|\[[^\]]*\]):(\d{1,5})$/.exec(target)
  if (!split) return err('malformed')
  const name = split[1]!.toLowerCase()
  if (name.startsWith('[')) return err('literal_address')
  if (Number(split[2]) !== TLS_PORT) return err('port')
  const labels = name.split('.')
  const last = labels.at(-1)!
  if (NUMBER.test(last)) return err('literal_address')
  if (name.length > 253 || labels.length < 2 || !labels.every((label) => LABEL.test(label))) {
    return err(last === 'localhost' ? 'special_name' : 'name')
  }
  return SPECIAL.has(last) ? err('special_name') : ok(name)
}
