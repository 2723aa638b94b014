// The journal of operations (call.md §3): where each change stands, durable before it goes on. A stage is made here alone, by the
// write that reached it; every write names the lease it was made under, so a steward that lost its lease changes nothing.
import { PERMIT_ARRIVAL_MS, type SealedPermit } from '@bailiwick/contracts/permit'
import type { Denial } from '@bailiwick/contracts/problem'
import type { Json } from '@bailiwick/kernel/canonical'
import type { Clock } from '@bailiwick/kernel/clock'
import type { AccountId, OperationId, ResourceId } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import type { Database, Query } from './database.ts'
import type { RestorePointName } from './define-tool.ts'
import {
  COLUMN,
  toColumn,
  toStage,
  type Columns,
  type Harmless,
  type Operation,
  type Row,
  type Stage,
  type State,
} from './stage.ts'

export class LeaseLost extends Fault {
  constructor(id: string) {
    super('IDEMPOTENCY_IN_PROGRESS', `another steward holds operation ${id}`)
  }
}

const BUSY = Symbol('busy')
const LONGEST_PAUSE_MS = 60_000

export type Opening = Pick<
  Operation,
  'sealed' | 'scopes' | 'tool' | 'input' | 'newResourceId' | 'deedId' | 'rootId' | 'undoUntil'
> & { readonly destructive: boolean }

export type Arrival =
  /** This steward drives it now. `first`: the row was made by this arrival. */
  | { readonly kind: 'taken'; readonly stage: Stage; readonly first: boolean }
  | { readonly kind: 'running'; readonly retryAfterS: number }
  | { readonly kind: 'finished'; readonly stage: Stage<'recorded' | 'closed' | 'unknown'> }
  /** The nonce opened another operation, or the id is of another call. */
  | { readonly kind: 'foreign' }

export type Journal = ReturnType<typeof createJournal>

/** `holder` is this process's own name; `leaseMs` how long a silent steward keeps an operation. */
export function createJournal(options: { database: Database; clock: Clock; holder: string; leaseMs?: number }) {
  const { database, clock, holder, leaseMs = 5_000 } = options
  const leaseEnd = (): Date => new Date(clock.now() + leaseMs)
  /** None the first time; then the lease's length, doubled with each attempt that failed. */
  const pauseMs = (attempts: number): number =>
    attempts === 0 ? 0 : Math.min(leaseMs * 2 ** (attempts - 1), LONGEST_PAUSE_MS)

  /** Moves `at` on, under its lease and from exactly its state; otherwise nothing and LeaseLost. */
  async function write<S extends State>(query: Query, at: Stage, to: S, columns: Columns): Promise<Stage<S>> {
    const names = Object.keys(columns) as (keyof Columns)[]
    const sets = names.map((name, index) => `, ${COLUMN[name]} = $${index + 6}`).join('')
    const rows = await query(
      `UPDATE steward.operations SET state = $5${sets}
       WHERE id = $1 AND lease_holder = $2 AND lease_epoch = $3 AND state = $4 RETURNING id`,
      [at.id, holder, at.leaseEpoch, at.state, to, ...names.map((name) => toColumn(name, columns[name]))],
    )
    if (rows.length === 0) throw new LeaseLost(at.id)
    return { ...at, ...columns, state: to } as Stage<S>
  }
  const move = <S extends State>(at: Stage, to: S, columns: Columns = {}): Promise<Stage<S>> =>
    database.asAccount(at.account, (query) => write(query, at, to, columns))

  /** Holds the row against a steward that lost its lease until the transaction ends. */
  async function fence(query: Query, at: Stage): Promise<void> {
    const rows = await query(
      'SELECT 1 FROM steward.operations WHERE id = $1 AND lease_holder = $2 AND lease_epoch = $3 AND state = $4 FOR UPDATE',
      [at.id, holder, at.leaseEpoch, at.state],
    )
    if (rows.length === 0) throw new LeaseLost(at.id)
  }
  const unlock = (query: Query, at: Stage): Promise<unknown> =>
    query('DELETE FROM steward.locks WHERE operation_id = $1', [at.id])

  async function take(
    query: Query,
    account: AccountId,
    id: OperationId,
    sealed: SealedPermit | null,
  ): Promise<Stage | null> {
    const [row] = await query<Row>(
      `UPDATE steward.operations
         SET lease_holder = $3, lease_epoch = lease_epoch + 1, lease_until = $4, permit = coalesce($5::json, permit),
           attempts = attempts + CASE state WHEN 'acting' THEN 1 ELSE 0 END
       WHERE id = $1 AND account_id = $2 AND state NOT IN ('recorded', 'closed', 'unknown')
         AND (lease_until IS NULL OR lease_until <= $6) RETURNING *`,
      [id, account, holder, leaseEnd(), sealed && JSON.stringify(sealed), new Date(clock.now())],
    )
    return row ? toStage(row) : null
  }

  return {
    leaseMs,

    /** Opens the operation, or finds where it stands. Two arrivals at once: one takes it, the other sees it running. */
    accept: (opening: Opening): Promise<Arrival> =>
      database.asAccount(opening.sealed.permit.account, async (query) => {
        const { permit } = opening.sealed
        const id = permit.operation_id!
        const [made] = await query<Row>(
          `INSERT INTO steward.operations (id, account_id, nonce, permit, tool, scopes, destructive, input, state, lease_holder,
             lease_epoch, lease_until, new_resource_id, deed_id, root_id, undo_until, started_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'accepted', $9, 1, $10, $11, $12, $13, $14, $15)
           ON CONFLICT DO NOTHING RETURNING *`,
          [
            id,
            permit.account,
            permit.nonce,
            JSON.stringify(opening.sealed),
            opening.tool,
            opening.scopes,
            opening.destructive,
            JSON.stringify(opening.input),
            holder,
            leaseEnd(),
            opening.newResourceId,
            opening.deedId,
            opening.rootId,
            opening.undoUntil,
            new Date(clock.now()),
          ],
        )
        if (made) return { kind: 'taken', stage: toStage(made), first: true }
        const [found] = await query<Row>('SELECT * FROM steward.operations WHERE id = $1', [id])
        if (!found || !isSameCall(found.permit, opening.sealed)) return { kind: 'foreign' }
        if (found.state === 'recorded' || found.state === 'closed' || found.state === 'unknown')
          return { kind: 'finished', stage: toStage(found) as Stage<'recorded' | 'closed' | 'unknown'> }
        const taken = await take(query, permit.account, id, opening.sealed)
        if (taken) return { kind: 'taken', stage: taken, first: false }
        const leftMs = (found.lease_until?.getTime() ?? 0) - clock.now()
        return { kind: 'running', retryAfterS: Math.min(Math.max(Math.ceil(leftMs / 1000), 1), 5) }
      }),

    /** Operations that nobody drives: lease run out, or waiting for a caller since before `forgottenBefore`. */
    findUnattended: (forgottenBefore: Date, limit: number): Promise<{ id: OperationId; account_id: AccountId }[]> =>
      database.query('SELECT * FROM steward.find_unattended($1, $2, $3)', [
        new Date(clock.now()),
        forgottenBefore,
        limit,
      ]),
    retake: (account: AccountId, id: OperationId): Promise<Stage | null> =>
      database.asAccount(account, (query) => take(query, account, id, null)),
    /** False: the lease is gone. */
    renew: (at: Stage): Promise<boolean> =>
      database.asAccount(at.account, async (query) => {
        const rows = await query(
          'UPDATE steward.operations SET lease_until = $4 WHERE id = $1 AND lease_holder = $2 AND lease_epoch = $3 RETURNING id',
          [at.id, holder, at.leaseEpoch, leaseEnd()],
        )
        return rows.length > 0
      }),

    /** Holds `keys` for this operation until it ends, all or none; false: another unfinished operation has one of them. */
    async lock(at: Stage<'intended'>, keys: readonly string[]): Promise<boolean> {
      try {
        await database.asAccount(at.account, async (query) => {
          await fence(query, at)
          // One order for all: two operations that want the same keys wait for each other in a row, not in a ring.
          const sorted = [...new Set(keys)].sort()
          await query(
            `INSERT INTO steward.locks (account_id, key, operation_id)
             SELECT $1, key, $2 FROM unnest($3::text[]) WITH ORDINALITY AS wanted (key, place) ORDER BY place
             ON CONFLICT DO NOTHING`,
            [at.account, at.id, sorted],
          )
          const others = await query('SELECT 1 FROM steward.locks WHERE key = ANY ($1) AND operation_id <> $2', [
            sorted,
            at.id,
          ])
          if (others.length > 0) throw BUSY
        })
        return true
      } catch (error) {
        if (error === BUSY) return false
        throw error
      }
    },

    intended: (at: Stage<'accepted'>) => move(at, 'intended'),
    prepared: (at: Stage<'intended'>, found: { resources: readonly ResourceId[]; before: Json }) =>
      move(at, 'prepared', found),
    snapshotted: (at: Stage<'prepared'>, restorePoints: readonly RestorePointName[]) =>
      move(at, 'snapshotted', { restorePoints }),
    acting: (at: Stage<'snapshotted'>) => move(at, 'acting', { actingAt: new Date(clock.now()) }),
    /** One transaction with `apply`: the answer, what the world is like now, and the resources' own rows. */
    committed: (
      at: Stage<'acting'>,
      result: { output: { readonly [key: string]: Json }; after: Json; resources: readonly ResourceId[] },
      apply: (query: Query) => Promise<void>,
    ): Promise<Stage<'committed'>> =>
      database.asAccount(at.account, async (query) => {
        const next = await write(query, at, 'committed', { ...result, finishedAt: new Date(clock.now()), code: null })
        await apply(query)
        if (at.deedId) {
          await query('UPDATE steward.operations SET undone_by = $2 WHERE id = $1', [at.deedId, at.id])
          // The deed was an undo itself: what it had undone stands again, and can be undone again.
          await query('UPDATE steward.operations SET undone_by = NULL WHERE undone_by = $1', [at.deedId])
        }
        await unlock(query, at)
        return next
      }),
    recorded: (at: Stage<'committed'>, outcomeIndex: number) => move(at, 'recorded', { outcomeIndex }),

    /** The end of an operation that changed nothing: its denial is the stored answer. */
    refused: (at: Stage, denial: Denial): Promise<Stage<'refused'>> =>
      database.asAccount(at.account, async (query) => {
        const next = await write(query, at, 'refused', { denial, code: denial.code, finishedAt: new Date(clock.now()) })
        await unlock(query, at)
        return next
      }),
    closed: (at: Stage<'refused'>, outcomeIndex: number) => move(at, 'closed', { outcomeIndex }),
    /** For a human. Keeps its locks: nothing may build on what may or may not be there. */
    unknown: (at: Stage<'acting'>) => move(at, 'unknown', { code: 'OUTCOME_UNKNOWN' }),

    /** Back to where nothing is stored but the open operation, waiting for its caller to come again. */
    wait: (at: Harmless, code: string): Promise<void> =>
      database.asAccount(at.account, async (query) => {
        await write(query, at, at.state === 'accepted' ? 'accepted' : 'intended', { code, leaseUntil: null })
        await unlock(query, at)
      }),
    /** Lets go, for recovery or the caller's retry to drive on: at once the first time, later the more often it has failed. */
    release: async (at: Stage): Promise<void> => {
      await move(at, at.state, { leaseUntil: new Date(clock.now() + pauseMs(at.attempts)) })
    },

    read: async (account: AccountId, id: string): Promise<Stage | null> => {
      const [row] = await database.query<Row>('SELECT * FROM steward.read_operation($1, $2)', [account, id])
      return row ? toStage(row) : null
    },
  }
}

/** A repeated call gets a new permit for the same operation: what is done must be the same (who asks may differ: the console, for an agent). */
function isSameCall(stored: SealedPermit, arrived: SealedPermit): boolean {
  const [a, b] = [stored.permit, arrived.permit]
  return a.tool === b.tool && a.input_hash === b.input_hash && a.account === b.account
}

/** A permit cannot arrive later than this after its issue, so its nonce need not be remembered longer. */
export const NONCE_MEMORY_MS = PERMIT_ARRIVAL_MS + 10_000
