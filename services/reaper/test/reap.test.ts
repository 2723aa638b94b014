import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { OperationId, uuidv7 } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'
import { DAY, fakeWorld, reaperOn, START, type FakeWorld } from './helpers.ts'

let world: FakeWorld
let reaper: ReturnType<typeof reaperOn>
const events: string[] = []
const logger: Logger = {
  info: () => undefined,
  warn: (event) => void events.push(event),
  error: (event) => void events.push(event),
}
beforeEach(() => {
  events.length = 0
  world = fakeWorld()
  reaper = reaperOn(world.doors, { logger })
})
afterEach(() => reaper.remove())

describe('the reaper', () => {
  test('purges what it saw on every day of the window and its margin, not a round before, and says so in the log first', async () => {
    const item = world.deleteZone(START)
    await reaper.live(30.5, DAY / 2)
    expect(world.quarantined).toHaveLength(1)
    expect(world.log).toEqual([])
    await reaper.live(0.5, DAY / 2)
    expect(world.quarantined).toEqual([])
    const [announced, ended] = world.log
    expect(announced).toMatchObject({
      kind: 'purge',
      account: item.account_id,
      operation_id: item.operation_id,
      status: null,
      personal: { resource_kind: 'zone', resource: item.target },
    })
    expect(ended).toMatchObject({ kind: 'purge', status: 200, operation_id: item.operation_id })
    expect(world.history.indexOf('append')).toBeLessThan(world.history.indexOf('purge'))
  })
  test('expires the snapshot only after the thing itself is gone', async () => {
    world.deleteZone(START)
    world.fail('purge', 'refuses')
    await reaper.live(40)
    expect(world.points).toHaveLength(1)
    world.heal()
    await reaper.live(1)
    expect(world.quarantined).toEqual([])
    expect(world.points).toEqual([])
    const entries = world.log.map(({ personal, status }) => [personal.resource_kind, status])
    expect(entries.slice(-4)).toEqual([
      ['zone', null],
      ['zone', 200],
      ['snapshot', null],
      ['snapshot', 200],
    ])
  })
  test('starts its count anew after a day on which it did not look', async () => {
    world.deleteZone(START)
    await reaper.live(29)
    reaper.pass(2 * DAY)
    await reaper.live(30)
    expect(world.quarantined).toHaveLength(1)
    await reaper.live(1)
    expect(world.quarantined).toEqual([])
  })
  test('starts its count anew after a day on which the keeper did not answer', async () => {
    world.deleteZone(START)
    await reaper.live(29)
    world.fail('list_quarantined', 'failsBefore')
    for (let half = 0; half < 5; half += 1) {
      reaper.pass(DAY / 2)
      await expect(reaper.round()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
    }
    world.heal()
    await reaper.live(30)
    expect(world.quarantined).toHaveLength(1)
  })
  test('does not count the days before something was restored and deleted again', async () => {
    const item = world.deleteZone(START)
    await reaper.live(20)
    world.quarantined.length = 0
    await reaper.live(1)
    const operation_id = OperationId.parse(uuidv7())
    const now = reaper.clock.now()
    world.quarantined.push({ ...item, operation_id, quarantined_at: now })
    world.intents.set(operation_id, { time: now, account: item.account_id, tool: 'delete_domain' })
    await reaper.live(30)
    expect(world.quarantined).toHaveLength(1)
  })
  test('remembers over restarts', async () => {
    world.deleteZone(START)
    for (let day = 0; day < 31; day += 1) {
      await reaper.live(1)
      reaper.restart()
    }
    await reaper.round()
    expect(world.quarantined).toEqual([])
  })
  test.each([
    ['no intent in the log', undefined],
    ['an intent of another account', { account: uuidv7() }],
    ['an intent of a tool that does not delete', { tool: 'set_dns_records' }],
    ['an intent that is younger than the keeper says', { time: START + 5 * DAY }],
  ])('with %s purges nothing, however long it has seen it', async (_, change) => {
    const item = world.deleteZone(START)
    if (change) world.intents.set(item.operation_id, { ...world.intents.get(item.operation_id)!, ...change })
    else world.intents.clear()
    await reaper.live(change && 'time' in change ? 35 : 60)
    expect(world.quarantined).toHaveLength(1)
    expect(world.log.filter(({ personal }) => personal.resource_kind === 'zone')).toEqual([])
  })
})

describe('when something fails', () => {
  test.each(['failsBefore', 'refuses'] as const)(
    'and the log cannot be written (%s), nothing is destroyed',
    async (mode) => {
      world.deleteZone(START)
      await reaper.live(30)
      world.fail('append', mode)
      reaper.pass(DAY)
      await expect(reaper.round()).rejects.toThrow()
      expect(world.quarantined).toHaveLength(1)
      expect(world.points).toHaveLength(1)
      expect(world.history).not.toContain('purge')
      world.heal()
      await reaper.round()
      expect(world.quarantined).toEqual([])
    },
  )
  test('and the log took the entry but did not answer, nothing is destroyed either', async () => {
    world.deleteZone(START)
    await reaper.live(30)
    world.fail('append', 'failsAfterEffect')
    reaper.pass(DAY)
    await expect(reaper.round()).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
    expect(world.quarantined).toHaveLength(1)
  })
  test('and intents cannot be read, nothing is destroyed', async () => {
    world.deleteZone(START)
    world.fail('intent_of', 'failsBefore')
    await reaper.live(30)
    reaper.pass(DAY)
    await expect(reaper.round()).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
    expect(world.quarantined).toHaveLength(1)
  })
  test('and the keeper refuses one purge, the log says so and the others go on', async () => {
    world.deleteZone(START)
    world.deleteZone(START)
    await reaper.live(30)
    world.fail('purge', 'refuses')
    reaper.pass(DAY)
    expect(await reaper.round()).toMatchObject({ purged: 0, failed: 2 })
    expect(world.log.map(({ status, code }) => [status, code])).toEqual([
      [null, null],
      [500, 'TOO_YOUNG'],
      [null, null],
      [500, 'TOO_YOUNG'],
    ])
  })
  test('and a purge was done but not answered, the next round finds it done', async () => {
    world.deleteZone(START)
    await reaper.live(30)
    world.fail('purge', 'failsAfterEffect')
    reaper.pass(DAY)
    expect(await reaper.round()).toMatchObject({ failed: 1 })
    world.heal()
    expect(await reaper.round()).toMatchObject({ purged: 0, failed: 0 })
  })
  test('and the table of sightings is damaged, every count starts anew and the log says so', async () => {
    world.deleteZone(START)
    for (const damage of [
      (text: string) => text.slice(0, 40),
      (text: string) => text.replace(/"first_seen":\d+/, '"first_seen":1'),
      () => '',
      () => '[]',
    ]) {
      await reaper.live(20)
      const file = `${reaper.stateDir}/quarantine.json`
      writeFileSync(file, damage(readFileSync(file, 'utf8')))
      events.length = 0
      await reaper.round()
      expect(events).toContain('sightings_damaged')
    }
    await reaper.live(30)
    expect(world.quarantined).toHaveLength(1)
    await reaper.live(1)
    expect(world.quarantined).toEqual([])
  })
})

describe('a clock step', () => {
  const halted = (): string => `${reaper.stateDir}/halted`

  test.each([
    ['forward by a month', 40 * DAY],
    ['forward by two minutes', 120_000],
    ['back by two minutes', -120_000],
    ['back by a year', -365 * DAY],
  ])('%s halts it until a human has removed the file', async (_, stepMs) => {
    world.deleteZone(START)
    await reaper.live(29)
    reaper.pass(600_000)
    reaper.step(stepMs)
    expect(await reaper.round()).toMatchObject({ halted: true })
    expect(existsSync(halted())).toBe(true)
    reaper.step(-stepMs)
    reaper.pass(600_000)
    expect(await reaper.round()).toMatchObject({ halted: true })
    reaper.restart()
    expect(await reaper.round()).toMatchObject({ halted: true })
    expect(world.quarantined).toHaveLength(1)
    rmSync(halted())
    expect(await reaper.round()).toMatchObject({ halted: false })
    await reaper.live(2)
    expect(world.quarantined).toEqual([])
  })
  test('that stays forward after the human has let it go on makes nothing due', async () => {
    world.deleteZone(START)
    await reaper.live(5)
    reaper.step(60 * DAY)
    expect(await reaper.round()).toMatchObject({ halted: true })
    rmSync(halted())
    expect(await reaper.round()).toMatchObject({ halted: false, purged: 0 })
    await reaper.live(30)
    expect(world.quarantined).toHaveLength(1)
  })
  test('forward while it was not running makes nothing due', async () => {
    world.deleteZone(START)
    await reaper.live(5)
    reaper.restart()
    reaper.step(60 * DAY)
    expect(await reaper.round()).toMatchObject({ halted: false, purged: 0 })
    expect(world.quarantined).toHaveLength(1)
  })
  test('back while it was not running halts it', async () => {
    await reaper.round()
    reaper.restart()
    reaper.step(-1000)
    expect(await reaper.round()).toMatchObject({ halted: true })
  })
  test('of less than a minute, or a long sleep of the machine, is none', async () => {
    await reaper.round()
    reaper.step(59_000)
    reaper.pass(5 * DAY)
    expect(await reaper.round()).toMatchObject({ halted: false })
  })
})
