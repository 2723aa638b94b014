// An expected no, thrown inside a verb and turned into `{ok: false}` at http.ts. Nothing was changed when it is thrown.
import type { KeeperRefusal } from '@bailiwick/contracts/doors/keeper'

export type Conflicts = NonNullable<KeeperRefusal['conflicts']>
/** A row as JSON. */
export type JsonRow = Conflicts[number]

/** `code` is one of contracts/codes.ts; `detail` is safe for the caller: no text of a backend, no other account's names. */
export class Refusal extends Error {
  readonly code: string
  readonly detail: string
  readonly conflicts: Conflicts | undefined
  constructor(code: string, detail: string, conflicts?: Conflicts) {
    super(`${code}: ${detail}`)
    this.name = 'Refusal'
    this.code = code
    this.detail = detail
    this.conflicts = conflicts
  }
}
