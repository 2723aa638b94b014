// Composition root of the egress proxy. It has no key, no state and no secret: only an address to listen on.
import { runMain } from '@bailiwick/kernel/config'
import { createLogger } from '@bailiwick/kernel/logger'
import { loadConfig } from './config.ts'
import { startProxy } from './proxy.ts'
import { resolveThrough } from './resolve.ts'

await runMain('egress', async () => {
  const config = loadConfig()
  const logger = createLogger('egress')
  const proxy = await startProxy({ listen: config.listen, logger, resolve: resolveThrough(config.resolver) })
  logger.info('ready', { port: proxy.port })
  process.once('SIGTERM', () => void proxy.close().then(() => process.exit(0)))
})
