// Undo: the present is compared with what the deed left; equal -> the inverse, as an operation of its own, whose own undo is the
// same again. Changed since -> UNDO_CONFLICT: nothing is ever overwritten silently.
import type { Permit, SealedPermit } from '@bailiwick/contracts/permit'
import { deny, type Denial } from '@bailiwick/contracts/problem'
import { canonical, type Json } from '@bailiwick/kernel/canonical'
import { ResourceId } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import type { Binding } from './binding.ts'
import { Refused, type ToolContext } from './context.ts'
import type { Effect, Tool } from './define-tool.ts'
import type { Deps } from './deps.ts'
import type { Stage } from './stage.ts'
import { findReadable } from './operations.ts'
import { loadResources } from './resources.ts'
import type { Plan } from './plan.ts'
import { untrusted, untrustedJson } from './untrusted.ts'

type Inverse = Extract<Effect<unknown, unknown, Json>, { kind: 'exact' | 'recoverable' }>

/** What an undo works against. `root` is the tool's call: the deed itself, or where a chain of undos began. */
export type Reversal = { readonly deed: Stage; readonly root: Stage; readonly tool: Tool; readonly effect: Inverse }

/** Null: no such operation in this account. */
export async function findReversal(deps: Deps, account: Stage['account'], deedId: string): Promise<Reversal | null> {
  const deed = await deps.journal.read(account, deedId)
  if (!deed) return null
  const root = deed.rootId ? await deps.journal.read(account, deed.rootId) : deed
  const tool = root && deps.tools.get(root.tool)
  if (!root || !tool) return null
  const { effect } = tool
  // A deed that keeps nothing to go back to: there is an operation, and nothing to undo.
  if (effect.kind !== 'exact' && effect.kind !== 'recoverable') throw new Refused(deny('UNDO_UNAVAILABLE'))
  return { deed, root, tool, effect }
}

/** Null: it can be undone now, as far as the journal knows. */
export function reversalRefusal({ deed }: Reversal, now: number): Denial | null {
  if (deed.state !== 'recorded' && deed.state !== 'committed')
    return deny('UNDO_UNAVAILABLE', { why: `deed is ${deed.state}` })
  if (deed.undoneBy) return deny('UNDO_UNAVAILABLE', { extra: { undone_by: deed.undoneBy } })
  if (deed.undoUntil.getTime() <= now) return deny('UNDO_EXPIRED')
  return null
}

/** `deps` is asked again under the lock: two undos of one deed cannot both find it standing. */
export function planUndo(deps: Deps, reversal: Reversal): Plan {
  const { deed, root, tool, effect } = reversal
  const input = tool.input.parse(root.input)
  const deedOf = { newResourceId: root.newResourceId, output: root.output }
  const capture = (context: ToolContext): Promise<Json> => effect.capture(context, input, root.output)
  return {
    resources: deed.resources,
    readsOnly: [],
    locks: [`deed:${deed.id}`],
    admit(loaded) {
      if (!deed.resources.every((id) => loaded.has(id))) throw new Fault('INTERNAL', 'a touched resource is gone')
    },
    async prepare(context) {
      const fresh = await deps.journal.read(deed.account, deed.id)
      const refusal = reversalRefusal({ ...reversal, deed: fresh ?? deed }, context.now)
      if (refusal) throw new Refused(refusal)
      // A name that comes back must not be taken while it does.
      const touched = await Promise.all(deed.resources.map((id) => context.resources.get(id)))
      return touched.filter(({ state }) => state === 'quarantined').map(({ kind, name }) => `${kind}:${name}`)
    },
    capture,
    async examine(context, present) {
      const refusal = removalRefusal(reversal, context.permit) ?? conflictDenial(reversal, compare(deed.after, present))
      if (refusal) throw new Refused(refusal)
    },
    findCritical: async (context, present) =>
      (await tool.touchesCritical?.(context, input, present, deed.before)) ?? [],
    // What it replaces is in its own capture; a whole thing that it takes away gets a restore point, as by any other deletion.
    snapshot: async (context) =>
      isRemoval(reversal) ? effect.removal!.snapshot(context, input, { ...deedOf, operationId: deed.id }) : [],
    async act(context) {
      await effect.undo(context, input, deed.before, { ...deedOf, operationId: deed.id })
      return { undone: deed.id, tool: deed.tool }
    },
    issueSecret: null,
  }
}

/** It would take a whole thing away: that was not there before the deed. */
const isRemoval = ({ deed, effect }: Reversal): boolean => effect.removal?.isRemoval(deed.before) === true

/**
 * Taking back one's own create is no deletion while nobody used what it made. Everything later is one: without this, whoever may
 * write could delete what an admin's deletion, undone, brought back.
 */
function removalRefusal(reversal: Reversal, { scopes }: Permit): Denial | null {
  if (!isRemoval(reversal) || reversal.deed.deedId === null) return null
  const needed = `${reversal.tool.domain}:delete`
  return scopes.includes(needed) ? null : deny('INSUFFICIENT_SCOPE', { extra: { required_scopes: [needed] } })
}

function conflictDenial(reversal: Reversal, conflicts: Json[]): Denial | null {
  if (conflicts.length === 0) return null
  if (isRemoval(reversal))
    return deny('CONFIRMATION_REQUIRED', {
      detail: 'What it made or brought back has been used since: undoing it is a deletion.',
      next: `Call preview_${reversal.effect.removal!.deleteTool}, show the user its impact, wait for a yes.`,
      extra: { conflicts: conflicts },
    })
  return deny('UNDO_CONFLICT', { extra: { conflicts: conflicts } })
}

/** The comparison alone, for an operation that the token may read; nothing changes. */
export async function previewUndo(
  deps: Deps,
  bind: (binding: Binding) => ToolContext,
  sealed: SealedPermit,
  id: string,
): Promise<{ possible: boolean; would: string; conflicts: Json[]; undo_until: string }> {
  const { permit } = sealed
  const readable = await findReadable(deps, permit, id)
  const reversal = readable && (await findReversal(deps, permit.account, readable.id))
  if (!reversal) throw new Refused(deny('NOT_FOUND'))
  const { deed, root, tool, effect } = reversal
  const undo_until = deed.undoUntil.toISOString()
  const refusal = reversalRefusal(reversal, deps.clock.now())
  if (refusal) throw new Refused(refusal)
  const context = bind({
    sealed,
    operationId: null,
    newResourceId: ResourceId.parse(root.newResourceId),
    loaded: await loadResources(deps.database, permit.account, deed.resources),
    mayChange: false,
    changes: null,
  })
  const conflicts = compare(deed.after, await effect.capture(context, tool.input.parse(root.input), root.output))
  const what = deed.deedId ? `what the undo of ${root.tool} brought back` : `what ${root.tool} did`
  const lacking = removalRefusal(reversal, permit)
  if (lacking)
    return { possible: false, would: `Refused: it is a deletion; needs ${tool.domain}:delete.`, conflicts, undo_until }
  if (conflicts.length === 0) return { possible: true, would: `Reverses ${what}.`, conflicts, undo_until }
  const would = isRemoval(reversal)
    ? `Refused: ${deed.deedId ? what : `what ${root.tool} made`} has been used since. Removing it is a deletion: preview_${effect.removal!.deleteTool}.`
    : `Refused: changed since ${root.tool}. Undo never overwrites.`
  return { possible: false, would, conflicts, undo_until }
}

const MAX_CONFLICTS = 50

/** Where `present` differs from what the deed `left`: path and both values. Empty: canonically equal. */
export function compare(left: Json, present: Json): Json[] {
  const conflicts: Json[] = []
  const walk = (path: string, a: Json | undefined, b: Json | undefined): void => {
    if (conflicts.length >= MAX_CONFLICTS || (a !== undefined && b !== undefined && canonical(a) === canonical(b)))
      return
    const isBranch = (value: Json | undefined): value is { [key: string]: Json } =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
    const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value)
    if (isBranch(a) && isBranch(b)) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
        if (a[key] !== undefined || b[key] !== undefined) walk(path ? `${path}.${key}` : key, a[key], b[key])
      }
    } else if (isList(a) && isList(b)) {
      for (let index = 0; index < Math.max(a.length, b.length); index += 1)
        walk(`${path}[${index}]`, a[index], b[index])
    } else conflicts.push({ path, left: brief(a), now: brief(b) })
  }
  walk('', left, present)
  return conflicts
}

function brief(value: Json | undefined): Json {
  if (value === undefined) return null
  const text = canonical(value)
  return text.length <= 300 ? untrustedJson(value) : untrusted(text, { maxChars: 300 })
}
