// Asks a real name server for signed answers and checks the signatures with the zone's DNSKEY (RFC 4034 §3.1.8.1, RFC 6605): a
// validating resolver in small, with a reading of DNS messages of its own, so that it errs for itself.
import { createHash, createPublicKey, randomInt, verify } from 'node:crypto'
import { createSocket } from 'node:dgram'

const TYPES = { A: 1, NS: 2, SOA: 6, TXT: 16, DS: 43, RRSIG: 46, NSEC: 47, DNSKEY: 48 } as const
type Type = keyof typeof TYPES
type Raw = { owner: string; type: number; ttl: number; data: Buffer }
type Reply = { rcode: number; isAuthoritative: boolean; records: Raw[] }

const wire = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .split('.')
      .filter(Boolean)
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ])

/** Over UDP with DO set. Names come without the final dot. */
export function askSigned(port: number, name: string, type: Type): Promise<Reply> {
  const head = Buffer.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1])
  head.writeUInt16BE(randomInt(65_536), 0)
  const edns = Buffer.from([0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0])
  const query = Buffer.concat([head, wire(name), Buffer.from([0, TYPES[type], 0, 1]), edns])
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    const timer = setTimeout(() => {
      socket.close()
      reject(new Error(`no answer for ${name} ${type}`))
    }, 3000)
    socket.on('message', (bytes) => {
      clearTimeout(timer)
      socket.close()
      resolve(parse(bytes))
    })
    socket.send(query, port, '127.0.0.1')
  })
}

function nameAt(bytes: Buffer, from: number): { name: string; end: number } {
  const labels: string[] = []
  let [at, end] = [from, 0]
  for (;;) {
    const length = bytes[at]!
    if (length >= 0xc0) {
      end ||= at + 2
      at = bytes.readUInt16BE(at) & 0x3fff
    } else if (length === 0) {
      return { name: labels.join('.'), end: end || at + 1 }
    } else {
      labels.push(bytes.toString('latin1', at + 1, at + 1 + length).toLowerCase())
      at += length + 1
    }
  }
}

function parse(bytes: Buffer): Reply {
  const total = [6, 8].reduce((sum, at) => sum + bytes.readUInt16BE(at), 0)
  let at = nameAt(bytes, 12).end + 4
  const records = Array.from({ length: total }, () => {
    const { name, end } = nameAt(bytes, at)
    const start = end + 10
    at = start + bytes.readUInt16BE(end + 8)
    return {
      owner: name,
      type: bytes.readUInt16BE(end),
      ttl: bytes.readUInt32BE(end + 4),
      data: bytes.subarray(start, at),
    }
  })
  return { rcode: bytes[3]! & 15, isAuthoritative: (bytes[2]! & 4) !== 0, records }
}

export function keyTag(dnskey: Buffer): number {
  let sum = 0
  dnskey.forEach((byte, index) => (sum += index % 2 ? byte : byte << 8))
  return (sum + (sum >>> 16)) & 0xffff
}
export const dsDigest = (zone: string, dnskey: Buffer): string =>
  createHash('sha256').update(wire(zone)).update(dnskey).digest('hex')

/** The DNSKEY records that the server publishes for the zone. */
export async function dnskeysOf(port: number, zone: string): Promise<Buffer[]> {
  const { records } = await askSigned(port, zone, 'DNSKEY')
  return records.filter(({ type }) => type === TYPES.DNSKEY).map(({ data }) => data)
}

/** Which of the zone's keys signed the set, by tag; null: not signed, or no signature holds. Only for data without names that could be compressed. */
export async function signerOf(
  port: number,
  zone: string,
  name: string,
  type: 'A' | 'TXT' | 'DNSKEY' | 'NSEC',
  /** The question that brings it, where it is not the set itself (an NSEC comes with a denial). */
  question: { name: string; type: Type } = { name, type },
): Promise<number | null> {
  const { records } = await askSigned(port, question.name, question.type)
  const keys = await dnskeysOf(port, zone)
  const set = records.filter((record) => record.owner === name && record.type === TYPES[type])
  for (const { data } of records.filter((record) => record.owner === name && record.type === TYPES.RRSIG)) {
    if (set.length === 0 || data.readUInt16BE(0) !== TYPES[type]) continue
    const signer = nameAt(data, 18)
    const now = Date.now() / 1000
    const isInTime = data.readUInt32BE(12) <= now && now <= data.readUInt32BE(8)
    const key = keys.find((each) => keyTag(each) === data.readUInt16BE(16) && each[3] === 13)
    if (!key || !isInTime || signer.name !== zone) continue
    const signed = Buffer.concat([
      data.subarray(0, signer.end),
      ...set
        .map((record) => record.data)
        .sort(Buffer.compare)
        .map((rdata) => {
          const head = Buffer.alloc(10)
          head.writeUInt16BE(TYPES[type], 0)
          head.writeUInt16BE(1, 2)
          data.copy(head, 4, 4, 8)
          head.writeUInt16BE(rdata.length, 8)
          return Buffer.concat([wire(name), head, rdata])
        }),
    ])
    const point = { x: key.subarray(4, 36).toString('base64url'), y: key.subarray(36, 68).toString('base64url') }
    const publicKey = createPublicKey({ key: { kty: 'EC', crv: 'P-256', ...point }, format: 'jwk' })
    if (verify('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, data.subarray(signer.end)))
      return keyTag(key)
  }
  return null
}
