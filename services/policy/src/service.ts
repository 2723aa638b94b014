// Policy put together by hand from its parts, without environment or process: main.ts runs one, tests run several.
import { auditDoor } from '@bailiwick/contracts/doors/audit'
import { adminDoor, policyDoor } from '@bailiwick/contracts/doors/policy'
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import type { Clock } from '@bailiwick/kernel/clock'
import { ConfigError } from '@bailiwick/kernel/config'
import { connectDoor, serveDoor } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import { adminHandlers } from './admin/http.ts'
import { findCatalogFaults } from './checks/risk.ts'
import type { loadConfig } from './config.ts'
import { connectDatabase } from './database.ts'
import type { Deps } from './deps.ts'
import { policyHandlers } from './http.ts'
import { startJobs } from './jobs.ts'
import { createLastUse } from './last-use.ts'
import { connectLimits } from './limits.ts'
import { createRefusals } from './refusals.ts'
import { createStatus } from './status.ts'

type Config = Awaited<ReturnType<typeof loadConfig>>

export type Parts = {
  readonly clock: Clock
  readonly logger: Logger
  readonly catalog: LoadedCatalog
  valkeyPrefix?: string
}

/** Starts a policy service. PostgreSQL, Valkey and audit may come up later: until then calls are refused with their codes. */
export async function startPolicy(config: Config, parts: Parts) {
  const { clock, logger, catalog, valkeyPrefix } = parts
  const faults = findCatalogFaults(catalog)
  if (faults.length > 0) throw new ConfigError('catalog', faults.join('; '))

  const database = connectDatabase({ url: config.databaseUrl, logger })
  const limits = connectLimits({
    url: config.valkeyUrl,
    logger,
    ...(config.valkeyPassword === undefined ? {} : { password: config.valkeyPassword }),
    ...(valkeyPrefix === undefined ? {} : { prefix: valkeyPrefix }),
  })
  const audit = connectDoor({ door: auditDoor, url: config.auditUrl, caller: 'policy', key: config.keys.audit })
  const status = createStatus({ database, limits, logger })
  const refusals = createRefusals({ audit, clock, catalogHash: catalog.hash, logger })
  const lastUse = createLastUse({ database, logger })
  const { permitKey, tokenKey } = config
  const deps: Deps = {
    clock,
    logger,
    catalog,
    database,
    limits,
    status,
    audit,
    refusals,
    lastUse,
    permitKey,
    tokenKey,
  }

  const door = await serveDoor({
    door: policyDoor,
    listen: config.listen,
    keys: { gateway: config.keys.gateway, steward: config.keys.steward },
    handlers: policyHandlers(deps),
    logger,
  })
  const admin = await serveDoor({
    door: adminDoor,
    listen: { path: config.adminSocket },
    keys: { admin: config.keys.admin },
    handlers: adminHandlers(deps),
    logger,
  })
  const stopJobs = startJobs(deps)
  return {
    deps,
    port: door.port,
    /** In reverse: no more calls, then what is in memory is written, then the connections. */
    async close(): Promise<void> {
      await Promise.all([door.close(), admin.close()])
      await stopJobs()
      status.close()
      audit.close()
      limits.close()
      await database.close()
    },
  }
}
