// RFC 8785 canonical JSON: one byte sequence per value, so that a hash or MAC over it means something.
import { createHash } from 'node:crypto'
import { Fault } from './result.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/** An object: what an input must be. */
export const isJsonObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** RFC 8785 §3.2. Absent (`undefined`) members are left out; non-finite numbers and lone surrogates are a Fault. */
export function canonical(value: Json): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Fault('INTERNAL', 'canonical JSON has no NaN or Infinity')
    return JSON.stringify(value)
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new Fault('INTERNAL', 'canonical JSON has no lone surrogates')
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonical(item)).join(',')}]`
  const members = value as { readonly [key: string]: Json | undefined }
  // Array.prototype.sort compares UTF-16 code units, which is exactly the order RFC 8785 §3.2.3 demands.
  return `{${Object.keys(members)
    .filter((key) => members[key] !== undefined)
    .sort()
    .map((key) => `${canonical(key)}:${canonical(members[key] as Json)}`)
    .join(',')}}`
}

export const sha256Hex = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')

/** SHA-256, in hex, of the RFC 8785 form. */
export const hashJson = (value: Json): string => sha256Hex(canonical(value))
