// Why a change did not reach its end, and what of that its caller may see.
import { isCode, type Code } from '@bailiwick/contracts/codes'
import { deny, type Denial } from '@bailiwick/contracts/problem'
import { Fault } from '@bailiwick/kernel/result'
import { Refused } from './context.ts'
import type { Harmless, Stage } from './stage.ts'

/** Why `drive` did not reach the end, and where it stands. */
export class Stopped extends Error {
  readonly stage: Stage
  override readonly cause: unknown
  constructor(stage: Stage, cause: unknown) {
    super(`stopped in ${stage.state}`)
    this.stage = stage
    this.cause = cause
  }
  /** Nothing has been done in the world: the operation may go on later, or be given up. */
  get isHarmless(): boolean {
    return isHarmless(this.stage)
  }
}
export const isHarmless = (stage: Stage): stage is Harmless =>
  stage.state === 'accepted' ||
  stage.state === 'intended' ||
  stage.state === 'prepared' ||
  stage.state === 'snapshotted'

const OUTAGES: ReadonlySet<string> = new Set<Code>([
  'BACKEND_UNAVAILABLE',
  'POLICY_UNAVAILABLE',
  'AUDIT_UNAVAILABLE',
  'SECRETS_UNAVAILABLE',
])
/** A part is down: what it would have said is not known. */
export const isOutage = (error: unknown): boolean =>
  error instanceof Fault ? OUTAGES.has(error.code) : error instanceof Refused && OUTAGES.has(error.denial.code)

/** What went wrong first, under what the pipeline made of it for the caller. */
export function rootCause(error: unknown): unknown {
  const isWrapped = error instanceof Stopped || (error instanceof Refused && error.cause !== undefined)
  return isWrapped ? rootCause(error.cause) : error
}

/** Any error as the caller may see it. */
export function toDenial(error: unknown): Denial {
  if (error instanceof Stopped) return toDenial(error.cause)
  if (error instanceof Refused) return error.denial
  const code = error instanceof Fault && isCode(error.code) ? error.code : 'INTERNAL'
  const why = error instanceof Error ? error.message.slice(0, 500) : 'unknown error'
  return deny(code, { why, ...(code === 'INTERNAL' ? {} : { retry_after_s: 2 }) })
}
