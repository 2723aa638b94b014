// What must be true of a permit before anything is looked up: pure, in order, each step made of what only the step before can
// make. An attacker with the gateway's place and key stops here: it has no permit key.
import type { CatalogTool, LoadedCatalog, Risk } from '@bailiwick/contracts/catalog'
import {
  inputHash,
  isGenuine,
  PERMIT_ARRIVAL_MS,
  PERMIT_CLOCK_SKEW_MS,
  type Permit,
  type SealedPermit,
} from '@bailiwick/contracts/permit'
import { deny, type Denial } from '@bailiwick/contracts/problem'
import { isJsonObject, type Json } from '@bailiwick/kernel/canonical'
import { err, ok, type Result } from '@bailiwick/kernel/result'
import type { Tool } from './define-tool.ts'
import { parseInput } from './plan.ts'

declare const checked: unique symbol
type Evidence<Name extends string, T> = T & { readonly [checked]: { readonly [N in Name]: true } }

/** Policy issued it. */
export type Genuine = Evidence<'genuine', { readonly sealed: SealedPermit; readonly permit: Permit }>
/** And it came in time, through a door that it is for, with the input that it is for. */
export type Matched = Genuine & Evidence<'matched', { readonly fields: Fields }>
/** And for a tool that both services know in the same words. */
export type Known = Matched & Evidence<'known', { readonly tool: Tool; readonly catalogTool: CatalogTool }>
/** And the tool understands it. `input` is what is stored and recorded: without idempotency key, preview token and confirm. */
export type Call = Known & Evidence<'call', { readonly input: Fields; readonly parsed: unknown }>

export type Fields = { readonly [field: string]: Json }

const DOORS: Readonly<Record<string, readonly Permit['door'][]>> = {
  gateway: ['mcp', 'rest'],
  console: ['console', 'admin'],
}
const RANK: Readonly<Record<Risk, number>> = { read: 0, write: 1, destructive: 2 }
const refused = (why: string): Result<never, Denial> => err(deny('PERMIT_REFUSED', { why }))

export function checkGenuine(key: Buffer, sealed: SealedPermit): Result<Genuine, Denial> {
  if (!isGenuine(key, sealed)) return refused('the MAC is not policy’s')
  return ok({ sealed, permit: sealed.permit } as Genuine)
}

export function checkArrival(genuine: Genuine, caller: string, input: Json, now: number): Result<Matched, Denial> {
  const { permit } = genuine
  const ageMs = now - permit.issued_at
  if (ageMs > PERMIT_ARRIVAL_MS) return refused(`arrived ${ageMs} ms after its issue`)
  if (ageMs < -PERMIT_CLOCK_SKEW_MS) return refused('issued in the future')
  // The admin's and the console's permits are worth nothing in the gateway's hands.
  if (!DOORS[caller]?.includes(permit.door)) return refused(`${caller} sent a permit for door ${permit.door}`)
  if (inputHash(input) !== permit.input_hash) return refused('the input is not the one that was permitted')
  if (!isJsonObject(input))
    return err(deny('INPUT_INVALID', { extra: { errors: [{ path: '', message: 'expected an object' }] } }))
  return ok({ ...genuine, fields: input } as Matched)
}

export function checkCatalog(
  matched: Matched,
  catalog: LoadedCatalog,
  tools: ReadonlyMap<string, Tool>,
): Result<Known, Denial> {
  const { permit } = matched
  if (permit.catalog_hash !== catalog.hash) return err(deny('CATALOG_MISMATCH', { retry_after_s: 5 }))
  const tool = tools.get(permit.tool)
  const catalogTool = catalog.tools.get(permit.tool)
  if (!tool || !catalogTool) return err(deny('TOOL_UNKNOWN'))
  if (RANK[permit.risk] < RANK[catalogTool.risk]) return refused(`permitted as ${permit.risk}`)
  if ((permit.operation_id === null) !== (tool.effect.kind === 'read')) return refused('operation and effect disagree')
  if (tool.name === 'confirm_action') return refused('confirm_action is permitted as the tool that it confirms')
  if (catalogTool.confirms && permit.bound?.resource_id !== matched.fields[catalogTool.confirms.field])
    return refused('not bound to the resource that a preview showed')
  return ok({ ...matched, tool, catalogTool } as Known)
}

/** The pipeline's own fields, which no tool's schema has, by risk. */
const PIPELINE_FIELDS: Readonly<Record<Risk, readonly string[]>> = {
  read: [],
  write: ['idempotency_key'],
  destructive: ['idempotency_key', 'preview_token', 'confirm'],
}

export function checkInput(known: Known): Result<Call, Denial> {
  const own = PIPELINE_FIELDS[known.catalogTool.risk]
  const input = Object.fromEntries(Object.entries(known.fields).filter(([field]) => !own.includes(field)))
  const parsed = parseInput(known.tool, input)
  return parsed.ok ? ok({ ...known, input, parsed: parsed.value } as Call) : parsed
}
