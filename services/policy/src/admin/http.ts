// The operator's door, on a unix socket that root alone can open: routes only.
import type { adminDoor } from '@bailiwick/contracts/doors/policy'
import type { Handlers } from '@bailiwick/kernel/door'
import type { Deps } from '../deps.ts'
import { accountHandlers } from './accounts.ts'
import { appHandlers } from './apps.ts'
import { memberHandlers } from './members.ts'
import { permitHandlers } from './permit.ts'
import { switchHandlers } from './switches.ts'
import { tokenHandlers } from './tokens.ts'

export const adminHandlers = (deps: Deps): Handlers<typeof adminDoor> => ({
  ...accountHandlers(deps),
  ...memberHandlers(deps),
  ...appHandlers(deps),
  ...switchHandlers(deps),
  ...tokenHandlers(deps),
  ...permitHandlers(deps),
})
