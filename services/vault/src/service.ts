// The vault as one thing: folders, store, expiry and both doors, from its key and its folder. main.ts and the tests start it.
import { vaultDoor, vaultExpiryDoor } from '@bailiwick/contracts/doors/vault'
import type { Clock } from '@bailiwick/kernel/clock'
import { serveDoor } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import { createExpiry } from './expiry.ts'
import { vaultExpiryHandlers, vaultHandlers } from './http.ts'
import { createObjects } from './objects.ts'
import { createStore, prepareFolders } from './store.ts'

type Listen = { host: string; port: number }

export async function startVault(options: {
  stateDir: string
  atRestKey: Buffer
  keys: { keeper: Buffer; steward: Buffer; reaper: Buffer }
  listen: Listen
  listenSecond: Listen
  clock: Clock
  logger: Logger
}): Promise<{ port: number; secondPort: number; close(): Promise<void> }> {
  const { stateDir, atRestKey, keys, clock, logger } = options
  await prepareFolders(stateDir, logger)
  const objects = createObjects(stateDir, atRestKey, logger)
  const first = await serveDoor({
    door: vaultDoor,
    listen: options.listen,
    keys: { keeper: keys.keeper, steward: keys.steward },
    handlers: vaultHandlers(objects, createStore(objects, atRestKey, clock)),
    logger,
  })
  const second = await serveDoor({
    door: vaultExpiryDoor,
    listen: options.listenSecond,
    keys: { reaper: keys.reaper },
    handlers: vaultExpiryHandlers(objects, createExpiry(objects, clock, logger)),
    logger,
  })
  return {
    port: first.port,
    secondPort: second.port,
    close: async () => {
      await second.close()
      await first.close()
    },
  }
}
