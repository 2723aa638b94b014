// Writes down what was taken back, and by whom it was given again. Bounds only ever move forward.
import type { Query } from '../database.ts'
import type { Reading } from './read-events.ts'

/** Committed and heard of: what a token that was made meanwhile is measured by. Later than this it is a token of afterwards. */
const LONGEST_DELAY_MS = 5000

type Heard = { readonly reading: Reading; readonly type: string; readonly time: number }

/**
 * A token that was made while the event was being committed may say a second later than the event: the bound is the moment at
 * which we heard of it, unless that was long after (we were down, and the apps have new tokens since).
 */
const boundAt = (time: number, now: number): number => Math.max(time, Math.min(now, time + LONGEST_DELAY_MS))

/** True when anything was written: the epoch must move. */
export async function writeBounds(query: Query, heard: readonly Heard[], now: number): Promise<boolean> {
  const bounds = new Map<string, { kind: string; key: string; at: number; reason: string }>()
  const consents = new Map<string, number>()
  for (const { reading, type, time } of heard) {
    for (const { kind, key, sparesItsSecond } of reading.bounds) {
      const own = sparesItsSecond ? Math.floor(time / 1000) * 1000 - 1 : boundAt(time, now)
      const at = Math.max(own, bounds.get(`${kind} ${key}`)?.at ?? 0)
      bounds.set(`${kind} ${key}`, { kind, key, at, reason: type })
    }
    if (reading.consent !== null) consents.set(reading.consent, Math.max(time, consents.get(reading.consent) ?? 0))
  }
  const rows = [...bounds.values()]
  if (rows.length > 0)
    await query(
      `INSERT INTO policy.not_before AS known (kind, key, at, reason)
       SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[])
       ON CONFLICT (kind, key) DO UPDATE SET at = greatest(known.at, excluded.at), reason = excluded.reason`,
      [
        rows.map(({ kind }) => kind),
        rows.map(({ key }) => key),
        rows.map(({ at }) => new Date(at)),
        rows.map(({ reason }) => reason),
      ],
    )
  if (consents.size > 0)
    await query(
      `INSERT INTO policy.consents AS known (principal, at) SELECT * FROM unnest($1::text[], $2::timestamptz[])
       ON CONFLICT (principal) DO UPDATE SET at = greatest(known.at, excluded.at)`,
      [[...consents.keys()], [...consents.values()].map((at) => new Date(at))],
    )
  return rows.length + consents.size > 0
}

/** No token and no permit is so old that a bound of before could still refuse it. */
const KEEP_BOUNDS_MS = 3 * 86_400_000
/** Longer than the overlap of two polls. */
const KEEP_EVENTS_MS = 86_400_000

export async function sweepIdentity(query: Query, now: number): Promise<void> {
  await query('DELETE FROM policy.not_before WHERE at < $1', [new Date(now - KEEP_BOUNDS_MS)])
  await query('DELETE FROM policy.taken_events WHERE at < $1 AND entry IS NULL', [new Date(now - KEEP_EVENTS_MS)])
}
