// Time as a dependency: tests step it, nothing sleeps.

export type Clock = { /** Milliseconds since the epoch. */ now(): number }

export const systemClock: Clock = { now: () => Date.now() }

/** A clock that moves only when told. */
export function fakeClock(start = Date.UTC(2026, 0, 1)): Clock & { advance(ms: number): void; set(ms: number): void } {
  let time = start
  return {
    now: () => time,
    advance: (ms) => {
      time += ms
    },
    set: (ms) => {
      time = ms
    },
  }
}
