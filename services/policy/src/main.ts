// Policy's composition root: read the settings, start, stop in reverse on SIGTERM.
import { loadCatalog, type LoadedCatalog } from '@bailiwick/contracts/catalog'
import { systemClock } from '@bailiwick/kernel/clock'
import { ConfigError, runMain } from '@bailiwick/kernel/config'
import { createLogger } from '@bailiwick/kernel/logger'
import { loadConfig } from './config.ts'
import { startPolicy } from './service.ts'

await runMain('policy', async () => {
  const logger = createLogger('policy')
  const config = await loadConfig(process.env)
  const policy = await startPolicy(config, { clock: systemClock, logger, catalog: readCatalog() })
  logger.info('listening', { port: policy.port })
  const stop = (): void => {
    policy.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error('stop_failed', {}, error)
        process.exit(1)
      },
    )
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
})

function readCatalog(): LoadedCatalog {
  try {
    return loadCatalog()
  } catch (error) {
    throw new ConfigError('catalog', `cannot be read: ${String(error).slice(0, 200)}`)
  }
}
