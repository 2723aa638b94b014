// Composition root of the gateway.
import { readFileSync } from 'node:fs'
import { loadCatalog } from '@bailiwick/contracts/catalog'
import { policyDoor } from '@bailiwick/contracts/doors/policy'
import { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { readArrowKey, runMain } from '@bailiwick/kernel/config'
import { connectDoor } from '@bailiwick/kernel/door'
import { createLogger } from '@bailiwick/kernel/logger'
import { loadConfig } from './config.ts'
import { createApp, listen } from './http.ts'

/** A call may start a cluster or restore a database; the edge waits a little longer than this. */
const EXECUTE_TIMEOUT_MS = 120_000
const DECIDE_TIMEOUT_MS = 10_000

await runMain('gateway', async () => {
  const config = loadConfig()
  const logger = createLogger('gateway')
  const keys = config.BAILIWICK_KEYS_DIR
  const policy = connectDoor({
    door: policyDoor,
    url: config.BAILIWICK_POLICY_URL,
    caller: 'gateway',
    key: readArrowKey(keys, 'gateway', 'policy'),
    timeoutMs: DECIDE_TIMEOUT_MS,
  })
  const watcher = connectDoor({
    door: policyDoor,
    url: config.BAILIWICK_POLICY_URL,
    caller: 'gateway',
    key: readArrowKey(keys, 'gateway', 'policy'),
  })
  const steward = connectDoor({
    door: stewardDoor,
    url: config.BAILIWICK_STEWARD_URL,
    caller: 'gateway',
    key: readArrowKey(keys, 'gateway', 'steward'),
    timeoutMs: EXECUTE_TIMEOUT_MS,
  })
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const app = createApp({
    doors: { policy, watcher, steward, logger },
    catalog: loadCatalog(),
    publicUrl: config.BAILIWICK_PUBLIC_URL,
    issuer: config.BAILIWICK_ISSUER,
    securityContact: config.BAILIWICK_SECURITY_CONTACT,
    localNames: config.BAILIWICK_LOCAL_NAMES,
    trustedHops: config.BAILIWICK_TRUSTED_HOPS,
    maxInFlight: config.BAILIWICK_MAX_IN_FLIGHT,
    maxStreams: config.BAILIWICK_MAX_STREAMS,
    version,
  })
  const server = await listen(app, config.BAILIWICK_LISTEN)
  logger.info('listening', { port: server.port })
  process.once('SIGTERM', () => {
    void server.close().then(() => {
      policy.close()
      watcher.close()
      steward.close()
      logger.info('stopped')
      process.exit(0)
    })
  })
})
