// One act of the operator: its intent is in the log before the effect, its outcome after it, both under one request id.
import type { EntryInput } from '@bailiwick/contracts/doors/audit'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import type { Query } from '../database.ts'
import type { Deps } from '../deps.ts'
import { POLICY_HASH } from '../rules.ts'
import { moveEpoch } from '../status.ts'

/** Whoever may open the root-only socket. There are no names behind it until the console has people. */
export const OPERATOR = 'admin:operator'

export type Act = {
  readonly name: string
  /** The kind of the outcome's entry; the intent's is always `admin`. */
  readonly kind: EntryInput['kind']
  readonly account: string | null
  readonly reason: string | null
  /** What was asked; recorded, so never a secret. */
  readonly input: Exclude<EntryInput['personal']['input'], undefined>
  readonly resource?: { readonly kind: string; readonly id: string }
  readonly tool?: string
}

/**
 * `personal`: what the outcome's entry says beyond the act itself. A crash after the effect leaves an intent without an
 * outcome: the log then shows what was tried, and the lists show whether it happened.
 */
export async function perform<T>(
  deps: Deps,
  act: Act,
  effect: (requestId: string) => Promise<{ value: T; personal?: EntryInput['personal'] }>,
): Promise<{ value: T; receipt: number }> {
  const requestId = uuidv7(deps.clock.now())
  await deps.audit.append(entry(deps, act, requestId, { kind: 'admin', status: null, code: null }))
  try {
    const { value, personal } = await effect(requestId)
    const outcome = entry(deps, act, requestId, { kind: act.kind, status: 200, code: null })
    const receipt = await deps.audit.append({ ...outcome, personal: { ...outcome.personal, ...personal } })
    return { value, receipt: receipt.index }
  } catch (error) {
    const code = error instanceof Fault ? error.code : 'INTERNAL'
    if (code !== 'AUDIT_UNAVAILABLE')
      await deps.audit
        .append(entry(deps, act, requestId, { kind: 'admin', status: 500, code }))
        .catch((lost: unknown) => deps.logger.error('admin_outcome_not_recorded', { act: act.name }, lost))
    throw error
  }
}

/** A change of status: in one transaction with the epoch's move, then told to every replica. `account`: entered before `work`. */
export async function changeStatus<T>(
  deps: Deps,
  account: string | null,
  work: (query: Query, enter: (account: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  const { value, epoch } = await deps.database.acrossAccounts(async (query, enter) => {
    if (account !== null) await enter(account)
    return { value: await work(query, enter), epoch: await moveEpoch(query) }
  })
  await deps.status.publish(epoch)
  return value
}

/** Before the intent: a typo is not an act. */
export async function requireAccount(deps: Deps, account: string): Promise<void> {
  const rows = await deps.database.inAccount(account, (query) =>
    query('SELECT 1 FROM policy.accounts WHERE id = $1', [account]),
  )
  if (rows.length === 0) throw new Fault('NOT_FOUND', 'there is no account with this id')
}

function entry(
  deps: Deps,
  act: Act,
  requestId: string,
  state: Pick<EntryInput, 'kind' | 'status' | 'code'>,
): EntryInput {
  return {
    ...state,
    account: act.account,
    door: 'admin',
    tool: act.tool ?? null,
    risk: null,
    decision: 'allow',
    policy_hash: POLICY_HASH,
    catalog_hash: deps.catalog.hash,
    operation_id: null,
    request_id: requestId,
    duration_ms: null,
    personal: {
      principal: OPERATOR,
      resource_kind: act.resource?.kind ?? null,
      resource: act.resource?.id ?? null,
      input: act.input,
      why: act.reason === null ? act.name : `${act.name}: ${act.reason}`,
    },
  }
}
