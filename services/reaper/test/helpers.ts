// A reaper on a fake clock, with fake doors that are named by how they fail.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { EntryInput } from '@bailiwick/contracts/doors/audit'
import { fakeClock } from '@bailiwick/kernel/clock'
import { AccountId, OperationId, uuidv7 } from '@bailiwick/kernel/ids'
import { silentLogger, type Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import { clockGuard } from '../src/clock-guard.ts'
import type { Intent } from '../src/due.ts'
import { createReaper, type ReaperDoors, type Round } from '../src/reap.ts'
import { sightingsFile } from '../src/sightings-file.ts'

export const DAY = 86_400_000
export const START = Date.UTC(2026, 0, 1, 6)

type Item = Awaited<ReturnType<ReaperDoors['keeper']['list_quarantined']>>['items'][number]
type Point = Awaited<ReturnType<ReaperDoors['vault']['list_all']>>['items'][number]
type Failure = 'failsBefore' | 'failsAfterEffect' | 'refuses'
type Verb = 'list_quarantined' | 'purge' | 'list_all' | 'expire' | 'intent_of' | 'append'

export function fakeWorld() {
  const quarantined: Item[] = []
  const points: Point[] = []
  const intents = new Map<string, Intent>()
  const log: EntryInput[] = []
  /** Everything that was done, in the order in which it was. */
  const history: string[] = []
  const failures = new Map<Verb, Failure>()
  const down = (verb: Verb): Fault =>
    new Fault(
      verb === 'append' || verb === 'intent_of' ? 'AUDIT_UNAVAILABLE' : 'BACKEND_UNAVAILABLE',
      `${verb} is down`,
    )
  const on = async <T>(verb: Verb, effect: () => T): Promise<T> => {
    const failure = failures.get(verb)
    if (failure === 'failsBefore') throw down(verb)
    if (failure === 'refuses') throw new Fault('TOO_YOUNG', `${verb} says no`)
    const result = effect()
    history.push(verb)
    if (failure === 'failsAfterEffect') throw down(verb)
    return result
  }
  const remove = <T>(from: T[], matches: (item: T) => boolean): boolean => {
    const index = from.findIndex(matches)
    if (index >= 0) from.splice(index, 1)
    return index >= 0
  }
  const doors: ReaperDoors = {
    keeper: {
      list_quarantined: () => on('list_quarantined', () => ({ items: structuredClone(quarantined) })),
      purge: (input) => on('purge', () => ({ purged: remove(quarantined, ({ target }) => target === input.target) })),
    },
    vault: {
      list_all: () => on('list_all', () => ({ items: structuredClone(points), next: null })),
      expire: (input) => on('expire', () => ({ expired: remove(points, ({ name }) => name === input.name) })),
    },
    audit: {
      intent_of: ({ operation_id }) => on('intent_of', () => ({ intent: intents.get(operation_id) ?? null })),
      append: (entry) =>
        on('append', () => {
          log.push(structuredClone(entry))
          return { index: log.length - 1, leaf_hash: '' }
        }),
    },
  }
  return {
    doors,
    quarantined,
    points,
    intents,
    log,
    history,
    fail: (verb: Verb, failure: Failure) => void failures.set(verb, failure),
    heal: () => failures.clear(),
    /** A zone deleted now, with its snapshot and its intent. */
    deleteZone(now: number): Item {
      const account_id = AccountId.parse(uuidv7())
      const operation_id = OperationId.parse(uuidv7())
      const item: Item = { account_id, kind: 'zone', target: uuidv7(), operation_id, quarantined_at: now }
      quarantined.push(item)
      intents.set(operation_id, { time: now, account: account_id, tool: 'delete_domain' })
      points.push({
        account_id,
        kind: 'snapshot',
        name: `${operation_id}.zone`,
        sha256: '0'.repeat(64),
        size_bytes: 1,
        created_at: now,
      })
      return item
    },
  }
}
export type FakeWorld = ReturnType<typeof fakeWorld>

export function reaperOn(doors: ReaperDoors, options: { logger?: Logger; clock?: ReturnType<typeof fakeClock> } = {}) {
  const stateDir = mkdtempSync(`${tmpdir()}/bailiwick-reaper-`)
  const { logger = silentLogger, clock = fakeClock(START) } = options
  const running = fakeClock(1000)
  const start = () =>
    createReaper({
      doors,
      guard: clockGuard(stateDir, { wall: clock.now, running: running.now }, logger),
      quarantine: sightingsFile(`${stateDir}/quarantine.json`, logger),
      restorePoints: sightingsFile(`${stateDir}/restore-points.json`, logger),
      windowMs: 30 * DAY,
      logger,
    })
  let reaper = start()
  return {
    stateDir,
    clock,
    round: () => reaper.round(),
    /** Time passes, for both clocks. */
    pass(ms: number) {
      clock.advance(ms)
      running.advance(ms)
    },
    /** Somebody sets the clock. */
    step: (ms: number) => clock.advance(ms),
    /** A round now and one after each `everyMs`, for `days` days. */
    async live(days: number, everyMs = DAY): Promise<Round> {
      let last = await reaper.round()
      for (let passed = 0; passed < days * DAY; passed += everyMs) {
        this.pass(everyMs)
        last = await reaper.round()
      }
      return last
    },
    restart: () => {
      reaper = start()
    },
    remove: () => rmSync(stateDir, { recursive: true, force: true }),
  }
}
