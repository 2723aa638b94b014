// Personal tokens as text: `mpt_<64 hex>`, 28 random bytes and their CRC32. The CRC is no secret: it lets a scanner, and us
// before any look-up, tell a real token from a typo.
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const FORM = /^mpt_([0-9a-f]{56})([0-9a-f]{8})$/

/** A new one: 224 random bits. */
export function makePersonalToken(): string {
  const secret = randomBytes(28)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(secret))
  return `mpt_${secret.toString('hex')}${sum.toString('hex')}`
}

export type CredentialForm = 'personal' | 'jwt' | 'unknown'

/** What a bearer token looks like; says nothing about whether it is good. */
export function formOf(credential: string): CredentialForm {
  const personal = FORM.exec(credential)
  if (personal) {
    const [, secret, sum] = personal
    return crc32(Buffer.from(secret!, 'hex')).toString(16).padStart(8, '0') === sum ? 'personal' : 'unknown'
  }
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(credential) ? 'jwt' : 'unknown'
}
