// Polls the identity provider's events: what they take back is in force with the transaction that takes them, once each. One
// replica polls at a time, whichever gets the row's lock; one that dies loses it, and the next goes on within a quarter second.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '@bailiwick/kernel/clock'
import type { Logger } from '@bailiwick/kernel/logger'
import type { Database, Query } from '../database.ts'
import type { Refusals } from '../refusals.ts'
import { moveEpoch, type Status } from '../status.ts'
import type { Keycloak } from './keycloak.ts'
import { writeBounds } from './not-before.ts'
import { isStrangers, readAdminEvent, readUserEvent, type Reading } from './read-events.ts'

const POLL_EVERY_MS = 250
/** An event is dated before it is committed: each poll looks back this far. */
const OVERLAP_MS = 15_000
/** And now and then each replica looks as far back as a transaction can last; apart, so that no poll waits for it. */
const LOOK_BACK_EVERY_MS = 30_000
const LOOK_BACK_MS = 330_000
/** Two replicas need not ask within so short a time. */
const TOO_SOON_MS = 100
const INSERT_AT_ONCE = 500

export type Event = { readonly id: string; readonly time: number; readonly type: string; readonly reading: Reading }
type Poller = { close(): Promise<void> }

export function startPoller(deps: {
  keycloak: Keycloak
  database: Database
  status: Pick<Status, 'publish'>
  refusals: Pick<Refusals, 'countStranger'>
  clock: Clock
  logger: Logger
  /** After every poll of this replica. */
  afterwards: () => void
  lookBackEveryMs?: number
}): Poller {
  const { keycloak, database, status, refusals, clock, logger, lookBackEveryMs = LOOK_BACK_EVERY_MS } = deps
  /** Ids that are surely taken, with their times: most of what a poll sees, it has seen before. */
  const seen = new Map<string, number>()
  let isDown = false

  const remember = (events: readonly Event[]): void => {
    for (const { id, time } of events) seen.set(id, time)
    for (const [id, time] of seen) if (time < clock.now() - 2 * LOOK_BACK_MS) seen.delete(id)
  }
  const unseen = (events: readonly Event[]): Event[] => events.filter(({ id }) => !seen.has(id))

  /** After the commit, so that one that is taken again is not counted twice. */
  const count = (strangers: readonly Event[]): void => {
    for (const { reading } of strangers)
      refusals.countStranger(reading.entry.personal.address ?? null, reading.entry.code ?? '')
  }

  const poll = async (): Promise<boolean> => {
    let listed: Event[] = []
    const outcome = await database.acrossAccounts(async (query) => {
      const [row] = await query<{ taken_until: string; began: Date; age: string | null }>(
        `SELECT taken_until, clock_timestamp() AS began, extract(epoch FROM clock_timestamp() - polled_at) * 1000 AS age
         FROM policy.identity_polls FOR UPDATE SKIP LOCKED`,
      )
      if (!row || (row.age !== null && Number(row.age) >= 0 && Number(row.age) < TOO_SOON_MS)) return null
      // The first poll of a new installation, or after days, reads for longer than a transaction may stand idle.
      await query(`SET LOCAL idle_in_transaction_session_timeout = '120s'`)
      const beganAt = clock.now()
      listed = unseen(await listEvents(keycloak, Math.max(0, Number(row.taken_until) - OVERLAP_MS)))
      const { hasEffect, strangers } = await take(query, listed, clock.now())
      // Losing "nothing new" in a crash of the database loses nothing: it is asked again.
      if (listed.length === 0) await query('SET LOCAL synchronous_commit = off')
      await query('UPDATE policy.identity_polls SET polled_at = $1, taken_until = greatest(taken_until, $2)', [
        row.began,
        beganAt,
      ])
      return { epoch: hasEffect ? await moveEpoch(query) : null, strangers }
    })
    if (!outcome) return false
    remember(listed)
    count(outcome.strangers)
    if (outcome.epoch !== null) await status.publish(outcome.epoch)
    return true
  }

  const lookBack = async (): Promise<void> => {
    const listed = unseen(await listEvents(keycloak, Math.max(0, clock.now() - LOOK_BACK_MS)))
    const { epoch, strangers } = await database.acrossAccounts(async (query) => {
      const taken = await take(query, listed, clock.now())
      return { epoch: taken.hasEffect ? await moveEpoch(query) : null, strangers: taken.strangers }
    })
    remember(listed)
    count(strangers)
    if (epoch !== null) await status.publish(epoch)
  }

  const heard = (): void => {
    if (isDown) logger.info('identity_back')
    isDown = false
    deps.afterwards()
  }
  const failed = (error: unknown): void => {
    if (!isDown) logger.warn('identity_lost', { reason: String(error) })
    isDown = true
  }
  /** Not again while it runs. */
  const repeat = (everyMs: number, work: () => Promise<unknown>) => {
    let running: Promise<unknown> | null = null
    const run = (): void => {
      running ??= work()
        .catch(failed)
        .finally(() => {
          running = null
        })
    }
    run()
    const timer = setInterval(run, everyMs).unref()
    return async (): Promise<void> => {
      clearInterval(timer)
      await running
    }
  }
  const stops = [
    repeat(POLL_EVERY_MS, () => poll().then((polled) => polled && heard())),
    repeat(lookBackEveryMs, lookBack),
  ]
  return {
    async close() {
      await Promise.all(stops.map((stop) => stop()))
    },
  }
}

/** Oldest first, both lists together. */
async function listEvents(keycloak: Keycloak, from: number): Promise<Event[]> {
  const [users, admins] = await Promise.all([keycloak.userEvents(from), keycloak.adminEvents(from)])
  return [
    ...users.map((event) => ({
      id: eventId('user', event.id),
      time: event.time,
      type: event.type,
      reading: readUserEvent(event),
    })),
    ...admins.map((event) => ({
      id: eventId('admin', event.id),
      time: event.time,
      type: `${event.resourceType} ${event.operationType}`,
      reading: readAdminEvent(event),
    })),
    // Always in one order: two replicas that take the same ones wait for each other, and not in a circle.
  ].sort((a, b) => a.time - b.time || (a.id < b.id ? -1 : 1))
}

/** Keycloak's own where it is a UUID, as it is; otherwise one that always comes out the same. */
function eventId(list: string, id: string): string {
  if (z.uuid().safeParse(id).success) return id
  const hex = createHash('sha256').update(`${list} ${id}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/**
 * Effect and event in one transaction; what was taken already is left alone. `hasEffect`: somebody's status changed.
 * `strangers`: to be counted, each has no entry of its own.
 */
async function take(
  query: Query,
  listed: readonly Event[],
  now: number,
): Promise<{ hasEffect: boolean; strangers: Event[] }> {
  const events = [...new Map(listed.map((event) => [event.id, event])).values()]
  const strangers: Event[] = []
  let hasEffect = false
  for (let at = 0; at < events.length; at += INSERT_AT_ONCE) {
    const some = events.slice(at, at + INSERT_AT_ONCE)
    const accounts = await accountsOf(query, some)
    const rows = await query<{ id: string }>(
      `INSERT INTO policy.taken_events (id, at, entry) SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::json[])
       ON CONFLICT DO NOTHING RETURNING id`,
      [
        some.map(({ id }) => id),
        some.map(({ time }) => new Date(time)),
        some.map(({ reading }) =>
          isStrangers(reading)
            ? null
            : JSON.stringify({ ...reading.entry, account: accounts.get(reading.about ?? '') ?? null }),
        ),
      ],
    )
    const taken = new Set(rows.map(({ id }) => id))
    const fresh = some.filter(({ id }) => taken.has(id))
    hasEffect = (await writeBounds(query, fresh, now)) || hasEffect
    strangers.push(...fresh.filter(({ reading }) => isStrangers(reading)))
  }
  return { hasEffect, strangers }
}

async function accountsOf(query: Query, events: readonly Event[]): Promise<Map<string, string>> {
  const subs = [...new Set(events.flatMap(({ reading }) => reading.about ?? []))]
  if (subs.length === 0) return new Map()
  const rows = await query<{ sub: string; account: string | null }>(
    'SELECT sub, policy.find_member(sub) AS account FROM unnest($1::text[]) AS sub',
    [subs],
  )
  return new Map(rows.flatMap(({ sub, account }) => (account === null ? [] : [[sub, account]])))
}
