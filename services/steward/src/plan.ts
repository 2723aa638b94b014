// What one operation will do at each state of the journal. A tool's call is one kind of plan, an undo (undo.ts) the other; the
// journal drives both through the same states.
import { deny } from '@bailiwick/contracts/problem'
import type { Permit } from '@bailiwick/contracts/permit'
import type { Json } from '@bailiwick/kernel/canonical'
import { ResourceId } from '@bailiwick/kernel/ids'
import { err, ok, type Result } from '@bailiwick/kernel/result'
import type { Denial } from '@bailiwick/contracts/problem'
import { Refused, type Resource, type ToolContext } from './context.ts'
import type { RestorePointName, Tool } from './define-tool.ts'

export type Output = { readonly [key: string]: Json }

export type Plan = {
  /** Existing resources that it touches. */
  readonly resources: readonly string[]
  /** Those of them that it only looks at: not locked, and their versions do not move. */
  readonly readsOnly: readonly string[]
  /** Locks beside those of the resources. */
  readonly locks: readonly string[]
  /** Refuses unless all of `resources` are there and as they must be. */
  admit(loaded: ReadonlyMap<string, Resource>): void
  prepare(context: ToolContext): Promise<readonly string[]>
  /** The touched part of the world; null where nothing is kept to go back to. */
  capture(context: ToolContext, output: Output | null): Promise<Json>
  /** Last look at the captured present before the go-ahead is asked for. */
  examine(context: ToolContext, present: Json): Promise<void>
  findCritical(context: ToolContext, present: Json): Promise<readonly string[]>
  snapshot(context: ToolContext, before: Json): Promise<readonly RestorePointName[]>
  act(context: ToolContext): Promise<Output>
  issueSecret: ((context: ToolContext, output: Output) => Promise<Output>) | null
}

/** Parses as the tool's own strict schema says; the caller learns where it does not fit, and nothing of what it sent comes back. */
export function parseInput(tool: Tool, input: unknown): Result<unknown, Denial> {
  const parsed = tool.input.safeParse(input)
  if (parsed.success) return ok(parsed.data)
  const errors = parsed.error.issues
    .slice(0, 20)
    .map(({ path, message }) => ({ path: path.join('.').slice(0, 200), message: message.slice(0, 300) }))
  return err(deny('INPUT_INVALID', { extra: { errors } }))
}

/** The ids that the input names, by field: `database_id` -> id. Absent optional fields name nothing. */
export function namedResources(tool: Tool, input: unknown): { field: string; id: string; kind: string }[] {
  const fields = input as { readonly [field: string]: unknown }
  return Object.entries(tool.resources ?? {}).flatMap(([field, kind]) => {
    const value = fields[field]
    return typeof value === 'string' ? [{ field, id: value, kind }] : []
  })
}

/** An absent id, a foreign one, one of another kind and one in the trash get the same bytes. */
export function requireResources(tool: Tool, input: unknown, loaded: ReadonlyMap<string, Resource>): void {
  for (const { id, kind } of namedResources(tool, input)) {
    const resource = loaded.get(id)
    const fits = resource?.kind === kind && (resource.state === 'active' || tool.acceptsQuarantined === true)
    if (!fits) throw new Refused(deny('NOT_FOUND'))
  }
}

/** `input` has been parsed by the tool's schema. */
export function planTool(tool: Tool, input: unknown): Plan {
  const { effect } = tool
  const isRestorable = effect.kind === 'exact' || effect.kind === 'recoverable'
  const named = namedResources(tool, input)
  return {
    resources: named.map(({ id }) => id),
    readsOnly: named.filter(({ field }) => tool.readsOnly?.includes(field)).map(({ id }) => id),
    locks: [],
    admit: (loaded) => requireResources(tool, input, loaded),
    prepare: async (context) => (await tool.prepare?.(context, input))?.reserve ?? [],
    capture: async (context, output) => (isRestorable ? effect.capture(context, input, output) : null),
    examine: async () => undefined,
    findCritical: async (context, present) => (await tool.touchesCritical?.(context, input, present, null)) ?? [],
    snapshot: async (context, before) => (effect.kind === 'recoverable' ? effect.snapshot(context, input, before) : []),
    act: async (context) => tool.output.parse(await tool.handle(context, input)) as Output,
    issueSecret: tool.issueSecret
      ? async (context, output) => tool.secret!.parse(await tool.issueSecret!(context, input, output)) as Output
      : null,
  }
}

/** Checks what a preview bound against what is there now. */
export function requireBound(permit: Permit, loaded: ReadonlyMap<string, Resource>): void {
  if (!permit.bound) return
  if (loaded.get(permit.bound.resource_id)?.version !== permit.bound.version) throw new Refused(deny('PREVIEW_STALE'))
}

export const toResourceIds = (ids: Iterable<string>): ResourceId[] =>
  [...new Set(ids)].map((id) => ResourceId.parse(id))
