// Policy put together by hand from its parts, without environment or process: main.ts runs one, tests run several.
import { auditDoor } from '@bailiwick/contracts/doors/audit'
import { adminDoor, policyDoor } from '@bailiwick/contracts/doors/policy'
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import type { Clock } from '@bailiwick/kernel/clock'
import { ConfigError } from '@bailiwick/kernel/config'
import { connectDoor, serveDoor } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import { adminHandlers } from './admin/http.ts'
import { findCatalogFaults, type leastRisk } from './checks/risk.ts'
import type { IdentityConfig, loadConfig } from './config.ts'
import { connectDatabase } from './database.ts'
import type { Deps } from './deps.ts'
import { policyHandlers } from './http.ts'
import { startJobs } from './jobs.ts'
import { createApps } from './identity/apps.ts'
import { startIdentity } from './identity/identity.ts'
import { createLastUse } from './last-use.ts'
import { connectLimits } from './limits.ts'
import { createRefusals } from './refusals.ts'
import { POLICY_HASH } from './rules.ts'
import { createStatus } from './status.ts'
import { createWatches, MAX_WATCHES } from './watch.ts'

/** Calls of the deciding door at a time. */
const MAX_IN_FLIGHT = 256

/** Without `identity` there are personal tokens only. */
type Config = Omit<Awaited<ReturnType<typeof loadConfig>>, 'identity'> & { readonly identity?: IdentityConfig | null }

export type Parts = {
  readonly clock: Clock
  readonly logger: Logger
  readonly catalog: LoadedCatalog
  valkeyPrefix?: string
  /** Another risk table, for catalogs that tests compose. main.ts has none to give. */
  leastRisk?: typeof leastRisk
}

/** Starts a policy service. PostgreSQL, Valkey and audit may come up later: until then calls are refused with their codes. */
export async function startPolicy(config: Config, parts: Parts) {
  const { clock, logger, catalog, valkeyPrefix } = parts
  const faults = findCatalogFaults(catalog, parts.leastRisk)
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
  const hashes = { policy_hash: POLICY_HASH, catalog_hash: catalog.hash }
  const refusals = createRefusals({ audit, clock, catalogHash: catalog.hash, logger })
  const lastUse = createLastUse({ database, logger })
  const { permitKey, tokenKey } = config
  const identity = config.identity
    ? startIdentity({ config: config.identity, clock, logger, database, status, audit, refusals, hashes })
    : null
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
    apps: createApps(database),
    accessTokens: identity?.accessTokens ?? null,
    permitKey,
    tokenKey,
  }
  const watches = createWatches(deps)

  const door = await serveDoor({
    door: policyDoor,
    listen: config.listen,
    keys: { gateway: config.keys.gateway, steward: config.keys.steward },
    handlers: policyHandlers(deps, watches),
    logger,
    // Those that wait take no place from those that act.
    maxInFlight: MAX_IN_FLIGHT + MAX_WATCHES,
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
      watches.close()
      await Promise.all([door.close(), admin.close()])
      await identity?.close()
      await stopJobs()
      status.close()
      audit.close()
      limits.close()
      await database.close()
    },
  }
}
