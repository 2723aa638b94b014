// What a context is bound to: one permit, one operation, the resources that were loaded for it.
import type { SealedPermit } from '@bailiwick/contracts/permit'
import type { OperationId, ResourceId } from '@bailiwick/kernel/ids'
import type { Resource } from './context.ts'
import type { Changes } from './resources.ts'

export type Binding = {
  readonly sealed: SealedPermit
  readonly operationId: OperationId | null
  readonly newResourceId: ResourceId
  readonly loaded: ReadonlyMap<string, Resource>
  /** Whether the keeper's changing verbs may be used: while snapshotting and acting. */
  readonly mayChange: boolean
  /** Null where resources may not change. */
  readonly changes: Changes | null
}
