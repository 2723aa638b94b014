// The catalog: what the tool files declare, as data. Generated into generated/catalog.json and committed, so that a diff shows
// what agents will see. Its hash is in every permit and entry.
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { AnyJson } from './json.ts'
import { hashJson } from '@bailiwick/kernel/canonical'

export const Risk = z.enum(['read', 'write', 'destructive'])
export type Risk = z.infer<typeof Risk>
export const EffectKind = z.enum(['read', 'exact', 'recoverable', 'kept', 'proposed'])
export type EffectKind = z.infer<typeof EffectKind>
export const RecordRule = z.enum(['keep', 'hash'])

export const CatalogTool = z.strictObject({
  name: z.string().regex(/^[a-z]+(_[a-z]+)*$/),
  title: z.string(),
  summary: z.string(),
  domain: z.string(),
  /** All of them are needed. Empty for cross-domain tools, which policy treats by name (undo, confirm_action, list_trash, ...). */
  scopes: z.array(z.string()),
  risk: Risk,
  effect: EffectKind,
  limit_class: z.enum(['standard', 'install']),
  /** Input fields that name resources, with the kind each must have. */
  resources: z.array(z.strictObject({ field: z.string(), kind: z.string() })),
  /** On a preview tool: the destructive tool whose preview token it yields. */
  previews: z.string().nullable(),
  /** On a destructive tool: the field that names the bound resource. */
  confirms: z.strictObject({ preview_tool: z.string(), field: z.string() }).nullable(),
  /** Obligations that policy must put into the permit (`critical_dns`). */
  obligations: z.array(z.string()),
  /** What the log keeps readable of each input field; absent is `hash`. */
  record: z.record(z.string(), RecordRule),
  secret: z.boolean(),
  /** May take longer than a client likes to wait: clients of the Tasks extension get a task. Absent: no. */
  long: z.literal(true).optional(),
  input_schema: z.record(z.string(), AnyJson),
  output_schema: z.record(z.string(), AnyJson),
})
export type CatalogTool = z.infer<typeof CatalogTool>

export const Catalog = z.strictObject({ version: z.literal(1), tools: z.array(CatalogTool) })
export type Catalog = z.infer<typeof Catalog>

export type LoadedCatalog = {
  readonly tools: ReadonlyMap<string, CatalogTool>
  readonly hash: string
  readonly list: readonly CatalogTool[]
}

/** Indexes a catalog and hashes its RFC 8785 form. */
export function indexCatalog(catalog: Catalog): LoadedCatalog {
  return {
    list: catalog.tools,
    tools: new Map(catalog.tools.map((tool) => [tool.name, tool])),
    hash: hashJson(catalog),
  }
}

/** The committed catalog. */
export function loadCatalog(file: string | URL = new URL('../generated/catalog.json', import.meta.url)): LoadedCatalog {
  return indexCatalog(Catalog.parse(JSON.parse(readFileSync(file, 'utf8'))))
}
