// The leaf: what stands in the log for ever. Pure: an entry, its time and its index in, text and hash out. The format is final
// (v 1): a Merkle tree will be built over these very bytes, so a change here is a new version, never an edit.
import { hash } from 'node:crypto'
import { canonical, type Json } from '@bailiwick/kernel/canonical'
import { Fault } from '@bailiwick/kernel/result'
import type { Entry, EntryKind } from '@bailiwick/contracts/doors/audit'
import { commitPersonal, type Commitments } from './commitments.ts'

const LEAF_VERSION = 1

/** 12 months, or 24 for what is asked about late: deletes, installs, token issue, approvals (mechanisms.md §10). */
export type RetentionClass = 'standard' | 'long'

const LONG_KINDS: ReadonlySet<EntryKind> = new Set([
  'token_issued',
  'approval',
  'purge',
  'erase',
  'endpoint_deleted',
  'account_deleted',
])
const LONG_TOOLS = /^(delete|install|deploy)_/

export const retentionClass = (entry: Pick<Entry, 'kind' | 'risk' | 'tool'>): RetentionClass =>
  LONG_KINDS.has(entry.kind) || entry.risk === 'destructive' || LONG_TOOLS.test(entry.tool ?? '') ? 'long' : 'standard'

/** `standard-2026-11`: retention class and UTC month. */
export const periodOf = (retention: RetentionClass, timeMs: number): string =>
  `${retention}-${new Date(timeMs).toISOString().slice(0, 7)}`

// Words of ours, without spaces or an @. A leaf is never erased, so what an agent can spell into one (the name of a tool that
// does not exist, say) must not be able to carry an address or a sentence.
const WORD = /^[\w:./+=-]{1,256}$/
const ACCOUNT = /^[\w-]{1,64}$/

const word = (text: string | null): string | null => (text === null || WORD.test(text) ? text : 'unrecognized')

/** An entry made ready before its index is known: `members` lacks only that and the partition. */
export type Prepared = {
  readonly time: number
  readonly period: string
  readonly kind: EntryKind
  readonly account: string | null
  readonly tool: string | null
  readonly operationId: string | null
  /** Not in the leaf: what makes a repetition be recognized. */
  readonly eventId: string | null
  readonly members: Readonly<Record<string, Json>> & { readonly commitments: Commitments }
  /** Canonical JSON of {field: {value, blind}}; to be sealed. */
  readonly opening: string
}

/** Throws Fault MESSAGE_INVALID for what has no canonical form (a lone surrogate), so that it never reaches a batch. */
export function prepare(entry: Entry, time: number, eventId: string | null = null): Prepared {
  if (entry.account !== null && !ACCOUNT.test(entry.account))
    throw new Fault('MESSAGE_INVALID', 'an account is not an identifier')
  const retention = retentionClass(entry)
  const tool = word(entry.tool)
  const { commitments, opening } = commitPersonal(entry.personal)
  return {
    time,
    period: periodOf(retention, time),
    kind: entry.kind,
    account: entry.account,
    tool,
    operationId: entry.operation_id,
    eventId,
    opening,
    members: {
      v: LEAF_VERSION,
      time,
      kind: entry.kind,
      account: entry.account,
      door: entry.door,
      tool,
      scopes: entry.scopes.map((scope) => word(scope)),
      risk: entry.risk,
      decision: entry.decision,
      policy_hash: word(entry.policy_hash),
      catalog_hash: word(entry.catalog_hash),
      status: entry.status,
      code: word(entry.code),
      operation_id: entry.operation_id,
      request_id: word(entry.request_id),
      duration_ms: entry.duration_ms,
      count: entry.count,
      class: retention,
      commitments,
    },
  }
}

/** The leaf's bytes, as text: RFC 8785 JSON. */
export const leafText = (prepared: Prepared, index: number, partition: string): string =>
  canonical({ ...prepared.members, index, opening: { partition } })

const LEAF_PREFIX = Buffer.from([0])

/** RFC 6962 §2.1: SHA-256(0x00 || leaf). */
export const leafHash = (leaf: string): Buffer =>
  hash('sha256', Buffer.concat([LEAF_PREFIX, Buffer.from(leaf)]), 'buffer')
