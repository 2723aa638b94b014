// An operation as the journal has it: where it may stand, and its row.
import type { SealedPermit } from '@bailiwick/contracts/permit'
import type { Denial } from '@bailiwick/contracts/problem'
import type { Json } from '@bailiwick/kernel/canonical'
import type { AccountId, OperationId, ResourceId } from '@bailiwick/kernel/ids'
import type { RestorePointName } from './define-tool.ts'

export type State =
  | 'accepted'
  | 'intended'
  | 'prepared'
  | 'snapshotted'
  | 'acting'
  | 'committed'
  | 'recorded'
  | 'refused'
  | 'closed'
  | 'unknown'

export type Operation = {
  readonly id: OperationId
  readonly account: AccountId
  readonly sealed: SealedPermit
  readonly tool: string
  readonly scopes: readonly string[]
  readonly input: Json
  readonly code: string | null
  readonly leaseHolder: string
  readonly leaseEpoch: number
  readonly leaseUntil: Date | null
  /** When it first came to `acting`, and how often it was taken up again there. */
  readonly actingAt: Date | null
  readonly attempts: number
  readonly newResourceId: ResourceId
  readonly deedId: OperationId | null
  readonly rootId: OperationId | null
  readonly resources: readonly ResourceId[]
  readonly before: Json
  readonly restorePoints: readonly RestorePointName[]
  readonly output: { readonly [key: string]: Json } | null
  readonly after: Json
  readonly denial: Denial | null
  readonly undoUntil: Date
  readonly undoneBy: OperationId | null
  readonly startedAt: Date
  readonly finishedAt: Date | null
  readonly outcomeIndex: number | null
}

declare const reached: unique symbol
/** An operation that stands in state `S`, held by this steward's lease when it is unfinished. */
export type Stage<S extends State = State> = S extends State
  ? Operation & { readonly state: S; readonly [reached]: true }
  : never
/** Nothing has been done in the world yet. */
export type Harmless = Stage<'accepted' | 'intended' | 'prepared' | 'snapshotted'>

/** What a move may write. */
export type Columns = Partial<
  Pick<
    Operation,
    | 'resources'
    | 'before'
    | 'restorePoints'
    | 'output'
    | 'after'
    | 'denial'
    | 'code'
    | 'leaseUntil'
    | 'actingAt'
    | 'finishedAt'
    | 'outcomeIndex'
  >
>
export const COLUMN: { readonly [C in keyof Required<Columns>]: string } = {
  resources: 'resources',
  before: 'before',
  restorePoints: 'restore_points',
  output: 'output',
  after: 'after',
  denial: 'denial',
  code: 'code',
  leaseUntil: 'lease_until',
  actingAt: 'acting_at',
  finishedAt: 'finished_at',
  outcomeIndex: 'outcome_index',
}
const JSON_COLUMNS: ReadonlySet<keyof Columns> = new Set(['before', 'restorePoints', 'output', 'after', 'denial'])
export const toColumn = (name: keyof Columns, value: unknown): unknown =>
  JSON_COLUMNS.has(name) ? JSON.stringify(value) : value

export type Row = {
  id: OperationId
  account_id: AccountId
  permit: SealedPermit
  tool: string
  scopes: string[]
  input: Json
  state: State
  code: string | null
  lease_holder: string
  lease_epoch: number
  lease_until: Date | null
  acting_at: Date | null
  attempts: number
  new_resource_id: ResourceId
  deed_id: OperationId | null
  root_id: OperationId | null
  resources: string
  before: Json
  restore_points: RestorePointName[] | null
  output: { [key: string]: Json } | null
  after: Json
  denial: Denial | null
  undo_until: Date
  undone_by: OperationId | null
  started_at: Date
  finished_at: Date | null
  outcome_index: string | null
}

/** `uuid[]` comes as text from the driver: `{a,b}`. */
const toIds = (text: string | readonly string[]): ResourceId[] =>
  (typeof text === 'string' ? text.slice(1, -1).split(',').filter(Boolean) : text) as ResourceId[]

/** For the journal alone: whoever makes a stage says that the operation stands there. */
export const toStage = (row: Row): Stage =>
  ({
    id: row.id,
    account: row.account_id,
    sealed: row.permit,
    tool: row.tool,
    scopes: row.scopes,
    input: row.input,
    state: row.state,
    code: row.code,
    leaseHolder: row.lease_holder,
    leaseEpoch: row.lease_epoch,
    leaseUntil: row.lease_until,
    actingAt: row.acting_at,
    attempts: row.attempts,
    newResourceId: row.new_resource_id,
    deedId: row.deed_id,
    rootId: row.root_id,
    resources: toIds(row.resources),
    before: row.before,
    restorePoints: row.restore_points ?? [],
    output: row.output,
    after: row.after,
    denial: row.denial,
    undoUntil: row.undo_until,
    undoneBy: row.undone_by,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    outcomeIndex: row.outcome_index === null ? null : Number(row.outcome_index),
  }) as unknown as Stage
