// The audit service with a dishonest commit, to be run in place of src/main.ts by crash tests that must then fail.
import { runMain } from '@bailiwick/kernel/config'
import { createLogger } from '@bailiwick/kernel/logger'
import { openSealedFile, readUnsealKey } from '@bailiwick/kernel/secrets'
import { loadConfig } from '../src/config.ts'
import { startAudit } from '../src/service.ts'
import { acknowledgeBeforeCommit } from './dishonest-commit.ts'

await runMain('audit', async () => {
  const config = loadConfig()
  const logger = createLogger('audit')
  const secrets = openSealedFile(config.secretsFile, readUnsealKey(config.unsealFd))
  const service = await startAudit({ config, secrets, logger, commit: acknowledgeBeforeCommit(50) })
  logger.info('listening', { port: service.port })
  process.once('SIGTERM', () => {
    void service.close().then(() => process.exit(0))
  })
})
