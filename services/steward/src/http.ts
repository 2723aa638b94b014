// The steward's door: one route.
import { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { serveDoor } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import type { Execute } from './execute.ts'

export const serveSteward = (options: {
  listen: { host: string; port: number }
  keys: Readonly<Record<'gateway' | 'console', Buffer>>
  execute: Execute
  logger: Logger
}): Promise<{ port: number; close(): Promise<void> }> =>
  serveDoor({
    door: stewardDoor,
    listen: options.listen,
    keys: options.keys,
    handlers: { execute: (request, { caller }) => options.execute(request, caller) },
    logger: options.logger,
  })
