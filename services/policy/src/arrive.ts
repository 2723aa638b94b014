// The call arrives: counted in its principal's window, and its status brought up to the newest epoch, by one Lua call.
import { deny } from '@bailiwick/contracts/problem'
import { err, Fault, ok } from '@bailiwick/kernel/result'
import type { Call } from './call.ts'
import type { Verdict } from './checks/facts.ts'
import type { Enabled } from './checks/switches.ts'
import { checkWindow, type Admitted, type Counted } from './checks/window.ts'
import { missing, type Identified } from './credential.ts'
import type { Deps } from './deps.ts'
import { pauseForHammering } from './pause.ts'
import { LIMITS, type LimitClass } from './rules.ts'

declare const arrived: unique symbol
/** Counted, and seen with status that is not older than the call. Made by `arrive` only. */
export type Arrived = Counted & { readonly [arrived]: true }

/**
 * Every call of a known token is counted first, whatever it is refused for later: otherwise a switched-off account could
 * be hammered without bound. Whether the window had room is said at its place in the column (`admit`).
 */
export async function arrive(
  deps: Deps,
  identified: Identified,
  limitClass: LimitClass,
  call: Call,
): Promise<Verdict<Arrived>> {
  call.current = identified.current
  call.tokenId = identified.tokenId
  const hit = await countHit(deps, identified, limitClass)
  if (!hit) return err(deny('LIMITS_UNAVAILABLE', { retry_after_s: 2 }))
  await deps.status.catchUp(hit.epoch)
  const current = await deps.status.find(identified.key)
  if (!current) return err(missing(identified.key))
  await deps.apps.open(current, deps.clock.now())
  deps.lastUse.note(current.account.id, current.token, deps.clock.now())
  call.current = current
  call.rate = hit.window.rate
  return ok({ ...current, window: hit.window } as Arrived)
}

/** Refuses a call for which the window has no room; the tenth inside one Retry-After window pauses the token. */
export async function admit<C extends Enabled<Counted>>(deps: Deps, current: C): Promise<Verdict<C & Admitted>> {
  const verdict = checkWindow(current)
  if (verdict.ok) return verdict
  const { token, window } = current
  const refused = await deps.limits.countRefused(token.principal, window.retryAfterSeconds)
  // Tried again at every further tenth, should the log or the database have been away.
  if (refused % LIMITS.refusedCallsToPause !== 0) return verdict
  if (!(await pauseForHammering(deps, current))) return verdict
  return err({ ...verdict.error, detail: 'Too many calls after the limit was reached: the token is now paused.' })
}

async function countHit(deps: Deps, identified: Identified, limitClass: LimitClass) {
  try {
    return await deps.limits.hit(identified.current.token.principal, limitClass)
  } catch (error) {
    if (error instanceof Fault && error.code === 'LIMITS_UNAVAILABLE') return null
    throw error
  }
}
