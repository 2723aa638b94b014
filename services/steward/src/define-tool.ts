// What a tool is. One file declares one tool; the pipeline (execute.ts) does everything else: checks, journal, log, undo.
import type { z } from 'zod'
import type { Json } from '@bailiwick/kernel/canonical'
import type { ToolContext } from './context.ts'

/** The deed that an undo works against. */
export type Deed<Output> = {
  readonly operationId: string
  readonly newResourceId: string
  readonly output: Output | null
}

// Callbacks are methods, not function properties, so that a list of differently typed tools is a list of `Tool`; the pipeline
// is the only caller and hands each exactly what its own schema parsed.
type Restorable<Input, Output, State extends Json> = {
  /**
   * The touched part of the world as it is now, whole enough to bring it back and to compare it. Taken before the change
   * (output is null), again after it, and again when somebody undoes: different from then -> UNDO_CONFLICT.
   */
  capture(context: ToolContext, input: Input, output: Output | null): Promise<State>
  /** Brings the captured part back to `to`. Undo and undo of undo are this one function. */
  undo(context: ToolContext, input: Input, to: State, deed: Deed<Output>): Promise<void>
  /** On what makes, or brings back, a whole thing: its undo, or the undo of its undo, takes the thing away. */
  removal?: {
    /** What such an undo becomes once the thing has been used. */
    readonly deleteTool: string
    isRemoval(to: State): boolean
    /** As a delete's own: each already read back and verified. */
    snapshot(context: ToolContext, input: Input, deed: Deed<Output>): Promise<readonly RestorePointName[]>
  }
}

export type Effect<Input, Output, State extends Json> =
  | { readonly kind: 'read' }
  /** Adds or repeats without harm. */
  | { readonly kind: 'kept' }
  /** Pre-image kept, inverse proven. */
  | ({ readonly kind: 'exact' } & Restorable<Input, Output, State>)
  /** Snapshot verified in the vault before anything changes; quarantine instead of destruction. */
  | ({
      readonly kind: 'recoverable'
      /** Restore points, each already read back and verified. A failure is SNAPSHOT_FAILED and nothing was done. */
      snapshot(context: ToolContext, input: Input, before: State): Promise<readonly RestorePointName[]>
    } & Restorable<Input, Output, State>)

export type RestorePointName = { kind: string; name: string; sha256: string; size_bytes: number }

export type Tool<
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  S extends z.ZodType = z.ZodType,
  State extends Json = Json,
> = {
  readonly name: string
  /** At most 40 words: what it does, needs, returns. */
  readonly summary: string
  readonly domain: string
  /** All of them are needed. */
  readonly scopes: readonly string[]
  readonly limitClass?: 'standard' | 'install'
  /** May take longer than a client likes to wait (dumps, restores): clients of the Tasks extension get a task. */
  readonly long?: true
  /** Only where effect and `confirms` do not already say it (confirm_action). */
  readonly risk?: 'destructive'
  /** Strict object. `idempotency_key` (changes), `preview_token` and `confirm` (destructive) are added by the catalog. */
  readonly input: I
  /** Strict object. `undo`, `secret` and `idempotent_replay` are added by the catalog. */
  readonly output: O
  /** Fields that the log keeps readable; every other is hashed. */
  readonly keep?: readonly string[]
  /** Input fields that name resources, and the kind of each: they must exist, be active and be of this account, else NOT_FOUND. */
  readonly resources?: Readonly<Record<string, string>>
  /** Those of `resources` that it only looks at: not locked against others, so that a restore is possible whatever else hangs. */
  readonly readsOnly?: readonly string[]
  /** Also accepts quarantined resources in `resources`. */
  readonly acceptsQuarantined?: boolean
  readonly effect: Effect<z.output<I>, z.output<O>, State>
  /** Makes it a destructive tool: risk `destructive`, needs `preview_token` bound to `field`. */
  readonly confirms?: { readonly previewTool: string; readonly field: string }
  /** Makes it the preview of that destructive tool. The handler returns `{impact}`; the pipeline adds preview_token and expires_at. */
  readonly previews?: { readonly tool: string; readonly field: string }
  /** Existing critical records (MX, SPF, DKIM, DMARC, NS, CAA, DS) that the change from `present` to `to` would touch. */
  touchesCritical?(
    context: ToolContext,
    input: z.output<I>,
    present: State,
    to: State | null,
  ): Promise<readonly string[]>
  /**
   * Checks before anything is captured; refuses with `context.refuse`. Names to reserve against races come back as
   * `<kind>:<name>`; once they are held it is asked again, because the name may have been taken in between.
   */
  prepare?(context: ToolContext, input: z.output<I>): Promise<{ reserve?: readonly string[] } | void>
  handle(context: ToolContext, input: z.output<I>): Promise<z.input<O>>
  /** A fresh one-time secret for this reply alone, at first answer and at each replay. Never stored. */
  readonly secret?: S
  issueSecret?(context: ToolContext, input: z.output<I>, output: z.output<O>): Promise<z.input<S>>
}

/** Declares a tool, with its types inferred from its schemas. */
export const defineTool = <
  I extends z.ZodType,
  O extends z.ZodType,
  S extends z.ZodType = z.ZodType,
  State extends Json = Json,
>(
  tool: Tool<I, O, S, State>,
): Tool<I, O, S, State> => tool

export const read: { readonly kind: 'read' } = { kind: 'read' }
export const kept: { readonly kind: 'kept' } = { kind: 'kept' }
/** Pre-image kept, inverse proven. */
export const exact = <Input, Output, State extends Json>(effect: Restorable<Input, Output, State>) => ({
  kind: 'exact' as const,
  ...effect,
})
/** Snapshot first, quarantine, never destroy. */
export const recoverable = <Input, Output, State extends Json>(
  effect: Restorable<Input, Output, State> & {
    snapshot(context: ToolContext, input: Input, before: State): Promise<readonly RestorePointName[]>
  },
) => ({ kind: 'recoverable' as const, ...effect })
