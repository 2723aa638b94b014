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

/** A delegation signer: what a parent zone holds of a child's key (RFC 4034 §5). `digest` in lower-case hex. */
export const DsRecord = z.strictObject({
  key_tag: z.number().int().min(0).max(65_535),
  algorithm: z.number().int().min(0).max(255),
  digest_type: z.number().int().min(0).max(255),
  digest: z.string().regex(/^[0-9a-f]{2,256}$/),
})
export type DsRecord = z.infer<typeof DsRecord>

/** The public half of a zone's key. The private half has no message: it stays with PowerDNS, the keeper and its restore points. */
export const SigningKey = z.strictObject({
  key_tag: z.number().int(),
  /** RFC 8624 numbers; 13 is ECDSAP256SHA256. */
  algorithm: z.number().int(),
  /** The DNSKEY record's content: flags, protocol, algorithm, key in base64. */
  dnskey: z.string(),
  /** For the domain's own name, also while the zone is staged under another. */
  ds: z.array(DsRecord),
})
export type SigningKey = z.infer<typeof SigningKey>

/** What is signed with, if anything. `parked`: the key is kept and not used. */
export const Signing = z.strictObject({
  state: z.enum(['unsigned', 'signed', 'parked']),
  key: SigningKey.nullable(),
})
export type Signing = z.infer<typeof Signing>

/** DS records at the parent as seen from outside. `unknown`: nobody answered who could say that there are none. */
export const ParentDs = z.strictObject({
  state: z.enum(['present', 'absent', 'unknown']),
  records: z.array(DsRecord).max(50),
})
export type ParentDs = z.infer<typeof ParentDs>

export const sameDs = (a: DsRecord, b: DsRecord): boolean =>
  a.key_tag === b.key_tag && a.algorithm === b.algorithm && a.digest_type === b.digest_type && a.digest === b.digest

/** As a registrar's form or a zone file takes it. */
export const dsContent = ({ key_tag, algorithm, digest_type, digest }: DsRecord): string =>
  `${key_tag} ${algorithm} ${digest_type} ${digest}`

/** The world's view of a domain: its TXT records, its delegation, who answers there, and its DS. */
export const OutsideView = z.strictObject({
  /** In the order asked; null: no resolver answered. */
  texts: z.array(z.strictObject({ name: z.string(), seen: z.array(z.string()).nullable() })),
  delegation: z.strictObject({
    state: z.enum(['delegated', 'not_delegated', 'unknown']),
    /** The zone above, as found; `.` is the root. */
    parent_zone: z.string().nullable(),
    /** Who said so: the parent's own servers, or only a resolver (which may repeat the child's word, or an old one). */
    source: z.enum(['parent', 'resolver']).nullable(),
    name_servers: z.array(z.string()),
  }),
  servers: z.array(
    z.strictObject({
      name: z.string(),
      address: z.string().nullable(),
      /** `not_asked`: no public address, or no time. */
      answers: z.enum(['ours', 'outdated', 'another', 'not_authoritative', 'nothing', 'not_asked']),
    }),
  ),
  ds: ParentDs,
})
export type OutsideView = z.infer<typeof OutsideView>

/** What the registry says about a domain (RFC 9083). All of it is text from outside. */
export const Registration = z.strictObject({
  state: z.enum(['known', 'not_registered', 'unknown']),
  /** Of `unknown`: our own words. */
  why: z.string().nullable(),
  /** The name that is registered: the domain itself, or the one it stands under. */
  name: z.string().nullable(),
  registrar: z.string().nullable(),
  statuses: z.array(z.string()).max(50),
  expires_at: z.number().int().nullable(),
  name_servers: z.array(z.string()).max(50),
})
export type Registration = z.infer<typeof Registration>
