// The one transaction of a change (call.md §2): claim the key or find its operation, spend the preview, count the day, create
// the operation. All of it or nothing: a refusal inside rolls everything back, so that the same call may be made again.
import { hashJson } from '@bailiwick/kernel/canonical'
import { uuidv7, type OperationId } from '@bailiwick/kernel/ids'
import { err, ok } from '@bailiwick/kernel/result'
import { inputHash } from '@bailiwick/contracts/permit'
import { deny, type Denial } from '@bailiwick/contracts/problem'
import { checkPreviewUnspent, used } from './checks/confirmation.ts'
import type { Verdict } from './checks/facts.ts'
import type { Confirmed } from './confirm.ts'
import type { Query } from './database.ts'
import type { Deps } from './deps.ts'
import { claimKey, countChange, findOperation, insertOperation, nextUtcDay } from './operations.ts'
import { spendPreview } from './previews.ts'
import { LIMITS, TIERS } from './rules.ts'

export type Operating = { readonly id: OperationId; readonly undoUntil: number }

declare const settled: unique symbol
/** Everything that the call claims is claimed, durably. `operation` is null for reads. Made by `settle` only. */
export type Settled = Confirmed & {
  readonly inputHash: string
  readonly operation: Operating | null
  readonly [settled]: true
}

export async function settle(deps: Deps, confirmed: Confirmed): Promise<Verdict<Settled>> {
  const hash = inputHash(confirmed.input)
  const done = (operation: Operating | null): Verdict<Settled> =>
    ok({ ...confirmed, inputHash: hash, operation } as unknown as Settled)
  if (confirmed.risk === 'read') return done(null)
  try {
    const operation = await deps.database.inAccount(confirmed.account.id, (query) =>
      claim(query, confirmed, hash, deps.clock.now()),
    )
    return done(operation)
  } catch (error) {
    if (error instanceof Abort) return err(error.denial)
    throw error
  }
}

/** Rolls the transaction back; `settle` alone catches it. */
class Abort extends Error {
  readonly denial: Denial
  constructor(denial: Denial) {
    super(denial.code)
    this.denial = denial
  }
}

async function claim(query: Query, confirmed: Confirmed, hash: string, now: number): Promise<Operating> {
  const { account, token, tool, preview, later } = confirmed
  const id = uuidv7(now) as OperationId
  const key = keyOf(confirmed, hash)
  if (key) {
    const call = { account: account.id, principal: token.principal, key: key.name, tool: tool.name, inputHash: hash }
    const held = await claimKey(query, call, id, now, now + key.lastsMs)
    if (held !== 'claimed') return retry(query, confirmed, held, hash)
  }
  // From here on this is a call of its own, no retry: now its preview must still be good.
  if (preview) {
    const unspent = checkPreviewUnspent(preview, now)
    if (!unspent.ok) throw new Abort(unspent.error)
    if (!(await spendPreview(query, preview.id, id, now))) throw new Abort(used(null))
  }
  if (!(await countChange(query, account.id, now, TIERS[account.tier].changesPerDay))) throw new Abort(dayIsFull(now))
  const undoUntil = now + LIMITS.undoMs
  await insertOperation(query, {
    id,
    account: account.id,
    principal: token.principal,
    tool: tool.name,
    ...later,
    inputHash: hash,
    undoes: confirmed.undoes,
    createdAt: now,
    undoUntil,
  })
  return { id, undoUntil }
}

/** The same call again leads to the operation that it already has: nothing is claimed, spent or counted twice. */
async function retry(
  query: Query,
  { tool }: Confirmed,
  held: { tool: string; inputHash: string; operationId: string },
  hash: string,
): Promise<Operating> {
  if (held.tool !== tool.name || held.inputHash !== hash) throw new Abort(deny('IDEMPOTENCY_KEY_REUSED'))
  const operation = await findOperation(query, held.operationId)
  return { id: operation!.id, undoUntil: operation!.undoUntil }
}

/** The caller's key; for a destructive call without one, the call itself, for a minute. */
function keyOf({ key, risk, tool }: Confirmed, hash: string): { name: string; lastsMs: number } | null {
  if (key !== null) return { name: key, lastsMs: LIMITS.idempotencyMs }
  if (risk !== 'destructive') return null
  return { name: `same:${hashJson([tool.name, hash])}`, lastsMs: LIMITS.repeatMs }
}

function dayIsFull(now: number): Denial {
  const resetAt = nextUtcDay(now)
  return deny('AI_DEPLOY_DAILY_LIMIT', {
    retry_after_s: Math.ceil((resetAt - now) / 1000),
    extra: { reset_at: new Date(resetAt).toISOString() },
  })
}
