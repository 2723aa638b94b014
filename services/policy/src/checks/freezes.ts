// Is what the call would change frozen by a human? Reading goes on.
import type { CatalogTool, Risk } from '@bailiwick/contracts/catalog'
import { deny } from '@bailiwick/contracts/problem'
import { err, ok } from '@bailiwick/kernel/result'
import type { AccountFacts, Verdict } from './facts.ts'
import type { Input } from './tool.ts'

declare const unfrozen: unique symbol
export type Unfrozen = { readonly [unfrozen]: true }

/** `resources`: ids that the call names or touches. */
export function checkFreezes<C extends { readonly account: AccountFacts }>(
  current: C,
  risk: Risk,
  resources: readonly string[],
): Verdict<C & Unfrozen> {
  if (risk !== 'read') {
    if (current.account.frozen) return err(deny('RESOURCE_FROZEN', { detail: 'The account is frozen.' }))
    const frozen = resources.find((id) => current.account.frozenResources.has(id))
    if (frozen !== undefined) return err(deny('RESOURCE_FROZEN', { extra: { resource_id: frozen } }))
  }
  return ok(current as C & Unfrozen)
}

/** The resource ids that the input names, by the catalog's declaration. */
export const namedResources = (tool: CatalogTool, input: Input): string[] =>
  tool.resources
    .map(({ field }) => input[field])
    .filter((value) => typeof value === 'string')
    // Ids are compared as text: another spelling of the same UUID must not slip past a freeze.
    .map((id) => id.toLowerCase())
