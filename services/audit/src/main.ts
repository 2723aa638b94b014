// The audit service: the only writer of the log.
import { runMain } from '@bailiwick/kernel/config'
import { createLogger } from '@bailiwick/kernel/logger'
import { openSealedFile, readUnsealKey } from '@bailiwick/kernel/secrets'
import { loadConfig } from './config.ts'
import { startAudit } from './service.ts'

await runMain('audit', async () => {
  const config = loadConfig()
  const logger = createLogger('audit')
  const secrets = openSealedFile(config.secretsFile, readUnsealKey(config.unsealFd))
  const service = await startAudit({ config, secrets, logger })
  logger.info('listening', { port: service.port })
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      void service.close().then(() => process.exit(0))
    })
})
