// Builds the catalog from the tool files and refuses what an agent could misread: a tool that is badly declared does not load.
import { z } from 'zod'
import { CatalogTool, indexCatalog, type LoadedCatalog, type Risk } from '@bailiwick/contracts/catalog'
import { SCOPES } from '@bailiwick/contracts/scopes'
import { ConfigError } from '@bailiwick/kernel/config'
import type { Tool } from './define-tool.ts'
import type { Json } from '@bailiwick/kernel/canonical'

type Schema = { [key: string]: Json }

const MAX_SUMMARY_WORDS = 40
const NAME = /^[a-z]+(_[a-z]+)*$/

/** Throws ConfigError naming the tool and what is wrong with it. Sorted by name: the order of files changes no hash. */
export function buildCatalog(tools: readonly Tool[]): LoadedCatalog {
  const byName = new Map(tools.map((tool) => [tool.name, tool]))
  if (byName.size !== tools.length) throw new ConfigError('tools', 'two tools have one name')
  const list = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const tool of list) checkDeclaration(tool, byName)
  return indexCatalog({ version: 1, tools: list.map(describe) })
}

/** The steward's start: what its code says must be what was committed, or policy and gateway would decide about other tools. */
export function requireCommitted(built: LoadedCatalog, committed: LoadedCatalog): void {
  if (built.hash !== committed.hash)
    throw new ConfigError(
      'packages/contracts/generated/catalog.json',
      'is not what the tool files say; regenerate it: node scripts/docs/generate.ts',
    )
}

function checkDeclaration(tool: Tool, byName: ReadonlyMap<string, Tool>): void {
  const fail = (problem: string): never => {
    throw new ConfigError(`tool ${tool.name}`, problem)
  }
  if (!NAME.test(tool.name)) fail('its name is not verb_noun in lower case')
  const words = tool.summary.trim().split(/\s+/).length
  if (words > MAX_SUMMARY_WORDS) fail(`its summary has ${words} words; ${MAX_SUMMARY_WORDS} are the most`)
  // Types say so too; a file that got past them must not load as harmless.
  if ((tool as { effect?: unknown }).effect === undefined) fail('it declares no effect')
  if (tool.long && tool.effect.kind === 'read') fail('only an operation can be a task; a read is none')
  const unknownScope = tool.scopes.find((scope) => !SCOPES.includes(scope))
  if (unknownScope) fail(`there is no scope ${unknownScope}`)
  if ((tool.secret === undefined) !== (tool.issueSecret === undefined)) fail('secret and issueSecret come together')

  const fields = fieldsOf(tool)
  const named = [...Object.keys(tool.resources ?? {}), ...(tool.keep ?? []), tool.confirms?.field, tool.previews?.field]
  const missing = named.find((field) => field !== undefined && !fields.includes(field))
  if (missing !== undefined) fail(`its input has no field ${missing}`)
  const unnamed = tool.readsOnly?.find((field) => !Object.hasOwn(tool.resources ?? {}, field))
  if (unnamed !== undefined) fail(`${unnamed} is not among its resources`)

  const { confirms, previews } = tool
  if (confirms) {
    if (tool.effect.kind !== 'exact' && tool.effect.kind !== 'recoverable') fail('a destructive tool must be undoable')
    const preview = byName.get(confirms.previewTool)
    if (preview?.previews?.tool !== tool.name) fail(`${confirms.previewTool} does not preview it`)
    if (!Object.hasOwn(tool.resources ?? {}, confirms.field)) fail(`${confirms.field} is not among its resources`)
    if (preview && [...fieldsOf(preview)].sort().join() !== [...fields].sort().join())
      fail(`${preview.name} must take the same input, because the preview stands for it`)
  }
  if (previews) {
    if (tool.effect.kind !== 'read') fail('a preview changes nothing')
    if (byName.get(previews.tool)?.confirms?.previewTool !== tool.name) fail(`${previews.tool} does not demand it`)
    if (!Object.hasOwn(tool.resources ?? {}, previews.field)) fail(`${previews.field} is not among its resources`)
  }
  if (tool.name.startsWith('delete_') && !confirms) fail('a delete needs a preview')
}

const fieldsOf = (tool: Tool): string[] =>
  Object.keys((toSchema(tool, tool.input, 'input')['properties'] as Schema) ?? {})

const riskOf = (tool: Tool): Risk =>
  tool.risk ?? (tool.effect.kind === 'read' ? 'read' : tool.confirms ? 'destructive' : 'write')

function describe(tool: Tool): CatalogTool {
  const isUndoable = tool.effect.kind === 'exact' || tool.effect.kind === 'recoverable'
  const isChange = tool.effect.kind !== 'read'
  return CatalogTool.parse({
    name: tool.name,
    title: toTitle(tool.name),
    summary: tool.summary,
    domain: tool.domain,
    scopes: [...tool.scopes],
    risk: riskOf(tool),
    effect: tool.effect.kind,
    limit_class: tool.limitClass ?? 'standard',
    resources: Object.entries(tool.resources ?? {}).map(([field, kind]) => ({ field, kind })),
    previews: tool.previews?.tool ?? null,
    confirms: tool.confirms ? { preview_tool: tool.confirms.previewTool, field: tool.confirms.field } : null,
    obligations: tool.touchesCritical ? ['critical_dns'] : [],
    record: Object.fromEntries((tool.keep ?? []).map((field) => [field, 'keep'])),
    secret: tool.secret !== undefined,
    ...(tool.long ? { long: true } : {}),
    input_schema: withFields(toSchema(tool, tool.input, 'input'), {
      ...(isChange ? { optional: IDEMPOTENCY } : {}),
      ...(tool.confirms ? { required: CONFIRMATION } : {}),
    }),
    output_schema: withFields(toSchema(tool, tool.output, 'output'), {
      optional: {
        ...(isUndoable ? UNDO : {}),
        ...(tool.secret ? { secret: toSchema(tool, tool.secret, 'output') } : {}),
        ...(isChange ? REPLAY : {}),
      },
      ...(tool.previews ? { required: PREVIEW } : {}),
    }),
  })
}

const text = (description: string, more: Schema = {}): Schema => ({ type: 'string', description, ...more })
const IDEMPOTENCY: Schema = {
  idempotency_key: text('UUID v4. The same key and input again: the stored answer, nothing twice.', { format: 'uuid' }),
}
const CONFIRMATION: Schema = {
  preview_token: text('From the preview tool, at most 10 minutes old.'),
  confirm: { type: 'boolean', description: 'True, once the user has seen the impact and said yes.' },
}
const PREVIEW: Schema = {
  preview_token: text('Works once, for this resource as it is now.'),
  expires_at: text('Until when.', { format: 'date-time' }),
  instruction: text('What to do before using it.'),
}
const UNDO: Schema = {
  undo: {
    type: 'object',
    description: 'Call undo with this operation_id until undo_until.',
    properties: { operation_id: text('', { format: 'uuid' }), undo_until: text('', { format: 'date-time' }) },
    required: ['operation_id', 'undo_until'],
    additionalProperties: false,
  },
}
const REPLAY: Schema = {
  idempotent_replay: { type: 'boolean', description: 'True: this is the stored answer of an earlier call.' },
}

function toSchema(tool: Tool, schema: z.ZodType, io: 'input' | 'output'): Schema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io }) as Schema
  if (json['type'] !== 'object') throw new ConfigError(`tool ${tool.name}`, `its ${io} is not an object`)
  const problem = findUnportable(json, io)
  if (problem) throw new ConfigError(`tool ${tool.name}`, problem)
  return json
}

function withFields(schema: Schema, added: { optional?: Schema; required?: Schema }): Schema {
  const required = [...((schema['required'] as string[]) ?? []), ...Object.keys(added.required ?? {})]
  return {
    ...schema,
    properties: { ...(schema['properties'] as Schema), ...added.required, ...added.optional },
    ...(required.length > 0 ? { required } : {}),
  }
}

/** Constructs that clients in use reject or misread. */
function findUnportable(value: Json, path: string): string | null {
  if (value === null || typeof value !== 'object') return null
  if (Array.isArray(value)) return first(value.map((item, index) => findUnportable(item, `${path}[${index}]`)))
  const schema = value as { readonly [key: string]: Json }
  if ('const' in schema && typeof schema['const'] !== 'string') return `${path}: a const that is not a string`
  if (Array.isArray(schema['enum']) && schema['enum'].some((item) => typeof item !== 'string'))
    return `${path}: an enum that is not of strings`
  return first(Object.entries(schema).map(([key, item]) => findUnportable(item, `${path}.${key}`)))
}
const first = (problems: readonly (string | null)[]): string | null =>
  problems.find((problem) => problem !== null) ?? null

const UPPER: ReadonlySet<string> = new Set(['dns'])
const toTitle = (name: string): string => {
  const words = name
    .split('_')
    .map((word) => (UPPER.has(word) ? word.toUpperCase() : word))
    .join(' ')
  return words[0]!.toUpperCase() + words.slice(1)
}
