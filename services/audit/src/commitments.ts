// Commitments: HMAC-SHA-256 over a personal value's canonical JSON, under 32 random bytes of its own. The leaf keeps only these;
// value and key live in the opening, and when that is destroyed a commitment is noise: even a guessed value cannot be tested.
import { hash, randomFillSync } from 'node:crypto'
import { canonical, type Json } from '@bailiwick/kernel/canonical'
import { Fault } from '@bailiwick/kernel/result'
import { PERSONAL_FIELDS, type PersonalFields } from '@bailiwick/contracts/doors/audit'

/** Field -> 64 hex digits. */
export type Commitments = Readonly<Record<string, string>>
/** Field -> the value and its key (64 hex digits). */
export type Opening = Readonly<Record<string, { readonly value: Json; readonly blind: string }>>

const BLIND_BYTES = 32

const BLOCK_BYTES = 64
const outer = Buffer.alloc(BLOCK_BYTES + 32)

/** HMAC-SHA-256 (RFC 2104 §2) from two one-shot hashes: 2 us where `createHmac` takes 13, ten times per entry. */
export function commit(canonicalValue: string, blind: Buffer): string {
  const inner = Buffer.allocUnsafe(BLOCK_BYTES + Buffer.byteLength(canonicalValue))
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    const byte = at < BLIND_BYTES ? blind[at]! : 0
    inner[at] = byte ^ 0x36
    outer[at] = byte ^ 0x5c
  }
  inner.write(canonicalValue, BLOCK_BYTES)
  outer.write(hash('sha256', inner, 'hex'), BLOCK_BYTES, 'hex')
  return hash('sha256', outer, 'hex')
}

/**
 * Absent and null fields get no commitment, so a leaf shows which fields are filled. That is given up on purpose: it follows
 * from kind, door and tool, which the leaf names anyway, and it says nothing about a person; hiding it would cost 15
 * commitments per entry. In return an absent field is provably absent: none can be slipped in later.
 */
export function commitPersonal(personal: PersonalFields): { commitments: Commitments; opening: string } {
  const commitments: Record<string, string> = {}
  const opened: string[] = []
  const fields = PERSONAL_FIELDS.filter((field) => personal[field] !== undefined && personal[field] !== null)
  const blinds = randomFillSync(Buffer.allocUnsafe(fields.length * BLIND_BYTES))
  fields.forEach((field, position) => {
    const blind = blinds.subarray(position * BLIND_BYTES, (position + 1) * BLIND_BYTES)
    const value = canonicalOrInvalid(personal[field] as Json)
    commitments[field] = commit(value, blind)
    opened.push(`"${field}":{"blind":"${blind.toString('hex')}","value":${value}}`)
  })
  return { commitments, opening: `{${opened.join(',')}}` }
}

function canonicalOrInvalid(value: Json): string {
  try {
    return canonical(value)
  } catch (cause) {
    throw new Fault('MESSAGE_INVALID', 'a personal field has no canonical form', { cause })
  }
}

/** The values, when each opens exactly its commitment and none is missing or added; otherwise null. */
export function openPersonal(commitments: Commitments, opening: Opening): PersonalFields | null {
  const fields = Object.keys(commitments)
  if (fields.length !== Object.keys(opening).length) return null
  const values: Record<string, Json> = {}
  for (const field of fields) {
    const opened = Object.hasOwn(opening, field) ? opening[field] : undefined
    if (!opened || commit(canonical(opened.value), Buffer.from(opened.blind, 'hex')) !== commitments[field]) return null
    values[field] = opened.value
  }
  return values
}
