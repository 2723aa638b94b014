// What policy's steps work with; put together by hand in main.ts.
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import type { Clock } from '@bailiwick/kernel/clock'
import type { Logger } from '@bailiwick/kernel/logger'
import type { Database } from './database.ts'
import type { AccessTokens } from './identity/access-tokens.ts'
import type { Apps } from './identity/apps.ts'
import type { LastUse } from './last-use.ts'
import type { Limits } from './limits.ts'
import type { Audit, Refusals } from './refusals.ts'
import type { Status } from './status.ts'

export type Deps = {
  readonly clock: Clock
  readonly logger: Logger
  readonly catalog: LoadedCatalog
  readonly database: Database
  readonly limits: Limits
  readonly status: Status
  readonly audit: Audit
  readonly refusals: Refusals
  readonly lastUse: LastUse
  readonly apps: Apps
  /** Null where no identity provider is configured. */
  readonly accessTokens: AccessTokens | null
  /** 32 bytes, shared with the steward only. */
  readonly permitKey: Buffer
  /** 32 bytes, policy's own. */
  readonly tokenKey: Buffer
}
