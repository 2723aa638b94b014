// What is due for destruction: pure, `now` is an argument. Every doubt answers "not due", because waiting harms nobody.
// Two witnesses must agree: the reaper's own sightings, one on each day of the window, and the delete's intent in the log.
import type { RestorePointRef } from '@bailiwick/contracts/doors/vault'
import { OperationId } from '@bailiwick/kernel/ids'

export const DAY_MS = 86_400_000
/** On top of the window, so that no difference between clocks or time zones ever makes a day of somebody's window. */
const MARGIN_MS = DAY_MS
/** A base backup needs WAL from when its copying began, which is before it was stored: no copy takes a day. */
const COPY_TIME_MS = DAY_MS

export type Sighting = { readonly first_seen: number; readonly last_seen: number }
export type Sightings = Readonly<Record<string, Sighting>>

const dayOf = (time: number): number => Math.floor(time / DAY_MS)

/**
 * The table after seeing exactly `keys` now. Gone: forgotten, so that what comes back starts anew. A day (UTC) without a
 * sighting, or a sighting from the future: the count starts anew.
 */
export function observe(table: Sightings, keys: readonly string[], now: number): Sightings {
  return Object.fromEntries(
    keys.map((key) => {
      const before = Object.hasOwn(table, key) ? table[key] : undefined
      const unbroken =
        before !== undefined &&
        before.first_seen <= before.last_seen &&
        before.last_seen <= now &&
        dayOf(now) - dayOf(before.last_seen) <= 1
      return [key, { first_seen: unbroken ? before.first_seen : now, last_seen: now }]
    }),
  )
}

export type Intent = { readonly time: number; readonly account: string; readonly tool: string }
export type Quarantined = {
  readonly account_id: string
  readonly kind: 'database' | 'table' | 'zone'
  readonly target: string
  readonly operation_id: string
  readonly quarantined_at: number
}
export type RestorePoint = RestorePointRef & { readonly created_at: number }
export type Judgement = { readonly due: true } | { readonly due: false; readonly because: Reason }
type Reason =
  | 'not_seen_long_enough'
  | 'quarantined_too_recently'
  | 'stored_too_recently'
  | 'no_intent'
  | 'intent_too_young'
  | 'intent_of_another_account'
  | 'intent_of_another_tool'
  | 'quarantine_needs_it'
  | 'recovery_needs_it'

const DUE: Judgement = { due: true }
const not = (because: Reason): Judgement => ({ due: false, because })

/** The tools whose intent can have put such a thing into quarantine. Undoing a create is one of them. */
const MAY_QUARANTINE: Readonly<Record<Quarantined['kind'], readonly string[]>> = {
  database: ['delete_database', 'undo'],
  table: ['undo'],
  zone: ['delete_domain', 'undo'],
}

const longAgo = (time: number, windowMs: number, now: number): boolean => now - time >= windowMs + MARGIN_MS

/** Cheap, and asked first: only what passes is worth a question to the log. */
export function seenThroughout(sighting: Sighting | undefined, windowMs: number, now: number): boolean {
  return sighting !== undefined && sighting.last_seen === now && longAgo(sighting.first_seen, windowMs, now)
}

export function judgeQuarantined(
  item: Quarantined,
  sighting: Sighting | undefined,
  intent: Intent | null,
  windowMs: number,
  now: number,
): Judgement {
  if (!seenThroughout(sighting, windowMs, now)) return not('not_seen_long_enough')
  if (!longAgo(item.quarantined_at, windowMs, now)) return not('quarantined_too_recently')
  const fault = intentFault(intent, item.account_id, windowMs, now)
  if (fault) return not(fault)
  return MAY_QUARANTINE[item.kind].includes(intent!.tool) ? DUE : not('intent_of_another_tool')
}

/** The operation whose restore point this is: snapshots are named `<operation id>.<what>`. */
export function operationOf(point: RestorePoint): string | null {
  const parsed = OperationId.safeParse(point.name.slice(0, 36))
  return point.kind === 'snapshot' && parsed.success && point.name[36] === '.' ? parsed.data : null
}

/** `inQuarantine`: operations that something in quarantine still names. Their snapshot may be the way back. */
export function judgeSnapshot(
  point: RestorePoint,
  sighting: Sighting | undefined,
  intent: Intent | null,
  inQuarantine: ReadonlySet<string>,
  windowMs: number,
  now: number,
): Judgement {
  if (!seenThroughout(sighting, windowMs, now)) return not('not_seen_long_enough')
  if (!longAgo(point.created_at, windowMs, now)) return not('stored_too_recently')
  const operation = operationOf(point)
  if (operation === null) return not('no_intent')
  if (inQuarantine.has(operation)) return not('quarantine_needs_it')
  const fault = intentFault(intent, point.account_id, windowMs, now)
  return fault ? not(fault) : DUE
}

/**
 * Base backups and WAL have no intent: they are made all the time, and go when recovery to every second of the window works
 * without them. The vault holds the same rule for itself; asking it in vain would fill the log.
 */
export function judgeRecovery(
  point: RestorePoint,
  sighting: Sighting | undefined,
  basesOfAccount: readonly RestorePoint[],
  windowMs: number,
  now: number,
): Judgement {
  if (!seenThroughout(sighting, windowMs, now)) return not('not_seen_long_enough')
  if (!longAgo(point.created_at, windowMs, now)) return not('stored_too_recently')
  if (point.kind === 'base') {
    const covered = basesOfAccount.some(
      (base) => base.created_at > point.created_at && now - base.created_at >= windowMs + COPY_TIME_MS,
    )
    return covered ? DUE : not('recovery_needs_it')
  }
  if (/\.history(\.|$)/.test(point.name) || basesOfAccount.length === 0) return not('recovery_needs_it')
  const oldest = Math.min(...basesOfAccount.map((base) => base.created_at))
  return point.created_at < oldest - COPY_TIME_MS ? DUE : not('recovery_needs_it')
}

function intentFault(intent: Intent | null, account: string, windowMs: number, now: number): Reason | null {
  if (intent === null) return 'no_intent'
  if (intent.account !== account) return 'intent_of_another_account'
  return longAgo(intent.time, windowMs, now) ? null : 'intent_too_young'
}
