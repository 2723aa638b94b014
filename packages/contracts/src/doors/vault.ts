// The vault's doors. First: create-exclusive and read, nothing else. Second, for the reaper alone: expiry.
import { z } from 'zod'
import type { Door } from '@bailiwick/kernel/door'
import { AccountId } from '@bailiwick/kernel/ids'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
export const RestorePointKind = z.enum(['snapshot', 'base', 'wal'])
export const RestorePointRef = z.strictObject({
  account_id: AccountId,
  kind: RestorePointKind,
  /** `<operation id>.<what>` for snapshots, the segment's name for WAL, the label for base backups. */
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/),
  /** Of the plaintext bytes; part of the object's identity, checked at creation and at each read. */
  sha256,
})
export type RestorePointRef = z.infer<typeof RestorePointRef>
const Stored = RestorePointRef.extend({ size_bytes: z.number().int(), created_at: z.number().int() })
export type StoredRestorePoint = z.infer<typeof Stored>

export const vaultDoor = {
  service: 'vault',
  unavailable: 'BACKEND_UNAVAILABLE',
  routes: {
    /** Durable when answered. The same object again: `created: false`, nothing written. Bytes that do not hash to `sha256`: Fault HASH_MISMATCH, nothing kept. No space: Fault VAULT_FULL. */
    create: {
      kind: 'upload',
      callers: ['keeper', 'steward'],
      input: RestorePointRef,
      output: z.strictObject({ created: z.boolean(), size_bytes: z.number().int() }),
    },
    /** The plaintext bytes. Absent: Fault RESTORE_POINT_ABSENT; damaged: the stream breaks. */
    read: { kind: 'download', callers: ['keeper', 'steward'], input: RestorePointRef, output: z.unknown() },
    list: {
      kind: 'json',
      callers: ['keeper', 'steward'],
      input: z.strictObject({ account_id: AccountId, kind: RestorePointKind, prefix: z.string().default('') }),
      output: z.strictObject({ items: z.array(Stored) }),
    },
    /** Reads it all back and compares the hash. */
    verify: {
      kind: 'json',
      callers: ['keeper', 'steward'],
      input: RestorePointRef,
      timeoutMs: 15 * 60_000,
      output: z.strictObject({ ok: z.boolean() }),
    },
  },
} as const satisfies Door

export const vaultExpiryDoor = {
  service: 'vault',
  unavailable: 'BACKEND_UNAVAILABLE',
  routes: {
    list_all: {
      kind: 'json',
      callers: ['reaper'],
      input: z.strictObject({ after: z.string().nullable().default(null) }),
      output: z.strictObject({ items: z.array(Stored), next: z.string().nullable() }),
    },
    /** Removes one restore point that is at least `minimum age` old by the vault's own record; younger: Fault TOO_YOUNG. */
    expire: {
      kind: 'json',
      callers: ['reaper'],
      input: RestorePointRef,
      output: z.strictObject({ expired: z.boolean() }),
    },
  },
} as const satisfies Door
