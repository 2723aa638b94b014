// Identifiers. A branded id is made only by its parser, so that a raw string from outside cannot pass for one.
import { randomFillSync } from 'node:crypto'
import { z } from 'zod'

const uuid = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'not a UUID')

export const AccountId = uuid.brand<'AccountId'>()
export type AccountId = z.infer<typeof AccountId>
export const ResourceId = uuid.brand<'ResourceId'>()
export type ResourceId = z.infer<typeof ResourceId>
export const OperationId = uuid.brand<'OperationId'>()
export type OperationId = z.infer<typeof OperationId>
// The sub has no colon, so that two different pairs are never one principal; a client's id may be an address, with colons in it.
const PRINCIPAL = /^(?:pat:([0-9a-f-]{36})|oauth:([0-9a-f-]{36}):(\S{1,256})|admin:\S{1,128})$/
/** `pat:<token uuid>` or `oauth:<sub>:<client id>`: windows, pauses and idempotency are per principal. */
export const Principal = z.string().regex(PRINCIPAL).brand<'Principal'>()
export type Principal = z.infer<typeof Principal>

/** As `Principal` has it; what is no sub or no client makes a text that it refuses. */
export const appPrincipal = (sub: string, client: string): string => `oauth:${sub}:${client}`

/** The person and the client of an app's principal; null for any other. */
export function readAppPrincipal(text: string): { sub: string; client: string } | null {
  const [, , sub, client] = PRINCIPAL.exec(text) ?? []
  return sub === undefined || client === undefined ? null : { sub, client }
}

/** The personal token's id; null for any other principal. */
export const readTokenPrincipal = (text: string): string | null => PRINCIPAL.exec(text)?.[1] ?? null

/** UUIDv7 (RFC 9562 §5.7): time-ordered, 74 random bits. `now` in milliseconds. */
export function uuidv7(now: number = Date.now()): string {
  const bytes = randomFillSync(Buffer.allocUnsafe(16))
  bytes.writeUIntBE(now, 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

export const isUuidV4 = (text: string): boolean =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(text)

/** The 32 hex digits of a UUID: what physical names are made of. */
export const idHex = (id: string): string => id.replaceAll('-', '')
