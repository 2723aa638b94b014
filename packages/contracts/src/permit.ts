// The permit: policy's word to the steward. One MAC over the RFC 8785 form of all of it; valid 60 s for arrival.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { canonical, hashJson, isJsonObject, sha256Hex, type Json } from '@bailiwick/kernel/canonical'
import { AccountId, OperationId, Principal } from '@bailiwick/kernel/ids'
import { Risk } from './catalog.ts'

export const PERMIT_ARRIVAL_MS = 60_000
/** How far the clocks of who issues and who checks may differ. */
export const PERMIT_CLOCK_SKEW_MS = 5000
/** mechanisms.md §7: how long a change can be undone; a promise is never shortened. */
export const UNDO_WINDOW_MS = 30 * 86_400_000

export const Permit = z.strictObject({
  v: z.literal(1),
  account: AccountId,
  principal: Principal,
  /** The human behind it: Keycloak's `sub`; null for a personal token of an account without one. */
  user: z.string().nullable(),
  /** SHA-256 (hex) of the raw token; what the log commits to. */
  token_id: z.string(),
  /** OAuth client id; null for personal tokens. */
  client: z.string().nullable(),
  /** Of an access token: when it was issued (ms) and in which session; a later revocation is held against these. */
  grant: z.strictObject({ issued_at: z.number().int(), session: z.string() }).optional(),
  door: z.enum(['mcp', 'rest', 'console', 'admin']),
  /** Effective scopes (with what `:write` implies). */
  scopes: z.array(z.string()),
  tier: z.enum(['none', 'sandbox', 'beta', 'full']),
  tool: z.string(),
  risk: Risk,
  decision: z.literal('allow'),
  policy_hash: z.string(),
  catalog_hash: z.string(),
  /** `inputHash` of the input as received. */
  input_hash: z.string(),
  /** Null for reads. */
  operation_id: OperationId.nullable(),
  /** What a preview bound: the steward refuses with PREVIEW_STALE if the version moved. */
  bound: z.strictObject({ resource_id: z.string(), version: z.number().int() }).nullable(),
  preview_id: z.string().nullable(),
  approval_id: z.string().nullable(),
  /** What the steward must check against the real state before it acts (`critical_dns`). */
  obligations: z.array(z.string()),
  /** ms since the epoch; promised at first decision, never shortened. Null for reads. */
  undo_until: z.number().int().nullable(),
  /** As asserted by the gateway; believed by nobody, recorded. */
  address: z.string(),
  agent: z.string(),
  request_id: z.string(),
  idempotency_key: z.string().nullable(),
  issued_at: z.number().int(),
  nonce: z.string(),
})
export type Permit = z.infer<typeof Permit>

export const SealedPermit = z.strictObject({ permit: Permit, mac: z.string().regex(/^[0-9a-f]{64}$/) })
export type SealedPermit = z.infer<typeof SealedPermit>

const macOf = (key: Buffer, permit: Permit): Buffer =>
  createHmac('sha256', key)
    .update(`permit v1\n${canonical(permit)}`)
    .digest()

/** Issues: only policy has a reason to call this. `key` is the permit key (32 bytes), shared with the steward only. */
export const sealPermit = (key: Buffer, permit: Permit): SealedPermit => ({
  permit,
  mac: macOf(key, permit).toString('hex'),
})

/** Constant-time check of the MAC. Says nothing about arrival time, input or catalog: `execute` checks those. */
export const isGenuine = (key: Buffer, sealed: SealedPermit): boolean =>
  timingSafeEqual(macOf(key, sealed.permit), Buffer.from(sealed.mac, 'hex'))

/** SHA-256 (hex) of the RFC 8785 form of the input without `idempotency_key` (call.md §2). */
export function inputHash(input: Json): string {
  if (!isJsonObject(input)) return hashJson(input)
  const { idempotency_key: _, ...rest } = input
  return hashJson(rest)
}

/** The input as a preview bound it: also without `preview_token` and `confirm`. */
export function boundInput(input: { readonly [key: string]: Json | undefined }): { [key: string]: Json | undefined } {
  const { idempotency_key: _, preview_token: __, confirm: ___, ...rest } = input
  return rest
}

/** Values that the log must not keep readable become their SHA-256 (in an encrypted opening). */
export function redactInput(record: Readonly<Record<string, 'keep' | 'hash'>>, input: Json): Json {
  if (!isJsonObject(input)) return { sha256: sha256Hex(canonical(input)) }
  return Object.fromEntries(
    Object.entries(input).map(([field, value]) => [
      field,
      record[field] === 'keep' ? value : { sha256: sha256Hex(canonical(value)) },
    ]),
  )
}
