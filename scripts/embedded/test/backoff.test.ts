import { countDeath, NO_DEATHS } from '../backoff.ts'

/** Delays and the last state when a part dies `count` times, each time after living `livesMs`. */
function dieAgain(count: number, livesMs: number): { delays: number[]; loop: boolean; at: number } {
  let deaths = NO_DEATHS
  let now = 1_000_000
  const delays: number[] = []
  for (let index = 0; index < count; index += 1) {
    const bornAt = now
    now += livesMs
    const counted = countDeath(deaths, bornAt, now)
    deaths = counted.deaths
    delays.push(counted.delayMs)
    now += counted.delayMs
  }
  return { delays, loop: deaths.loop, at: now }
}

test('the delay doubles from 0.2 s', () => {
  expect(dieAgain(4, 10).delays).toEqual([200, 400, 800, 1600])
})

test('the fifth death within 60 s is a crash loop, tried every 30 s', () => {
  expect(dieAgain(4, 10).loop).toBe(false)
  const { delays, loop } = dieAgain(8, 10)
  expect(loop).toBe(true)
  expect(delays.slice(4)).toEqual([30_000, 30_000, 30_000, 30_000])
})

test('slow deaths are no loop, and the delay never exceeds 10 s', () => {
  const { delays, loop } = dieAgain(12, 20_000)
  expect(loop).toBe(false)
  expect(Math.max(...delays)).toBe(10_000)
})

test('a minute of life forgets the deaths before it', () => {
  let deaths = NO_DEATHS
  for (let index = 0; index < 6; index += 1) deaths = countDeath(deaths, index * 100, index * 100 + 10).deaths
  expect(deaths.loop).toBe(true)
  expect(countDeath(deaths, 100_000, 160_000)).toMatchObject({ delayMs: 200, deaths: { loop: false, inARow: 1 } })
})
