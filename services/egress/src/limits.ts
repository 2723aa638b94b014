// What one tunnel, one name and the whole proxy may take. Far above what a metadata document or a registry's answer needs.

export type Limits = typeof LIMITS

export const LIMITS = {
  /** Connections in all, and to one name: one slow name must not take every place. */
  connections: 64,
  perName: 8,
  headerBytes: 4 * 1024,
  headersMs: 5_000,
  addresses: 16,
  resolveMs: 5_000,
  connectMs: 5_000,
  idleMs: 10_000,
  totalMs: 30_000,
  /** From the far side to us, and from us to it: TLS handshakes included. */
  downBytes: 1024 * 1024,
  upBytes: 64 * 1024,
  /** How long the other direction may go on when one has ended. */
  lingerMs: 1_000,
}

/** Counts what is under way for each key. `take` gives the way to put the place back, or nothing when all are taken. */
export function createPlaces(most: number): { take(key: string): (() => void) | undefined } {
  const taken = new Map<string, number>()
  return {
    take(key) {
      const count = taken.get(key) ?? 0
      if (count >= most) return undefined
      taken.set(key, count + 1)
      let given = true
      return () => {
        if (!given) return
        given = false
        const left = taken.get(key)! - 1
        if (left === 0) taken.delete(key)
        else taken.set(key, left)
      }
    },
  }
}
