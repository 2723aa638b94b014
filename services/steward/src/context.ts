// What a tool's handler may touch: already bound to one account and one operation. Made by the pipeline only.
import type { z } from 'zod'
import type { auditDoor } from '@bailiwick/contracts/doors/audit'
import type { keeperDoor } from '@bailiwick/contracts/doors/keeper'
import type { policyDoor } from '@bailiwick/contracts/doors/policy'
import type { Denial } from '@bailiwick/contracts/problem'
import type { Permit } from '@bailiwick/contracts/permit'
import type { Json } from '@bailiwick/kernel/canonical'
import type { AccountId, OperationId, ResourceId } from '@bailiwick/kernel/ids'

/** An expected no, from a handler or a bound client; only the pipeline catches it. */
export class Refused extends Error {
  readonly denial: Denial
  constructor(denial: Denial) {
    super(denial.code)
    this.name = 'Refused'
    this.denial = denial
  }
}

type KeeperRoutes = (typeof keeperDoor)['routes']
type KeeperVerb<R extends keyof KeeperRoutes> = (
  input: Omit<z.input<KeeperRoutes[R]['input']>, 'account_id' | 'operation_id'>,
) => Promise<Extract<z.output<KeeperRoutes[R]['output']>, { ok: true }>>
/** The keeper's verbs with account and operation filled in; its refusals come out as `Refused`. */
export type BoundKeeper = { readonly [R in Exclude<keyof KeeperRoutes, 'probe'>]: KeeperVerb<R> }

export type Resource = {
  readonly id: ResourceId
  readonly kind: string
  readonly name: string
  readonly version: number
  readonly state: 'active' | 'quarantined'
  /** Kind-specific facts that tools keep (a domain's verification, a database's limits). Never a secret. */
  readonly data: { readonly [key: string]: Json }
  readonly createdAt: number
  readonly updatedAt: number
}

export type Page<T> = { readonly items: readonly T[]; readonly nextCursor: string | null }

export type Resources = {
  /** One of the resources named by the input; loaded and checked by the pipeline. */
  get(id: string): Promise<Resource>
  /** Active, or `null`. */
  findByName(kind: string, name: string): Promise<Resource | null>
  list(kind: string, page: { limit: number; cursor: string | null }): Promise<Page<Resource>>
  /** Changes below are collected and written in the `committed` transaction, with the version's move. */
  create(resource: { id: ResourceId; kind: string; name: string; data?: { [key: string]: Json } }): void
  setState(id: string, state: 'active' | 'quarantined'): void
  setData(id: string, data: { [key: string]: Json }): void
  rename(id: string, name: string): void
}

/** A zone's history: one version per change, written in the `committed` transaction. */
export type ZoneVersion = {
  readonly version: number
  readonly at: number
  readonly operationId: string
  readonly recordSets: Json
}

export type OperationView = {
  readonly operation_id: string
  readonly tool: string
  readonly state: 'running' | 'done' | 'refused' | 'unknown'
  readonly started_at: string
  readonly finished_at: string | null
  readonly undo_until: string | null
  readonly undone_by: string | null
  readonly code: string | null
  /** What was said to the caller when it was refused after it was under way. */
  readonly detail: string | null
  /** 0..1. */
  readonly progress: number
  /** The stored answer of what is done; a secret is never among it. */
  readonly answer: { readonly [key: string]: Json } | null
  /** Of the outcome. */
  readonly receipt: number | null
  readonly scopes: readonly string[]
}

export type ToolContext = {
  readonly account: AccountId
  readonly permit: Permit
  /** Null for reads. */
  readonly operationId: OperationId | null
  /** Reserved for what this operation creates; the same after a crash. */
  readonly newResourceId: ResourceId
  readonly now: number
  readonly keeper: BoundKeeper
  readonly resources: Resources
  readonly zones: {
    versions(zoneId: string, page: { limit: number; cursor: string | null }): Promise<Page<ZoneVersion>>
    version(zoneId: string, version: number): Promise<ZoneVersion | null>
    /** Collected like the resource changes. */
    record(zoneId: string, recordSets: Json): void
  }
  readonly journal: {
    operation(id: string): Promise<OperationView | null>
    /** What can still be brought back, newest first. */
    trash(page: { limit: number; cursor: string | null }): Promise<
      Page<{
        operation_id: string
        tool: string
        kind: string
        resource_id: string
        name: string
        deleted_at: string
        undo_until: string
        scopes: readonly string[]
      }>
    >
    /** Compares the present with what the operation left, without changing anything. */
    previewUndo(id: string): Promise<{ possible: boolean; would: string; conflicts: Json[]; undo_until: string }>
  }
  /** Policy's view of the account and token behind the permit. */
  describe(): Promise<z.output<(typeof policyDoor)['routes']['describe']['output']>>
  activity(query: {
    before: number | null
    limit: number
    tool: string | null
  }): Promise<z.output<(typeof auditDoor)['routes']['query']['output']>>
  /** Ends the call with an expected no. */
  refuse(denial: Denial): never
}
