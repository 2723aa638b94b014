// The keeper: the hands that hold the backends' owner credentials. Composition root.
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { keeperDoor, keeperPurgeDoor } from '@bailiwick/contracts/doors/keeper'
import { vaultDoor } from '@bailiwick/contracts/doors/vault'
import { systemClock } from '@bailiwick/kernel/clock'
import { readArrowKey, runMain } from '@bailiwick/kernel/config'
import { connectDoor, serveDoor } from '@bailiwick/kernel/door'
import { createLogger } from '@bailiwick/kernel/logger'
import { openSealedFile, readUnsealKey } from '@bailiwick/kernel/secrets'
import { startBaseBackups, type BaseBackups } from './base-backups.ts'
import { openClusters } from './clusters.ts'
import { loadConfig } from './config.ts'
import type { Hands } from './databases/step.ts'
import { createHandlers } from './http.ts'
import { openOperations } from './operations.ts'
import { createPurge } from './purge.ts'
import { createZoneVerbs } from './zones/zones.ts'

await runMain('keeper', async () => {
  const config = loadConfig()
  const logger = createLogger('keeper')
  const secrets = openSealedFile(config.BAILIWICK_SECRETS_FILE, readUnsealKey(config.BAILIWICK_UNSEAL_FD))
  const arrow = (caller: string, callee: string): Buffer => readArrowKey(config.BAILIWICK_KEYS_DIR, caller, callee)
  const [stewardKey, reaperKey, vaultKey] = [
    arrow('steward', 'keeper'),
    arrow('reaper', 'keeper-purge'),
    arrow('keeper', 'vault'),
  ]
  const apiKey = await secrets.get('powerdns_api_key')
  const stateDir = config.BAILIWICK_STATE_DIR
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  chmodSync(stateDir, 0o700)
  const scratchDir = `${stateDir}/scratch`
  // Dumps and recoveries that a crash left half made; none of them is anybody's only copy.
  rmSync(scratchDir, { recursive: true, force: true })

  const vault = connectDoor({
    door: vaultDoor,
    url: config.BAILIWICK_VAULT_URL,
    caller: 'keeper',
    key: vaultKey,
  })
  const operations = openOperations({ file: `${stateDir}/operations.log` })
  let bases: BaseBackups | undefined
  const clusters = await openClusters({
    stateDir,
    secrets,
    ports: config.BAILIWICK_CLUSTER_PORTS,
    host: config.BAILIWICK_CLUSTER_HOST,
    runAs: null,
    vault: { url: config.BAILIWICK_VAULT_URL, key: vaultKey },
    logger,
    onReady: (cluster) => bases?.want(cluster),
  })
  bases = startBaseBackups({ vault, clusters: clusters.all, scratchDir, clock: systemClock, logger })
  const hands: Hands = { clusters, vault, scratchDir, runAs: null, clock: systemClock, logger }
  const zones = createZoneVerbs({
    powerdnsUrl: config.BAILIWICK_POWERDNS_URL,
    apiKey,
    vault,
    operations,
    resolver: config.BAILIWICK_DNS_RESOLVER ?? null,
    egress: config.BAILIWICK_EGRESS_URL,
    ...(config.BAILIWICK_NAME_SERVERS ? { nameServers: config.BAILIWICK_NAME_SERVERS } : {}),
    stateDir,
    logger,
    clock: systemClock,
  })
  const first = await serveDoor({
    door: keeperDoor,
    listen: config.BAILIWICK_LISTEN,
    keys: { steward: stewardKey },
    handlers: createHandlers(hands, operations, zones),
    logger,
  })
  const second = await serveDoor({
    door: keeperPurgeDoor,
    listen: config.BAILIWICK_LISTEN_SECOND,
    keys: { reaper: reaperKey },
    handlers: createPurge(hands, operations, zones),
    logger,
  })
  logger.info('keeper_ready', { port: first.port, clusters: clusters.all().length })

  process.once('SIGTERM', () => {
    const close = async (): Promise<void> => {
      await Promise.all([second.close(), first.close()])
      await operations.close()
      await bases.close()
      await clusters.close()
      vault.close()
      process.exit(0)
    }
    close().catch((error: unknown) => {
      logger.error('keeper_not_closed', {}, error)
      process.exit(1)
    })
  })
})
