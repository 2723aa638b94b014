// What the pipeline works with, built by hand in main.ts and in tests.
import type { auditDoor } from '@bailiwick/contracts/doors/audit'
import type { keeperDoor } from '@bailiwick/contracts/doors/keeper'
import type { policyDoor } from '@bailiwick/contracts/doors/policy'
import type { vaultDoor } from '@bailiwick/contracts/doors/vault'
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import type { Clock } from '@bailiwick/kernel/clock'
import type { Client } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import type { Database } from './database.ts'
import type { Tool } from './define-tool.ts'
import type { Gate } from './gate.ts'
import type { Journal } from './journal.ts'

export type Keeper = Client<typeof keeperDoor>
export type Policy = Pick<Client<typeof policyDoor>, 'stillValid' | 'assess' | 'describe' | 'readApproval'>
export type Audit = Pick<Client<typeof auditDoor>, 'intend' | 'outcome' | 'append' | 'query'>
export type Vault = Pick<Client<typeof vaultDoor>, 'verify'>

export type Deps = {
  readonly clock: Clock
  readonly logger: Logger
  readonly database: Database
  readonly journal: Journal
  readonly gate: Gate
  readonly keeper: Keeper
  readonly policy: Policy
  readonly audit: Audit
  readonly vault: Vault
  readonly catalog: LoadedCatalog
  readonly tools: ReadonlyMap<string, Tool>
}
