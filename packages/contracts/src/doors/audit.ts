// The audit service's door: the only way into the log. Nothing is acknowledged before it is durable.
import { z } from 'zod'
import { AnyJson } from '../json.ts'
import type { Door } from '@bailiwick/kernel/door'
import { OperationId } from '@bailiwick/kernel/ids'
import { Risk } from '../catalog.ts'

/** mechanisms.md §10. `call` is a read or a refusal; `intent` and `outcome` frame every change. */
export const EntryKind = z.enum([
  'call',
  'intent',
  'outcome',
  'replay',
  'refusals_unauthenticated',
  'secret_issued',
  'token_issued',
  'token_refused',
  'token_changed',
  'consent',
  'sign_in',
  // An event of the identity provider that is none of the others: registrations, credentials, its administration.
  'identity',
  'approval',
  'tier',
  'kill_switch',
  'freeze',
  'admin',
  'purge',
  'erase',
  'finding',
  'endpoint_provisioned',
  'endpoint_data_appended',
  'endpoint_provision_failed',
  'endpoint_deleted',
  'account_created',
  'account_deleted',
  'mcp_write',
  'tools_rebuilt',
])
export type EntryKind = z.infer<typeof EntryKind>

const text = z.string().max(1024)

/** What identifies a person or a thing of theirs: only commitments go into the leaf, values into the encrypted opening. */
export const PersonalFields = z.strictObject({
  user: text.nullable().optional(),
  token: text.nullable().optional(),
  client: text.nullable().optional(),
  address: text.nullable().optional(),
  agent: text.nullable().optional(),
  principal: text.nullable().optional(),
  resource_kind: text.nullable().optional(),
  resource: text.nullable().optional(),
  resource_owner: text.nullable().optional(),
  input: AnyJson.optional(),
  idempotency_key: text.nullable().optional(),
  preview_id: text.nullable().optional(),
  approval_id: text.nullable().optional(),
  approval_proof: text.nullable().optional(),
  /** The reason of a refusal or of a human's act; for the log, never for the wire. */
  why: z.string().max(2000).nullable().optional(),
})
export type PersonalFields = z.infer<typeof PersonalFields>
export const PERSONAL_FIELDS = Object.keys(PersonalFields.shape) as (keyof PersonalFields)[]

export const Entry = z.strictObject({
  kind: EntryKind,
  account: z.string().nullable(),
  door: z.enum(['mcp', 'rest', 'console', 'admin', 'internal']),
  tool: z.string().max(128).nullable(),
  scopes: z.array(z.string()).default([]),
  risk: Risk.nullable(),
  decision: z.enum(['allow', 'deny']).nullable(),
  policy_hash: z.string().nullable(),
  catalog_hash: z.string().nullable(),
  status: z.number().int().nullable(),
  code: z.string().nullable(),
  operation_id: OperationId.nullable(),
  request_id: z.string().nullable(),
  duration_ms: z.number().nullable(),
  /** For `refusals_unauthenticated`: how many, aggregated per address and minute. */
  count: z.number().int().min(1).default(1),
  personal: PersonalFields,
})
export type Entry = z.infer<typeof Entry>
export type EntryInput = z.input<typeof Entry>

/** The receipt: where the entry stands in the log, and the SHA-256 (hex) of its leaf. */
export const Receipt = z.strictObject({ index: z.number().int().min(0), leaf_hash: z.string() })
export type Receipt = z.infer<typeof Receipt>

/** An entry as read back, opened as far as it may be. `personal` is null when the opening was destroyed. */
export const OpenedEntry = z.strictObject({
  index: z.number().int(),
  time: z.number().int(),
  leaf_hash: z.string(),
  leaf: z.record(z.string(), AnyJson),
  personal: PersonalFields.nullable(),
})
export type OpenedEntry = z.infer<typeof OpenedEntry>

export const auditDoor = {
  service: 'audit',
  unavailable: 'AUDIT_UNAVAILABLE',
  routes: {
    /** Before an effect. Idempotent by `operation_id`: a second call returns the first receipt. */
    intend: {
      kind: 'json',
      callers: ['steward'],
      input: Entry.extend({ kind: z.literal('intent'), operation_id: OperationId }),
      output: Receipt,
    },
    /** After it. Idempotent by `operation_id`. Refused (Fault INTENT_MISSING) when no intent stands. */
    outcome: {
      kind: 'json',
      callers: ['steward'],
      input: Entry.extend({ kind: z.literal('outcome'), operation_id: OperationId }),
      output: Receipt,
    },
    /**
     * Idempotent by `event_id` where there is one (an event of another system, taken once; policy's alone): a second call returns
     * the first receipt, or Fault EVENT_CONFLICT when the event stands under another kind or account.
     */
    append: {
      kind: 'json',
      callers: ['policy', 'steward', 'reaper'],
      input: Entry.extend({ event_id: z.uuid().nullable().default(null) }),
      output: Receipt,
    },
    /** One account's entries, newest first; `before` is an index, exclusive. */
    query: {
      kind: 'json',
      callers: ['steward', 'policy'],
      input: z.strictObject({
        account: z.string(),
        before: z.number().int().nullable().default(null),
        limit: z.number().int().min(1).max(100).default(50),
        tool: z.string().nullable().default(null),
        operation_id: z.string().nullable().default(null),
      }),
      output: z.strictObject({ entries: z.array(OpenedEntry), next_before: z.number().int().nullable() }),
    },
    /** For the reaper: the intent of a delete, as the log has it. Null where there is none. */
    intent_of: {
      kind: 'json',
      callers: ['reaper'],
      input: z.strictObject({ operation_id: OperationId }),
      output: z.strictObject({
        intent: z.strictObject({ time: z.number().int(), account: z.string(), tool: z.string() }).nullable(),
      }),
    },
  },
} as const satisfies Door
