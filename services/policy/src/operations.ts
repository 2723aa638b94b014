// Operations, the idempotency keys that lead to them, and the day's count: the rows of the deciding transaction.
import type { OperationId } from '@bailiwick/kernel/ids'
import type { Query } from './database.ts'

export type Operation = {
  readonly id: OperationId
  readonly tool: string
  readonly domain: string
  readonly scopes: readonly string[]
  readonly obligations: readonly string[]
  readonly createdAt: number
  readonly undoUntil: number
}

export async function findOperation(query: Query, id: string): Promise<Operation | null> {
  const [row] = await query<{
    id: OperationId
    tool: string
    domain: string
    scopes: string[]
    obligations: string[]
    created_at: Date
    undo_until: Date
  }>('SELECT * FROM policy.operations WHERE id = $1', [id])
  if (!row) return null
  const { id: found, tool, domain, scopes, obligations, created_at, undo_until } = row
  return {
    id: found,
    tool,
    domain,
    scopes,
    obligations,
    createdAt: created_at.getTime(),
    undoUntil: undo_until.getTime(),
  }
}

export async function insertOperation(
  query: Query,
  operation: Operation & { account: string; principal: string; inputHash: string; undoes: string | null },
): Promise<void> {
  await query(
    `INSERT INTO policy.operations (id, account_id, principal, tool, domain, scopes, obligations, input_hash, undoes,
       created_at, undo_until)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      operation.id,
      operation.account,
      operation.principal,
      operation.tool,
      operation.domain,
      operation.scopes,
      operation.obligations,
      operation.inputHash,
      operation.undoes,
      new Date(operation.createdAt),
      new Date(operation.undoUntil),
    ],
  )
}

export type KeyClaim = {
  readonly account: string
  readonly principal: string
  readonly key: string
  readonly tool: string
  readonly inputHash: string
}

/**
 * Claims `key` for `operationId`, or says which call holds it. Twenty at once: the first insert holds the row's lock, the
 * others wait for its commit and then find it. An expired row is taken over in place.
 */
export async function claimKey(
  query: Query,
  claim: KeyClaim,
  operationId: string,
  now: number,
  expiresAt: number,
): Promise<'claimed' | { tool: string; inputHash: string; operationId: string }> {
  const values = [claim.account, claim.principal, claim.key]
  for (;;) {
    const claimed = await query(
      `INSERT INTO policy.idempotency AS held (account_id, principal, key, tool, input_hash, operation_id, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (account_id, principal, key) DO UPDATE
         SET tool = excluded.tool, input_hash = excluded.input_hash, operation_id = excluded.operation_id,
             expires_at = excluded.expires_at
         WHERE held.expires_at <= $8
       RETURNING key`,
      [...values, claim.tool, claim.inputHash, operationId, new Date(expiresAt), new Date(now)],
    )
    if (claimed.length === 1) return 'claimed'
    const [held] = await query<{ tool: string; input_hash: string; operation_id: string }>(
      'SELECT tool, input_hash, operation_id FROM policy.idempotency WHERE account_id = $1 AND principal = $2 AND key = $3',
      values,
    )
    // Gone between the two statements: the sweep took an expired row. Claim again.
    if (held) return { tool: held.tool, inputHash: held.input_hash, operationId: held.operation_id }
  }
}

/** Counts one change of the account's UTC day; false when `limit` is reached (null: counted without a bound). */
export async function countChange(query: Query, account: string, now: number, limit: number | null): Promise<boolean> {
  const counted = await query(
    `INSERT INTO policy.daily_counts AS today (account_id, day, changes)
     SELECT $1, $2, 1 WHERE $3::integer IS NULL OR $3::integer > 0
     ON CONFLICT (account_id, day) DO UPDATE SET changes = today.changes + 1
       WHERE $3::integer IS NULL OR today.changes < $3::integer
     RETURNING changes`,
    [account, utcDay(now), limit],
  )
  return counted.length === 1
}

export async function readChanges(query: Query, account: string, now: number): Promise<number> {
  const [row] = await query<{ changes: number }>(
    'SELECT changes FROM policy.daily_counts WHERE account_id = $1 AND day = $2',
    [account, utcDay(now)],
  )
  return row?.changes ?? 0
}

const utcDay = (now: number): string => new Date(now).toISOString().slice(0, 10)
/** When the count starts anew, in ms. */
export const nextUtcDay = (now: number): number => (Math.floor(now / 86_400_000) + 1) * 86_400_000
