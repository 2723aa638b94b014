// Does the token have the scopes that the deed needs (mechanisms.md §2)?
import type { CatalogTool, LoadedCatalog } from '@bailiwick/contracts/catalog'
import { deny } from '@bailiwick/contracts/problem'
import { scopeDomain } from '@bailiwick/contracts/scopes'
import { err, ok } from '@bailiwick/kernel/result'
import { CONFIRM, UNDO } from '../rules.ts'
import type { Verdict } from './facts.ts'

/** Satisfied by all of `all`, or by `or` alone. */
export type Need = { readonly all: readonly string[]; readonly or: string | null }

declare const scoped: unique symbol
export type Scoped = { readonly [scoped]: true }

export function checkScopes<C extends { readonly need: Need }>(
  current: C,
  scopes: readonly string[],
): Verdict<C & Scoped> {
  const { all, or } = current.need
  // No scopes, no calls: a tool that needs none of its own still needs a token that was given something.
  const meets =
    all.length === 0 ? scopes.some((scope) => scope.includes(':')) : all.every((one) => scopes.includes(one))
  if (meets || (or !== null && scopes.includes(or))) return ok(current as C & Scoped)
  return err(deny('INSUFFICIENT_SCOPE', { required_scopes: [...all] }))
}

/** What calling `tool` needs. undo and confirm_action need what their deed needs: the caller asks with that instead. */
export const needOf = (tool: CatalogTool): Need => ({ all: tool.scopes, or: null })

/** Undo needs the scopes that the deed needed, or `:write` of its domain. */
export const needOfUndo = (deed: { scopes: readonly string[]; domain: string }): Need => ({
  all: deed.scopes,
  or: `${deed.domain}:write`,
})

/**
 * The scopes that count for calling `tool`. `:delete` implies nothing, except for the preview of that very deletion: there
 * it stands for reading its own domain, and nothing else.
 */
export function scopesFor(tool: CatalogTool, scopes: readonly string[], catalog: LoadedCatalog): readonly string[] {
  const target = tool.previews === null ? undefined : catalog.tools.get(tool.previews)
  if (!target || !target.scopes.every((scope) => scopes.includes(scope))) return scopes
  const domains = target.scopes.filter((scope) => scope.endsWith(':delete')).map(scopeDomain)
  return [...scopes, ...domains.map((domain) => `${domain}:read`)]
}

/** Whether a token with these scopes is shown `tool`. */
export function mayCall(tool: CatalogTool, scopes: readonly string[], catalog: LoadedCatalog): boolean {
  if (tool.name === UNDO) return scopes.some((scope) => /:(write|delete)$/.test(scope))
  if (tool.name === CONFIRM) return scopes.some((scope) => scope.endsWith(':delete'))
  return checkScopes({ need: needOf(tool) }, scopesFor(tool, scopes, catalog)).ok
}
