// What policy knows of the identity provider, put together: its keys, its events, and what becomes of them.
import type { Clock } from '@bailiwick/kernel/clock'
import type { Logger } from '@bailiwick/kernel/logger'
import type { IdentityConfig } from '../config.ts'
import type { Database } from '../database.ts'
import type { Audit, Refusals } from '../refusals.ts'
import type { Status } from '../status.ts'
import { createAccessTokens, type AccessTokens } from './access-tokens.ts'
import { startPoller } from './events.ts'
import { connectKeycloak } from './keycloak.ts'
import { createKeys } from './keys.ts'
import { sweepIdentity } from './not-before.ts'
import { createRecorder } from './record-events.ts'

const SWEEP_EVERY_MS = 600_000

type Identity = { readonly accessTokens: AccessTokens; close(): Promise<void> }

export function startIdentity(deps: {
  config: IdentityConfig
  clock: Clock
  logger: Logger
  database: Database
  status: Status
  audit: Audit
  refusals: Refusals
  hashes: { policy_hash: string; catalog_hash: string }
}): Identity {
  const { config, clock, logger, database } = deps
  const realm = new URL(config.issuer).pathname
  const keys = createKeys({ url: new URL(`${realm}/protocol/openid-connect/certs`, config.url).href, logger })
  const recorder = createRecorder(deps)
  const poller = startPoller({
    ...deps,
    keycloak: connectKeycloak({ ...config, realm }),
    afterwards: () => void recorder.run(),
  })
  const sweeping = setInterval(() => {
    sweepIdentity(database.query, clock.now()).catch((error: unknown) =>
      logger.warn('identity_not_swept', { reason: String(error) }),
    )
  }, SWEEP_EVERY_MS).unref()
  return {
    accessTokens: createAccessTokens({ keys, clock, expected: config }),
    async close() {
      clearInterval(sweeping)
      keys.close()
      await poller.close()
      await recorder.run()
    },
  }
}
