// What the log is told about a call: the permit's word on who asked, and what became of it.
import type { EntryInput } from '@bailiwick/contracts/doors/audit'
import { CODES, type Code } from '@bailiwick/contracts/codes'
import type { CatalogTool } from '@bailiwick/contracts/catalog'
import { redactInput, type Permit } from '@bailiwick/contracts/permit'
import type { Json } from '@bailiwick/kernel/canonical'

export type Happened = {
  readonly kind: 'call' | 'intent' | 'outcome' | 'replay' | 'secret_issued'
  readonly decision: 'allow' | 'deny'
  /** Null: it went as asked. */
  readonly code: Code | null
  readonly why?: string | undefined
  readonly resource?: { readonly kind: string | null; readonly id: string; readonly owner: string | null } | null
  readonly durationMs?: number | null
}

/** The entry of a genuine permit's call. `input` as received, without preview_token and the like. */
export function entryOf(
  permit: Permit,
  tool: Pick<CatalogTool, 'scopes' | 'record'>,
  input: Json,
  happened: Happened,
): EntryInput {
  const { resource } = happened
  return {
    kind: happened.kind,
    account: permit.account,
    door: permit.door,
    tool: permit.tool,
    scopes: tool.scopes,
    risk: permit.risk,
    decision: happened.decision,
    policy_hash: permit.policy_hash,
    catalog_hash: permit.catalog_hash,
    status: happened.kind === 'intent' ? null : happened.code === null ? 200 : CODES[happened.code].status,
    code: happened.code,
    operation_id: permit.operation_id,
    request_id: permit.request_id,
    duration_ms: happened.durationMs ?? null,
    personal: {
      user: permit.user,
      token: permit.token_id,
      client: permit.client,
      address: permit.address,
      agent: permit.agent,
      principal: permit.principal,
      input: redactInput(tool.record, input),
      idempotency_key: permit.idempotency_key,
      preview_id: permit.preview_id,
      approval_id: permit.approval_id,
      ...(resource ? { resource_kind: resource.kind, resource: resource.id, resource_owner: resource.owner } : {}),
      ...(happened.why === undefined ? {} : { why: happened.why.slice(0, 2000) }),
    },
  }
}

/**
 * The entry of a permit that policy did not issue: nothing in it is believed, so it stands under no account; what it claimed
 * is kept for whoever looks.
 */
export const forgedEntry = (permit: Permit, caller: string, why: string): EntryInput => ({
  kind: 'call',
  account: null,
  door: 'internal',
  tool: null,
  risk: null,
  decision: 'deny',
  policy_hash: null,
  catalog_hash: null,
  status: CODES.PERMIT_REFUSED.status,
  code: 'PERMIT_REFUSED',
  operation_id: null,
  request_id: null,
  duration_ms: null,
  personal: {
    why: `${why}; from ${caller}; claims account ${permit.account}, principal ${permit.principal}, tool ${permit.tool}, request ${permit.request_id}`.slice(
      0,
      2000,
    ),
  },
})
