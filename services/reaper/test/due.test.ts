import { AccountId, uuidv7 } from '@bailiwick/kernel/ids'
import {
  DAY_MS as DAY,
  judgeQuarantined,
  judgeRecovery,
  judgeSnapshot,
  observe,
  type Intent,
  type Quarantined,
  type RestorePoint,
  type Sighting,
  type Sightings,
} from '../src/due.ts'

const NOW = Date.UTC(2026, 5, 15, 12)
const WINDOW = 30 * DAY
const account = AccountId.parse(uuidv7())
const operation = uuidv7()
const daysAgo = (days: number): number => NOW - days * DAY
const seen = (days: number): Sighting => ({ first_seen: daysAgo(days), last_seen: NOW })
const because = (judgement: { due: boolean; because?: string }): string =>
  judgement.due ? 'due' : (judgement.because ?? '')

describe('a quarantined thing', () => {
  const zone: Quarantined = {
    account_id: account,
    kind: 'zone',
    target: uuidv7(),
    operation_id: operation,
    quarantined_at: daysAgo(40),
  }
  const intent: Intent = { time: daysAgo(40), account, tool: 'delete_domain' }
  const cases: [string, Quarantined, Sighting | undefined, Intent | null, string][] = [
    ['seen for window and margin, intent as old', zone, seen(31), intent, 'due'],
    ['seen a millisecond less', zone, { ...seen(31), first_seen: daysAgo(31) + 1 }, intent, 'not_seen_long_enough'],
    ['seen for the window without the margin', zone, seen(30), intent, 'not_seen_long_enough'],
    ['never seen', zone, undefined, intent, 'not_seen_long_enough'],
    ['not seen now', zone, { first_seen: daysAgo(90), last_seen: NOW - 1 }, intent, 'not_seen_long_enough'],
    ['seen first in the future', zone, { first_seen: daysAgo(-1), last_seen: NOW }, intent, 'not_seen_long_enough'],
    [
      'young by the keeper’s word',
      { ...zone, quarantined_at: daysAgo(5) },
      seen(40),
      intent,
      'quarantined_too_recently',
    ],
    [
      'in quarantine since tomorrow',
      { ...zone, quarantined_at: daysAgo(-1) },
      seen(40),
      intent,
      'quarantined_too_recently',
    ],
    ['without an intent in the log', zone, seen(40), null, 'no_intent'],
    ['with a young intent', zone, seen(40), { ...intent, time: daysAgo(30) }, 'intent_too_young'],
    ['with an intent from the future', zone, seen(40), { ...intent, time: daysAgo(-40) }, 'intent_too_young'],
    ['with another account’s intent', zone, seen(40), { ...intent, account: uuidv7() }, 'intent_of_another_account'],
    [
      'after a tool that does not delete',
      zone,
      seen(40),
      { ...intent, tool: 'set_dns_records' },
      'intent_of_another_tool',
    ],
    ['after another kind’s delete', zone, seen(40), { ...intent, tool: 'delete_database' }, 'intent_of_another_tool'],
    ['after the undo of its creation', zone, seen(40), { ...intent, tool: 'undo' }, 'due'],
    [
      'database after its delete',
      { ...zone, kind: 'database' },
      seen(40),
      { ...intent, tool: 'delete_database' },
      'due',
    ],
    ['table after an undo', { ...zone, kind: 'table' }, seen(40), { ...intent, tool: 'undo' }, 'due'],
    [
      'table after a database’s delete',
      { ...zone, kind: 'table' },
      seen(40),
      { ...intent, tool: 'delete_database' },
      'intent_of_another_tool',
    ],
  ]
  test.each(cases)('%s', (_, item, sighting, intent, expected) => {
    expect(because(judgeQuarantined(item, sighting, intent, WINDOW, NOW))).toBe(expected)
  })
  test('is not due under a longer window', () => {
    expect(because(judgeQuarantined(zone, seen(40), intent, 60 * DAY, NOW))).toBe('not_seen_long_enough')
  })
})

describe('a restore point', () => {
  const point = (kind: RestorePoint['kind'], name: string, days: number): RestorePoint => ({
    account_id: account,
    kind,
    name,
    sha256: '0'.repeat(64),
    created_at: daysAgo(days),
  })
  const intent: Intent = { time: daysAgo(40), account, tool: 'anything' }
  const name = `${operation}.thing`
  const none = new Set<string>()
  const snapshots: [string, RestorePoint, Sighting | undefined, Intent | null, ReadonlySet<string>, string][] = [
    ['old in every way', point('snapshot', name, 40), seen(40), intent, none, 'due'],
    ['not seen long enough', point('snapshot', name, 40), seen(30.9), intent, none, 'not_seen_long_enough'],
    ['young by the vault’s word', point('snapshot', name, 30), seen(40), intent, none, 'stored_too_recently'],
    [
      'of an operation that is still in quarantine',
      point('snapshot', name, 40),
      seen(40),
      intent,
      new Set([operation]),
      'quarantine_needs_it',
    ],
    ['whose operation the log does not know', point('snapshot', name, 40), seen(40), null, none, 'no_intent'],
    ['whose name is no operation’s', point('snapshot', 'manual-copy', 40), seen(40), intent, none, 'no_intent'],
    [
      'of another account’s operation',
      point('snapshot', name, 40),
      seen(40),
      { ...intent, account: uuidv7() },
      none,
      'intent_of_another_account',
    ],
    [
      'with a young intent',
      point('snapshot', name, 40),
      seen(40),
      { ...intent, time: daysAgo(3) },
      none,
      'intent_too_young',
    ],
  ]
  test.each(snapshots)('snapshot %s', (_, item, sighting, intent, inQuarantine, expected) => {
    expect(because(judgeSnapshot(item, sighting, intent, inQuarantine, WINDOW, NOW))).toBe(expected)
  })

  const base = (days: number) => point('base', `b${days}`, days)
  const wal = (days: number, name = 'w') => point('wal', name, days)
  const recovery: [string, RestorePoint, Sighting, RestorePoint[], string][] = [
    ['the only base', base(400), seen(90), [base(400)], 'recovery_needs_it'],
    ['a base that a covering one follows', base(90), seen(90), [base(60), base(90)], 'due'],
    ['a base that a too young one follows', base(90), seen(90), [base(20), base(90)], 'recovery_needs_it'],
    ['a base seen too briefly', base(90), seen(10), [base(60), base(90)], 'not_seen_long_enough'],
    ['WAL before every base', wal(62), seen(62), [base(60)], 'due'],
    ['WAL while the oldest base was copied', wal(60.5), seen(60.5), [base(60)], 'recovery_needs_it'],
    ['WAL after the oldest base', wal(50), seen(50), [base(60), base(40)], 'recovery_needs_it'],
    ['WAL without a base', wal(400), seen(90), [], 'recovery_needs_it'],
    ['timeline history', wal(400, '00000002.history'), seen(90), [base(60)], 'recovery_needs_it'],
    [
      'timeline history of a named cluster',
      wal(400, '00000002.history.7411'),
      seen(90),
      [base(60)],
      'recovery_needs_it',
    ],
    ['WAL before every base, seen too briefly', wal(62), seen(30), [base(60)], 'not_seen_long_enough'],
  ]
  test.each(recovery)('%s', (_, item, sighting, bases, expected) => {
    expect(because(judgeRecovery(item, sighting, bases, WINDOW, NOW))).toBe(expected)
  })
})

describe('what was seen', () => {
  const table: Sightings = { a: { first_seen: daysAgo(20), last_seen: daysAgo(1) } }
  test('keeps its count from day to day', () => {
    expect(observe(table, ['a'], NOW)).toEqual({ a: { first_seen: daysAgo(20), last_seen: NOW } })
  })
  test('starts anew after a day without a sighting, though hours alone would not do it', () => {
    const lateOnMonday = Date.UTC(2026, 5, 1, 23, 59)
    const before: Sightings = { a: { first_seen: 0, last_seen: lateOnMonday } }
    const tuesdayNight = Date.UTC(2026, 5, 2, 23, 59, 59)
    const wednesday = Date.UTC(2026, 5, 3, 0, 0, 0)
    expect(observe(before, ['a'], tuesdayNight)['a']!.first_seen).toBe(0)
    expect(observe(before, ['a'], wednesday)['a']!.first_seen).toBe(wednesday)
  })
  test('is forgotten when it is gone, so that its return starts anew', () => {
    const gone = observe(table, [], NOW)
    expect(gone).toEqual({})
    expect(observe(gone, ['a'], NOW + 1)['a']!.first_seen).toBe(NOW + 1)
  })
  test('starts anew when the table speaks of the future or contradicts itself', () => {
    for (const odd of [
      { first_seen: daysAgo(20), last_seen: NOW + 1 },
      { first_seen: NOW, last_seen: daysAgo(1) },
    ])
      expect(observe({ a: odd }, ['a'], NOW)['a']!.first_seen).toBe(NOW)
  })
  test('does not take an inherited name for a sighting', () => {
    expect(observe({}, ['constructor', '__proto__x'], NOW)).toEqual({
      constructor: { first_seen: NOW, last_seen: NOW },
      __proto__x: { first_seen: NOW, last_seen: NOW },
    })
  })
})
