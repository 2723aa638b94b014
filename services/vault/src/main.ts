// Composition root of the vault.
import { systemClock } from '@bailiwick/kernel/clock'
import { readArrowKey, requireStrongKey, runMain } from '@bailiwick/kernel/config'
import { createLogger } from '@bailiwick/kernel/logger'
import { openSealedFile, readUnsealKey } from '@bailiwick/kernel/secrets'
import { loadConfig } from './config.ts'
import { startVault } from './service.ts'

await runMain('vault', async () => {
  const config = loadConfig()
  const secrets = openSealedFile(config.secretsFile, readUnsealKey(config.unsealFd))
  const atRestKey = requireStrongKey('at_rest_key', await secrets.get('at_rest_key').catch(() => undefined))
  const logger = createLogger('vault')
  const vault = await startVault({
    stateDir: config.stateDir,
    atRestKey,
    keys: {
      keeper: readArrowKey(config.keysDir, 'keeper', 'vault'),
      steward: readArrowKey(config.keysDir, 'steward', 'vault'),
      reaper: readArrowKey(config.keysDir, 'reaper', 'vault-expiry'),
    },
    listen: config.listen,
    listenSecond: config.listenSecond,
    clock: systemClock,
    logger,
  })
  logger.info('ready', { port: vault.port, second_port: vault.secondPort })
  process.once('SIGTERM', () => void vault.close().then(() => process.exit(0)))
})
