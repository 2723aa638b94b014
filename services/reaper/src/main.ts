// Composition root of the reaper. It listens to nobody: what cannot be asked cannot be talked into anything.
import { uptime } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { auditDoor } from '@bailiwick/contracts/doors/audit'
import { keeperPurgeDoor } from '@bailiwick/contracts/doors/keeper'
import { vaultExpiryDoor } from '@bailiwick/contracts/doors/vault'
import { readArrowKey, runMain } from '@bailiwick/kernel/config'
import { connectDoor } from '@bailiwick/kernel/door'
import { createLogger } from '@bailiwick/kernel/logger'
import { clockGuard } from './clock-guard.ts'
import { loadConfig } from './config.ts'
import { createReaper } from './reap.ts'
import { sightingsFile } from './sightings-file.ts'

/** After a round that failed, because a peer is down or still starting. */
const RETRY_MS = 60_000

await runMain('reaper', async () => {
  const config = loadConfig()
  const logger = createLogger('reaper')
  const arrow = (callee: string) => ({ caller: 'reaper', key: readArrowKey(config.keysDir, 'reaper', callee) })
  const doors = {
    keeper: connectDoor({ door: keeperPurgeDoor, url: config.keeperPurgeUrl, ...arrow('keeper-purge') }),
    vault: connectDoor({ door: vaultExpiryDoor, url: config.vaultExpiryUrl, ...arrow('vault-expiry') }),
    audit: connectDoor({ door: auditDoor, url: config.auditUrl, ...arrow('audit') }),
  }
  const reaper = createReaper({
    doors,
    guard: clockGuard(config.stateDir, { wall: () => Date.now(), running: () => uptime() * 1000 }, logger),
    quarantine: sightingsFile(`${config.stateDir}/quarantine.json`, logger),
    restorePoints: sightingsFile(`${config.stateDir}/restore-points.json`, logger),
    windowMs: config.windowMs,
    logger,
  })
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  logger.info('ready', { interval_ms: config.intervalMs, window_ms: config.windowMs })

  while (!stop.signal.aborted) {
    let pauseMs = config.intervalMs
    try {
      logger.info('round', await reaper.round())
    } catch (error) {
      logger.warn('round_failed', { error: String(error) })
      pauseMs = Math.min(config.intervalMs, RETRY_MS)
    }
    await delay(pauseMs, undefined, { signal: stop.signal }).catch(() => undefined)
  }
  for (const door of Object.values(doors)) door.close()
  process.exit(0)
})
