// DNS shapes: names, types and record values, each value parsed by its type so that no zone text passes unread.
import { isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/
const isHostname = (text: string): boolean => text.length <= 253 && text.split('.').every((label) => LABEL.test(label))

/** A domain, lower case, ASCII (punycode), without the final dot: `example.com`. */
export const ZoneName = z
  .string()
  .refine((text) => text.includes('.') && isHostname(text), 'a domain name in lower case, without a final dot')
/** Relative to the zone: `@` for the apex, `www`, `*.apps`. */
export const RecordName = z
  .string()
  .refine(
    (text) => text === '@' || isHostname(text.replace(/^\*\./, '')) || text === '*',
    'a name relative to the zone, or @',
  )
export const RecordType = z.enum(['A', 'AAAA', 'CAA', 'CNAME', 'DS', 'MX', 'NS', 'PTR', 'SRV', 'TXT'])
export type RecordType = z.infer<typeof RecordType>

const host = (text: string): string | null => {
  const name = text.toLowerCase().replace(/\.$/, '')
  return isHostname(name) ? `${name}.` : null
}
const uint = (text: string | undefined, max: number): boolean =>
  text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= max

/** Quotes text as one or more DNS character strings (RFC 1035 §3.3.14: at most 255 bytes each). */
export function quoteTxt(text: string): string {
  const bytes = Buffer.from(text, 'utf8')
  const parts: string[] = []
  for (let at = 0; at === 0 || at < bytes.length; at += 255) {
    const escaped = [...bytes.subarray(at, at + 255)].map((byte) =>
      byte === 0x22 || byte === 0x5c
        ? `\\${String.fromCharCode(byte)}`
        : byte < 0x20 || byte > 0x7e
          ? `\\${String(byte).padStart(3, '0')}`
          : String.fromCharCode(byte),
    )
    parts.push(`"${escaped.join('')}"`)
  }
  return parts.join(' ')
}

/** The reverse of quoteTxt. */
export function unquoteTxt(content: string): string {
  const bytes: number[] = []
  for (const [, part] of content.matchAll(/"((?:[^"\\]|\\.)*)"/g)) {
    for (const [, digits, escaped, plain] of part!.matchAll(/\\(\d{3})|\\(.)|([^\\])/gs)) {
      bytes.push(digits ? Number(digits) : (escaped ?? plain)!.charCodeAt(0))
    }
  }
  return Buffer.from(bytes).toString('utf8')
}

const PARSERS: Readonly<Record<RecordType, (value: string) => string | null>> = {
  A: (value) => (isIPv4(value) ? value : null),
  AAAA: (value) => (isIPv6(value) && !value.includes('%') ? value.toLowerCase() : null),
  CNAME: host,
  NS: host,
  PTR: host,
  MX: (value) => {
    const [preference, exchange, ...rest] = value.split(' ')
    const target = exchange === '.' ? '.' : host(exchange ?? '')
    return rest.length === 0 && uint(preference, 65535) && target ? `${Number(preference)} ${target}` : null
  },
  SRV: (value) => {
    const [priority, weight, port, target, ...rest] = value.split(' ')
    const name = target === '.' ? '.' : host(target ?? '')
    return rest.length === 0 && [priority, weight, port].every((part) => uint(part, 65535)) && name
      ? `${Number(priority)} ${Number(weight)} ${Number(port)} ${name}`
      : null
  },
  CAA: (value) => {
    const match = /^(\d{1,3}) (issue|issuewild|iodef|contactemail|contactphone) "([^"\\\p{Cc}]{0,255})"$/u.exec(value)
    return match && uint(match[1], 255) ? `${Number(match[1])} ${match[2]} "${match[3]}"` : null
  },
  DS: (value) => {
    const [tag, algorithm, digestType, digest, ...rest] = value.split(' ')
    return rest.length === 0 &&
      uint(tag, 65535) &&
      uint(algorithm, 255) &&
      uint(digestType, 255) &&
      /^([0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96})$/i.test(digest ?? '')
      ? `${Number(tag)} ${Number(algorithm)} ${Number(digestType)} ${digest!.toLowerCase()}`
      : null
  },
  TXT: (value) => (Buffer.byteLength(value) <= 4000 && !/\p{Cc}/u.test(value) ? value : null),
}

/** The canonical form of a record's value, or null when it is not one. TXT values are plain text, unquoted. */
export const parseRecordValue = (type: RecordType, value: string): string | null => PARSERS[type](value)

/** All records of one name and type. No records: the set does not exist. */
export const RecordSet = z
  .strictObject({
    name: RecordName,
    type: RecordType,
    ttl_seconds: z.number().int().min(30).max(604_800),
    records: z.array(z.string().max(4000)).max(50),
  })
  .superRefine((set, context) => {
    set.records.forEach((value, index) => {
      if (parseRecordValue(set.type, value) === null)
        context.addIssue({ code: 'custom', path: ['records', index], message: `not a value of type ${set.type}` })
    })
    if (set.type === 'CNAME' && set.records.length > 1)
      context.addIssue({ code: 'custom', path: ['records'], message: 'a CNAME has one target' })
  })
export type RecordSet = z.infer<typeof RecordSet>
