// Operations as their account may see them: one by id, and the trash. Both filtered by what the token may read.
import { scopeDomain } from '@bailiwick/contracts/scopes'
import type { Permit } from '@bailiwick/contracts/permit'
import { OperationId } from '@bailiwick/kernel/ids'
import type { OperationView, Page, ToolContext } from './context.ts'
import type { Deps } from './deps.ts'
import type { Stage, State } from './stage.ts'
import { readCursor, toPage } from './resources.ts'

const PROGRESS: Readonly<Record<State, number>> = {
  accepted: 0,
  intended: 0.1,
  prepared: 0.2,
  snapshotted: 0.4,
  acting: 0.5,
  committed: 0.9,
  recorded: 1,
  refused: 1,
  closed: 1,
  unknown: 0.5,
}

const mayRead = (permit: Permit, scopes: readonly string[]): boolean =>
  scopes.length > 0 && scopes.every((scope) => permit.scopes.includes(`${scopeDomain(scope)}:read`))

/** Null for an absent, a foreign and an unreadable operation alike. */
export async function findReadable(deps: Deps, permit: Permit, id: string): Promise<Stage | null> {
  if (!OperationId.safeParse(id).success) return null
  const found = await deps.journal.read(permit.account, id)
  return found && mayRead(permit, found.scopes) ? found : null
}

export async function viewOperation(deps: Deps, permit: Permit, id: string): Promise<OperationView | null> {
  const found = await findReadable(deps, permit, id)
  if (!found) return null
  const effect = deps.catalog.tools.get(found.tool)?.effect
  const undoUntil = effect === 'exact' || effect === 'recoverable' ? found.undoUntil.toISOString() : null
  return {
    operation_id: found.id,
    tool: found.tool,
    state: viewState(found),
    started_at: found.startedAt.toISOString(),
    finished_at: found.finishedAt?.toISOString() ?? null,
    undo_until: undoUntil,
    undone_by: found.undoneBy,
    code: found.code,
    detail: found.denial?.detail ?? null,
    progress: PROGRESS[found.state],
    answer: found.state === 'recorded' ? answerOf(found, undoUntil) : null,
    receipt: found.outcomeIndex,
    scopes: found.scopes,
  }
}

/** As the call itself answered (answer.ts), but for the secret, which is made for each reply and never kept. */
const answerOf = (found: Stage, undoUntil: string | null): OperationView['answer'] => ({
  ...found.output,
  ...(undoUntil === null ? {} : { undo: { operation_id: found.id, undo_until: undoUntil } }),
})

function viewState(found: Stage): OperationView['state'] {
  if (found.state === 'unknown') return 'unknown'
  if (found.state === 'refused' || found.state === 'closed') return 'refused'
  if (found.state === 'recorded') return 'done'
  // Nobody drives it: it was refused, and would go on when its caller comes again.
  return found.leaseUntil === null ? 'refused' : 'running'
}

type TrashRow = {
  operation_id: string
  tool: string
  kind: string
  resource_id: string
  name: string
  deleted_at: Date
  undo_until: Date
  scopes: string[]
}
type Trash = Awaited<ReturnType<ToolContext['journal']['trash']>>

export async function listTrash(
  deps: Deps,
  permit: Permit,
  { limit, cursor }: { limit: number; cursor: string | null },
): Promise<Trash> {
  const [at, id] = cursor === null ? [null, null] : readTrashCursor(cursor)
  const domains = permit.scopes.filter((scope) => scope.endsWith(':read')).map(scopeDomain)
  const rows = await deps.database.query<TrashRow>('SELECT * FROM steward.list_trash($1, $2, $3, $4, $5, $6)', [
    permit.account,
    new Date(deps.clock.now()),
    domains,
    at,
    id,
    limit + 1,
  ])
  const page: Page<Trash['items'][number]> = toPage(
    rows,
    limit,
    (row) => ({ ...row, deleted_at: row.deleted_at.toISOString(), undo_until: row.undo_until.toISOString() }),
    (row) => `${row.deleted_at.getTime()} ${row.operation_id}`,
  )
  return page
}

function readTrashCursor(cursor: string): [Date, string] {
  const [at, id] = readCursor(cursor, (text) => /^\d{1,14} [0-9a-f-]{36}$/.test(text)).split(' ')
  return [new Date(Number(at)), id!]
}
