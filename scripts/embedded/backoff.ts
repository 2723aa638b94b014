// When a part that died is started again. Pure.

const STEADY_MS = 60_000
const FIRST_MS = 200
const LONGEST_MS = 10_000
const LOOP_DEATHS = 5
const LOOP_MS = 30_000

export type Deaths = { readonly at: readonly number[]; readonly inARow: number; readonly loop: boolean }
export const NO_DEATHS: Deaths = { at: [], inARow: 0, loop: false }

/**
 * 0.2 s, doubling to 10 s. Five deaths within 60 s are a crash loop: every 30 s from then on, until it stays up for a minute.
 * `bornAt` and `now` in milliseconds.
 */
export function countDeath(before: Deaths, bornAt: number, now: number): { deaths: Deaths; delayMs: number } {
  const wasSteady = now - bornAt >= STEADY_MS
  const at = [...before.at.filter((time) => now - time < STEADY_MS), now]
  const inARow = wasSteady ? 1 : before.inARow + 1
  const loop = !wasSteady && (before.loop || at.length >= LOOP_DEATHS)
  const delayMs = loop ? LOOP_MS : Math.min(LONGEST_MS, FIRST_MS * 2 ** (inARow - 1))
  return { deaths: { at, inARow, loop }, delayMs }
}
