// The steward's composition root. A peer that is down is no reason not to start: each call says which part it missed.
import { loadCatalog } from '@bailiwick/contracts/catalog'
import { auditDoor } from '@bailiwick/contracts/doors/audit'
import { keeperDoor } from '@bailiwick/contracts/doors/keeper'
import { policyDoor } from '@bailiwick/contracts/doors/policy'
import { vaultDoor } from '@bailiwick/contracts/doors/vault'
import { systemClock } from '@bailiwick/kernel/clock'
import { readArrowKey, requireStrongKey, runMain } from '@bailiwick/kernel/config'
import { connectDoor } from '@bailiwick/kernel/door'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { createLogger } from '@bailiwick/kernel/logger'
import { openSealedFile, readUnsealKey } from '@bailiwick/kernel/secrets'
import { buildCatalog, requireCommitted } from './catalog.ts'
import { loadConfig } from './config.ts'
import { openDatabase } from './database.ts'
import { createExecute } from './execute.ts'
import { createGate } from './gate.ts'
import { serveSteward } from './http.ts'
import { createJournal } from './journal.ts'
import { createRecovery } from './recover.ts'
import { tools } from './tools/index.ts'

const RECOVERY_EVERY_MS = 1000

await runMain('steward', async () => {
  const config = loadConfig()
  const logger = createLogger('steward')
  const catalog = buildCatalog(tools)
  requireCommitted(catalog, loadCatalog())
  const secrets = openSealedFile(config.secretsFile, readUnsealKey(config.unsealFd))
  const permitKey = requireStrongKey('secret permit_key', await secrets.get('permit_key'))
  const keyTo = (callee: string): Buffer => readArrowKey(config.keysDir, 'steward', callee)

  const database = openDatabase({
    url: config.databaseUrl,
    password: await secrets.get('database_password'),
    onIdleError: (error) => logger.warn('database_connection_lost', { error: error.message }),
  })
  const clock = systemClock
  const journal = createJournal({ database, clock, holder: `steward-${uuidv7()}` })
  const caller = 'steward'
  const keeper = connectDoor({
    door: keeperDoor,
    url: config.keeperUrl,
    caller,
    key: keyTo('keeper'),
  })
  const vault = connectDoor({
    door: vaultDoor,
    url: config.vaultUrl,
    caller,
    key: keyTo('vault'),
  })
  const audit = connectDoor({ door: auditDoor, url: config.auditUrl, caller, key: keyTo('audit') })
  const policy = connectDoor({ door: policyDoor, url: config.policyUrl, caller, key: keyTo('policy') })

  const deps = {
    clock,
    logger,
    database,
    journal,
    gate: createGate(logger),
    keeper,
    policy,
    audit,
    vault,
    catalog,
    tools: new Map(tools.map((tool) => [tool.name, tool])),
  }
  const recovery = createRecovery(deps)
  const door = await serveSteward({
    listen: config.listen,
    keys: {
      gateway: readArrowKey(config.keysDir, 'gateway', 'steward'),
      console: readArrowKey(config.keysDir, 'console', 'steward'),
    },
    execute: createExecute(deps, permitKey),
    logger,
  })
  recovery.start(RECOVERY_EVERY_MS)
  logger.info('listening', { port: door.port, tools: tools.length, catalog: catalog.hash })

  process.once('SIGTERM', () => {
    void (async () => {
      await door.close()
      await recovery.stop()
      for (const client of [keeper, vault, audit, policy]) client.close()
      await database.close()
      process.exit(0)
    })()
  })
})
