// Counts that become one entry per minute instead of one each: an unauthenticated flood must not fill the disk.
// In memory only: a crash loses at most the running minute's counts, never an entry that was promised.

export type Tallied = { readonly key: string; readonly count: number }

export type Tally = {
  /** Counts one; `count` is what `key` has in the running minute. Beyond `maxKeys` keys all others share one count. */
  add(key: string, now: number): { count: number; isShared: boolean }
  /** What the minute before held, once per minute; empty while it runs. `force` also takes the running one. */
  take(now: number, force?: boolean): Tallied[]
}

export const OTHERS = 'others'

export function createTally(maxKeys: number): Tally {
  const minutes = new Map<number, Map<string, number>>()
  const minuteOf = (now: number): number => Math.floor(now / 60_000)
  return {
    add(key, now) {
      const minute = minuteOf(now)
      const counts = minutes.get(minute) ?? new Map<string, number>()
      minutes.set(minute, counts)
      const slot = counts.has(key) || counts.size < maxKeys ? key : OTHERS
      const count = (counts.get(slot) ?? 0) + 1
      counts.set(slot, count)
      return { count, isShared: slot === OTHERS }
    },
    take(now, force = false) {
      const taken: Tallied[] = []
      for (const [minute, counts] of minutes) {
        if (minute >= minuteOf(now) && !force) continue
        minutes.delete(minute)
        for (const [key, count] of counts) taken.push({ key, count })
      }
      return taken
    },
  }
}
