// Who is it, and what may it call now? For tools/list and the like: counted as a call, recorded only when refused.
import type { CatalogTool, LoadedCatalog } from '@bailiwick/contracts/catalog'
import type { IdentifyReply } from '@bailiwick/contracts/doors/policy'
import { ok } from '@bailiwick/kernel/result'
import { admit, arrive } from './arrive.ts'
import { openCall, type Asked, type Call } from './call.ts'
import type { Current, Verdict } from './checks/facts.ts'
import { mayCall } from './checks/scopes.ts'
import { checkSwitches } from './checks/switches.ts'
import { checkTier } from './checks/tier.ts'
import { checkToken } from './checks/token.ts'
import type { Counted } from './checks/window.ts'
import { verifyCredential } from './credential.ts'
import type { Deps } from './deps.ts'

/** Names of the tools that a call with this token and account would not be refused for by tier or scopes. */
export const callableTools = (current: Current, catalog: LoadedCatalog): string[] =>
  catalog.list.filter((tool) => isCallable(tool, current, catalog)).map((tool) => tool.name)

const isCallable = (tool: CatalogTool, current: Current, catalog: LoadedCatalog): boolean =>
  checkTier(current, tool.risk).ok && mayCall(tool, current.token.scopes, catalog)

export async function identify(deps: Deps, request: Asked & { method: string }): Promise<IdentifyReply> {
  const call = openCall(request)
  const identified = await walk(deps, request, call)
  if (identified.ok) {
    const { token } = identified.value
    const tools = callableTools(identified.value, deps.catalog)
    return { ok: true, rate: call.rate!, principal: token.principal, tools }
  }
  const why = `${request.method}: ${identified.error.why ?? identified.error.code}`
  const denial = await deps.refusals.record(call, { ...identified.error, why })
  return { ok: false, denial, rate: identified.error.code === 'UNAUTHENTICATED' ? null : call.rate }
}

async function walk(deps: Deps, request: Asked, call: Call): Promise<Verdict<Counted>> {
  const identified = await verifyCredential(deps, request.credential)
  if (!identified.ok) return identified
  const arrived = await arrive(deps, identified.value, 'standard', call)
  if (!arrived.ok) return arrived
  const live = checkToken(arrived.value, request.address, deps.clock.now())
  if (!live.ok) return live
  const enabled = checkSwitches(live.value)
  if (!enabled.ok) return enabled
  const admitted = await admit(deps, enabled.value)
  return admitted.ok ? ok(admitted.value) : admitted
}
