// Where a zone lies in PowerDNS, and how its record names are written there. Pure.
import { idHex } from '@bailiwick/kernel/ids'

/** Until it is published: a name that only its id yields, so that no account meets another's names. */
export const stagedApex = (zoneId: string): string => `z${idHex(zoneId)}.staged.invalid.`
export const publishedApex = (name: string): string => `${name}.`

/** `www` in `example.com.` -> `www.example.com.` */
export const toAbsolute = (name: string, apex: string): string => (name === '@' ? apex : `${name}.${apex}`)
export const toRelative = (absolute: string, apex: string): string =>
  absolute === apex ? '@' : absolute.slice(0, -apex.length - 1)

/** RFC 1035 §2.3.4: 255 octets on the wire are 254 characters with the final dot. */
const MAX_NAME = 254
/** A name must fit under both apexes, or a zone could be filled that cannot be published. */
export const fits = (name: string, zoneId: string, zoneName: string): boolean =>
  [stagedApex(zoneId), publishedApex(zoneName)].every((apex) => toAbsolute(name, apex).length <= MAX_NAME)
