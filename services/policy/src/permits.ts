// Permits: issued at the end of decide's column, and read back when the steward asks about one.
import { randomBytes } from 'node:crypto'
import {
  isGenuine,
  PERMIT_CLOCK_SKEW_MS,
  sealPermit,
  type Permit,
  type SealedPermit,
} from '@bailiwick/contracts/permit'
import { deny } from '@bailiwick/contracts/problem'
import { err, ok } from '@bailiwick/kernel/result'
import type { Call } from './call.ts'
import type { Verdict } from './checks/facts.ts'
import type { Deps } from './deps.ts'
import { POLICY_HASH } from './rules.ts'
import type { Settled } from './settle.ts'

/** How old a permit may be when the steward asks. A change may come back from a crash: as long as its key lives. */
const MAX_AGE_MS = { read: 5 * 60_000, change: 24 * 3_600_000 } as const

/** The fields that do not depend on what is asked: version, hashes, time, nonce. */
export const freshFields = (
  deps: Deps,
): Pick<Permit, 'v' | 'decision' | 'policy_hash' | 'catalog_hash' | 'issued_at' | 'nonce' | 'approval_id'> => ({
  v: 1,
  decision: 'allow',
  policy_hash: POLICY_HASH,
  catalog_hash: deps.catalog.hash,
  issued_at: deps.clock.now(),
  nonce: randomBytes(16).toString('hex'),
  approval_id: null,
})

export function issuePermit(deps: Deps, settled: Settled, call: Call): SealedPermit {
  const { account, token, tool, preview, operation, later } = settled
  return sealPermit(deps.permitKey, {
    ...freshFields(deps),
    account: account.id,
    principal: token.principal,
    user: token.user,
    token_id: call.tokenId!,
    client: token.client,
    ...(token.grant ? { grant: { issued_at: token.grant.issuedAt, session: token.grant.session } } : {}),
    door: call.asked.door,
    scopes: [...token.scopes],
    tier: account.tier,
    tool: tool.name,
    risk: settled.risk,
    input_hash: settled.inputHash,
    operation_id: operation?.id ?? null,
    bound: preview ? { resource_id: preview.resourceId, version: preview.resourceVersion } : null,
    preview_id: preview?.id ?? null,
    obligations: settled.risk === 'read' ? [] : [...later.obligations],
    undo_until: operation?.undoUntil ?? null,
    address: call.asked.address,
    agent: call.asked.agent,
    request_id: call.asked.request_id,
    idempotency_key: settled.key,
  })
}

declare const genuine: unique symbol
/** Ours, whole, and not too old. Made by `readPermit` only. */
export type Genuine = Permit & { readonly [genuine]: true }

export function readPermit(deps: Deps, sealed: SealedPermit): Verdict<Genuine> {
  if (!isGenuine(deps.permitKey, sealed)) return err(deny('PERMIT_REFUSED', { why: 'the MAC does not match' }))
  const { permit } = sealed
  const age = deps.clock.now() - permit.issued_at
  const maxAge = permit.operation_id === null ? MAX_AGE_MS.read : MAX_AGE_MS.change
  if (age > maxAge || age < -PERMIT_CLOCK_SKEW_MS) return err(deny('PERMIT_REFUSED', { why: `issued ${age} ms ago` }))
  return ok(permit as Genuine)
}
