// A DNSKEY's tag and the DS records that name it, computed here: PowerDNS gives those of the name a zone is served under, and a
// staged zone is served under another than its own. Pure.
import { createHash } from 'node:crypto'
import type { DsRecord, SigningKey } from '@bailiwick/contracts/dns'

/** RFC 8624 §3.3: 2 is SHA-256 and what registrars ask for; 4 is SHA-384. 1 is SHA-1, only recognized, never handed out. */
const HASHES: ReadonlyMap<number, string> = new Map([
  [1, 'sha1'],
  [2, 'sha256'],
  [4, 'sha384'],
])
const HANDED_OUT = [2, 4]

/** Canonical wire form (RFC 4034 §6.2): lower case, uncompressed. */
export const wireName = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .toLowerCase()
      .split('.')
      .filter((label) => label !== '')
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ])

/** `257 3 13 <base64>` as it stands on the wire. */
function dnskeyBytes(dnskey: string): Buffer {
  const [flags, protocol, algorithm, ...key] = dnskey.split(' ')
  const head = Buffer.alloc(4)
  head.writeUInt16BE(Number(flags), 0)
  head.writeUInt8(Number(protocol), 2)
  head.writeUInt8(Number(algorithm), 3)
  return Buffer.concat([head, Buffer.from(key.join(''), 'base64')])
}

/** RFC 4034 appendix B. */
function keyTagOf(dnskey: string): number {
  let sum = 0
  dnskeyBytes(dnskey).forEach((byte, index) => (sum += index % 2 === 0 ? byte << 8 : byte))
  return (sum + (sum >> 16)) & 0xffff
}

const dsOf = (name: string, dnskey: string, digestType: number): DsRecord | null => {
  const hash = HASHES.get(digestType)
  const bytes = dnskeyBytes(dnskey)
  return hash === undefined
    ? null
    : {
        key_tag: keyTagOf(dnskey),
        algorithm: bytes.readUInt8(3),
        digest_type: digestType,
        digest: createHash(hash).update(wireName(name)).update(bytes).digest('hex'),
      }
}

export const signingKeyOf = (name: string, dnskey: string): SigningKey => ({
  key_tag: keyTagOf(dnskey),
  algorithm: dnskeyBytes(dnskey).readUInt8(3),
  dnskey,
  ds: HANDED_OUT.map((digestType) => dsOf(name, dnskey, digestType)!),
})
