// A commit that acknowledges first and writes later: the mutant that every crash test must catch.
import type { Commit } from '../src/writer.ts'

export function acknowledgeBeforeCommit(delayMs: number): Commit {
  let last: Promise<unknown> = Promise.resolve()
  return async (session, rows) => {
    last = last
      .then(() => new Promise((resolve) => setTimeout(resolve, delayMs)))
      .then(() => session.append(rows))
      .catch(() => undefined)
    return []
  }
}
