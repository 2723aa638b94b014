// Which tool is called, and could the call be read?
import type { CatalogTool, LoadedCatalog } from '@bailiwick/contracts/catalog'
import type { DecideRequest } from '@bailiwick/contracts/doors/policy'
import { deny } from '@bailiwick/contracts/problem'
import { isJsonObject, type Json } from '@bailiwick/kernel/canonical'
import { err, ok } from '@bailiwick/kernel/result'
import type { Current, Verdict } from './facts.ts'
import type { Enabled } from './switches.ts'

export type Input = { readonly [field: string]: Json | undefined }

declare const named: unique symbol
/** The called tool is in the catalog, and the input is an object. Made by `checkTool` only. */
export type Named<C extends Current = Current> = Enabled<C> & {
  readonly tool: CatalogTool
  readonly input: Input
  readonly [named]: true
}

export function checkTool<C extends Current>(
  current: Enabled<C>,
  request: Pick<DecideRequest, 'tool' | 'input' | 'parse_error'>,
  catalog: LoadedCatalog,
): Verdict<Named<C>> {
  if (request.parse_error !== null) return err(deny('PARSE_ERROR', { why: request.parse_error }))
  const tool = catalog.tools.get(request.tool)
  // The name comes from outside and may hold anything: it goes into the entry's encrypted part, not into the leaf.
  if (!tool) return err(deny('TOOL_UNKNOWN', { why: `called ${request.tool}` }))
  const { input } = request
  if (!isJsonObject(input)) return err(deny('INPUT_INVALID', { detail: 'The arguments must be one JSON object.' }))
  return ok({ ...current, tool, input } as unknown as Named<C>)
}
