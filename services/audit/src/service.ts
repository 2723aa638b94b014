// Puts the service together. Apart from main.ts so that a test can run the whole of it with a dishonest `commit`.
import { Pool } from 'pg'
import { systemClock } from '@bailiwick/kernel/clock'
import { withPassword } from '@bailiwick/kernel/config'
import { serveDoor } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import type { SecretStore } from '@bailiwick/kernel/secrets'
import { auditDoor } from '@bailiwick/contracts/doors/audit'
import type { AuditConfig } from './config.ts'
import { auditHandlers } from './http.ts'
import { clientOptions, openSession } from './log-session.ts'
import { createKeyring } from './openings.ts'
import { createReader } from './reader.ts'
import { createWriter, type Commit } from './writer.ts'

const TEND_EVERY_MS = 3_600_000
const MAX_ENTRY_BYTES = 1024 * 1024
const MAX_IN_FLIGHT = 1024

export async function startAudit(options: {
  config: Pick<AuditConfig, 'listen' | 'databaseUrl' | 'arrows'>
  secrets: SecretStore
  logger: Logger
  commit?: Commit
}): Promise<{ port: number; close(): Promise<void> }> {
  const { config, secrets, logger, commit } = options
  const url = withPassword(config.databaseUrl, await secrets.get('database_password'))

  const keys = createKeyring(secrets, logger)
  const writer = createWriter({
    open: (claim) => openSession({ url, ...claim }),
    keys,
    clock: systemClock,
    logger,
    ...(commit ? { commit } : {}),
  })
  const pool = new Pool({ ...clientOptions(url), max: 4 })
  pool.on('error', (error) => logger.warn('connection_lost', { error: error.message }))

  // The log may come up after us: the first entry connects in any case, and until it can, every call is refused.
  const tend = (): void => {
    writer.tend().catch((error: unknown) => logger.error('tending_failed', {}, error))
  }
  tend()
  const tending = setInterval(tend, TEND_EVERY_MS)

  const door = await serveDoor({
    door: auditDoor,
    listen: config.listen,
    keys: config.arrows,
    handlers: auditHandlers(writer, createReader(pool, keys, logger)),
    logger,
    maxBodyBytes: MAX_ENTRY_BYTES,
    maxInFlight: MAX_IN_FLIGHT,
  })
  return {
    port: door.port,
    async close() {
      clearInterval(tending)
      // The door's own close waits for idle clients to hang up; what counts is that every queued entry is answered.
      const closed = door.close()
      await writer.close()
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 1_000))])
      await pool.end()
    },
  }
}
