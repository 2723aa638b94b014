// DNS messages as bytes (RFC 1035 §4): one question out, an answer in. What comes in is from strangers: every length is checked,
// compression may only point backwards, and a message that does not fit is no message. Pure.
import { isIP } from 'node:net'
import { wireName } from '../dnskey.ts'

export const TYPE = { A: 1, NS: 2, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28, DS: 43 } as const
export type TypeName = keyof typeof TYPE
const OPT = 41
const TYPE_OF = new Map<number, TypeName>(Object.entries(TYPE).map(([name, number]) => [number, name as TypeName]))
/** RFC 9715: what goes through without being cut to pieces. */
const UDP_BYTES = 1232
const MAX_RECORDS = 200

/** Names are lower case, without the final dot; the root is ''. */
export type Data =
  | { type: 'A' | 'AAAA'; address: string }
  | { type: 'NS' | 'CNAME'; target: string }
  | { type: 'SOA'; mname: string; serial: number }
  | { type: 'TXT'; text: string }
  | { type: 'DS'; key_tag: number; algorithm: number; digest_type: number; digest: string }
export type Record = { readonly owner: string; readonly data: Data }
export type Message = {
  readonly id: number
  readonly isAuthoritative: boolean
  readonly isTruncated: boolean
  /** 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED. */
  readonly rcode: number
  readonly question: { readonly name: string; readonly type: number }
  readonly answers: readonly Record[]
  readonly authority: readonly Record[]
  readonly additional: readonly Record[]
}

/** Of the data of one type, those that belong to `owner`. */
export const dataOf = <T extends TypeName>(
  records: readonly Record[],
  owner: string,
  type: T,
): Extract<Data, { type: T }>[] =>
  records
    .filter((record) => record.owner === owner && record.data.type === type)
    .map(({ data }) => data as Extract<Data, { type: T }>)

export function encodeQuestion(id: number, name: string, type: TypeName, recurse: boolean): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt16BE(id, 0)
  head.writeUInt16BE(recurse ? 0x0100 : 0, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(1, 10)
  const question = Buffer.alloc(4)
  question.writeUInt16BE(TYPE[type], 0)
  question.writeUInt16BE(1, 2)
  const edns = Buffer.alloc(11)
  edns.writeUInt16BE(OPT, 1)
  edns.writeUInt16BE(UDP_BYTES, 3)
  return Buffer.concat([head, wireName(name), question, edns])
}

/** Null: these bytes are no answer that we could read. */
export function decodeMessage(bytes: Buffer): Message | null {
  try {
    return decode(bytes)
  } catch {
    return null
  }
}

class Malformed extends Error {}

function decode(bytes: Buffer): Message {
  if (bytes.length < 12) throw new Malformed('short')
  const flags = bytes.readUInt16BE(2)
  if ((flags & 0x8000) === 0 || bytes.readUInt16BE(4) !== 1) throw new Malformed('no answer to one question')
  const counts = [6, 8, 10].map((at) => bytes.readUInt16BE(at))
  if (counts.reduce((sum, count) => sum + count, 0) > MAX_RECORDS) throw new Malformed('too many records')
  const asked = readName(bytes, 12)
  const question = { name: asked.name, type: bytes.readUInt16BE(asked.end) }
  let at = asked.end + 4
  const isTruncated = (flags & 0x0200) !== 0
  const [answers, authority, additional] = counts.map((count) => {
    const records: Record[] = []
    // What a cut message still holds is asked for again over TCP.
    const readable = isTruncated ? 0 : count
    for (let index = 0; index < readable; index += 1) {
      const owner = readName(bytes, at)
      const [type, kind, length] = [
        bytes.readUInt16BE(owner.end),
        bytes.readUInt16BE(owner.end + 2),
        bytes.readUInt16BE(owner.end + 8),
      ]
      const start = owner.end + 10
      at = start + length
      if (at > bytes.length) throw new Malformed('data beyond the end')
      const name = TYPE_OF.get(type)
      const data = name && kind === 1 ? readData(name, bytes, start, at) : null
      if (data) records.push({ owner: owner.name, data })
    }
    return records
  }) as [Record[], Record[], Record[]]
  return {
    id: bytes.readUInt16BE(0),
    isAuthoritative: (flags & 0x0400) !== 0,
    isTruncated,
    rcode: flags & 0x000f,
    question,
    answers,
    authority,
    additional,
  }
}

function readName(bytes: Buffer, from: number): { name: string; end: number } {
  const labels: string[] = []
  let [at, end, size] = [from, -1, 0]
  for (;;) {
    const length = bytes.readUInt8(at)
    if (length >= 0xc0) {
      const target = bytes.readUInt16BE(at) & 0x3fff
      if (end < 0) end = at + 2
      // Backwards only, so that it comes to an end.
      if (target >= at) throw new Malformed('a pointer that does not go back')
      at = target
      continue
    }
    if (length > 63) throw new Malformed('a label of another kind')
    if (length === 0) break
    size += length + 1
    if (size > 254 || at + 1 + length > bytes.length) throw new Malformed('a name that is too long')
    labels.push(textOf(bytes.subarray(at + 1, at + 1 + length)))
    at += length + 1
  }
  return { name: labels.join('.'), end: end < 0 ? at + 1 : end }
}

/** Bytes that a host name has not, a dot among them, as `\DDD`: two names never become one. */
const textOf = (label: Buffer): string =>
  [...label]
    .map((byte) => {
      const text = String.fromCharCode(byte).toLowerCase()
      return /^[a-z0-9_*-]$/.test(text) ? text : `\\${String(byte).padStart(3, '0')}`
    })
    .join('')

function readData(type: TypeName, bytes: Buffer, start: number, end: number): Data | null {
  const data = bytes.subarray(start, end)
  switch (type) {
    case 'A':
      return data.length === 4 ? { type, address: [...data].join('.') } : null
    case 'AAAA': {
      if (data.length !== 16) return null
      const groups = Array.from({ length: 8 }, (_, index) => data.readUInt16BE(index * 2).toString(16))
      const address = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
      return isIP(address) ? { type, address } : null
    }
    case 'NS':
    case 'CNAME':
      return { type, target: readName(bytes, start).name }
    case 'SOA': {
      const mname = readName(bytes, start)
      const rname = readName(bytes, mname.end)
      return rname.end + 20 > end ? null : { type, mname: mname.name, serial: bytes.readUInt32BE(rname.end) }
    }
    case 'TXT': {
      const parts: Buffer[] = []
      for (let at = 0; at < data.length; at += 1 + data.readUInt8(at)) {
        const part = data.subarray(at + 1, at + 1 + data.readUInt8(at))
        if (part.length !== data.readUInt8(at)) return null
        parts.push(part)
      }
      return { type, text: Buffer.concat(parts).toString('utf8') }
    }
    case 'DS':
      break
  }
  if (data.length < 5 || data.length > 132) return null
  const [key_tag, algorithm, digest_type] = [data.readUInt16BE(0), data.readUInt8(2), data.readUInt8(3)]
  return { type, key_tag, algorithm, digest_type, digest: data.subarray(4).toString('hex') }
}
