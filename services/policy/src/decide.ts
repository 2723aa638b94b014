// The decision, on one page (call.md §2). Each step takes what only the step before it can make, so that leaving one out does
// not compile. The first "no" ends the walk, is recorded by policy itself, and is the answer.
import type { DecideReply, DecideRequest } from '@bailiwick/contracts/doors/policy'
import type { SealedPermit } from '@bailiwick/contracts/permit'
import { ok } from '@bailiwick/kernel/result'
import { admit, arrive } from './arrive.ts'
import { openCall, type Call } from './call.ts'
import type { Verdict } from './checks/facts.ts'
import { checkFreezes, namedResources } from './checks/freezes.ts'
import { checkScopes } from './checks/scopes.ts'
import { checkSwitches } from './checks/switches.ts'
import { checkTier } from './checks/tier.ts'
import { checkToken } from './checks/token.ts'
import { checkTool } from './checks/tool.ts'
import { checkKey, confirm } from './confirm.ts'
import { verifyCredential } from './credential.ts'
import { findDeed } from './deed.ts'
import type { Deps } from './deps.ts'
import { issuePermit } from './permits.ts'
import { CONFIRM } from './rules.ts'
import { settle } from './settle.ts'

/** Decides one call and, for a change, claims everything that it needs. A broken dependency is a Fault: nothing was decided. */
export async function decide(deps: Deps, request: DecideRequest): Promise<DecideReply> {
  const call = openCall(request, request.input, request.idempotency_key)
  const permitted = await walk(deps, request, call)
  if (permitted.ok) return { ok: true, rate: call.rate!, ...permitted.value }
  const denial = await deps.refusals.record(call, permitted.error)
  // A revoked token learns nothing that a made-up one would not.
  return { ok: false, denial, rate: permitted.error.code === 'UNAUTHENTICATED' ? null : call.rate }
}

type Permitted = { readonly permit: SealedPermit; readonly input?: DecideRequest['input'] }

async function walk(deps: Deps, request: DecideRequest, call: Call): Promise<Verdict<Permitted>> {
  const now = deps.clock.now()
  const limitClass = deps.catalog.tools.get(request.tool)?.limit_class ?? 'standard'

  // Who is it? Nothing else is looked at for a stranger, and nothing of the account is told to one.
  const identified = await verifyCredential(deps, request.credential)
  if (!identified.ok) return identified
  const arrived = await arrive(deps, identified.value, limitClass, call)
  if (!arrived.ok) return arrived
  const live = checkToken(arrived.value, request.address, now)
  if (!live.ok) return live

  // Switches before everything that depends on the call: whoever turned agents off wants to hear of nothing else.
  const enabled = checkSwitches(live.value)
  if (!enabled.ok) return enabled
  const named = checkTool(enabled.value, request, deps.catalog)
  if (!named.ok) return named
  call.tool = named.value.tool
  const admitted = await admit(deps, named.value)
  if (!admitted.ok) return admitted

  // What may it do? From the widest rule to the narrowest; the first look-ups in the database only for who may change at all.
  const tiered = checkTier(admitted.value, admitted.value.tool.risk)
  if (!tiered.ok) return tiered
  const deed = await findDeed(deps, tiered.value, call)
  if (!deed.ok) return deed
  const scoped = checkScopes(deed.value, deed.value.counting)
  if (!scoped.ok) return scoped
  const unfrozen = checkFreezes(scoped.value, deed.value.risk, namedResources(deed.value.tool, deed.value.input))
  if (!unfrozen.ok) return unfrozen

  // Does it mean it, and is it the first time? The transaction comes last: nothing is claimed for a call that is refused.
  const keyed = checkKey(unfrozen.value, request.idempotency_key, request.input)
  if (!keyed.ok) return keyed
  const confirmed = await confirm(deps, keyed.value, call)
  if (!confirmed.ok) return confirmed
  const settled = await settle(deps, confirmed.value)
  if (!settled.ok) return settled

  // From here on a crash leaves a claimed operation that nothing was done for: a retry with the same key finds it.
  const permit = issuePermit(deps, settled.value, call)
  return ok(request.tool === CONFIRM ? { permit, input: settled.value.input as DecideRequest['input'] } : { permit })
}
