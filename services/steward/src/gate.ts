// Whether this steward takes changes: not while an outcome is owed to the log, and never again once a resource turned out to
// belong to another account than the permit's. Reads go on.
import { deny, type Denial } from '@bailiwick/contracts/problem'
import type { AccountId, OperationId } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'

type Owed = { readonly id: OperationId; readonly account: AccountId }

export type Gate = {
  /** Null: go ahead. */
  refusal(): Denial | null
  /** An effect stands whose outcome the log does not have. */
  owe(operation: Owed): void
  settle(operationId: string): void
  owed(): readonly Owed[]
  /** For good: only a restart, by a human who looked, opens it again. */
  halt(reason: string): void
}

export function createGate(logger: Logger): Gate {
  const owed = new Map<string, Owed>()
  let halted: string | null = null
  return {
    refusal() {
      if (halted !== null)
        return deny('INTERNAL', { detail: 'Changes are stopped; an operator must look.', why: halted })
      if (owed.size === 0) return null
      return deny('AUDIT_UNAVAILABLE', { retry_after_s: 5, why: `${owed.size} outcome(s) not yet in the log` })
    },
    owe({ id, account }) {
      owed.set(id, { id, account })
      logger.error('outcome_owed', { operation: id, owed: owed.size })
    },
    settle: (operationId) => void owed.delete(operationId),
    owed: () => [...owed.values()],
    halt(reason) {
      halted = reason
      logger.error('steward_halted', { reason })
    },
  }
}
