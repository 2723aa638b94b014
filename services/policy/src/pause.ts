// A guard's pause of a token or app: recorded first, then done. Only a human resumes it, with a reason.
import { POLICY_HASH } from './rules.ts'
import type { Current } from './checks/facts.ts'
import type { Deps } from './deps.ts'
import { moveEpoch } from './status.ts'

const REASON = 'calls went on after the rate limit was reached'

/** False when it could not be recorded: then nothing was done. */
export async function pauseForHammering(deps: Deps, { token, account }: Current): Promise<boolean> {
  try {
    await deps.audit.append({
      kind: 'token_changed',
      account: account.id,
      door: 'internal',
      tool: null,
      risk: null,
      decision: 'deny',
      policy_hash: POLICY_HASH,
      catalog_hash: deps.catalog.hash,
      status: null,
      code: 'TOKEN_PAUSED',
      operation_id: null,
      request_id: null,
      duration_ms: null,
      personal: {
        principal: token.principal,
        user: token.user,
        client: token.client,
        resource_kind: token.client === null ? 'token' : 'app',
        resource: token.id,
        why: REASON,
      },
    })
  } catch (error) {
    deps.logger.error('pause_not_recorded', {}, error)
    return false
  }
  const epoch = await deps.database.inAccount(account.id, async (query) => {
    const paused = await query(
      token.client === null
        ? `UPDATE policy.tokens SET state = 'paused', state_reason = $2 WHERE id = $1 AND state = 'active' RETURNING id`
        : `UPDATE policy.apps SET state = 'paused', state_reason = $2 WHERE principal = $1 AND state = 'active' RETURNING sub`,
      [token.id, REASON],
    )
    return paused.length === 1 ? moveEpoch(query) : null
  })
  if (epoch !== null) await deps.status.publish(epoch)
  return true
}
