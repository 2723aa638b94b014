// Policy's deciding door: routes only.
import type { policyDoor } from '@bailiwick/contracts/doors/policy'
import type { Handlers } from '@bailiwick/kernel/door'
import { decide } from './decide.ts'
import type { Deps } from './deps.ts'
import { identify } from './identify.ts'
import { assess, describe, readApproval, stillValid } from './steward-asks.ts'
import type { Watches } from './watch.ts'

export const policyHandlers = (deps: Deps, watches: Watches): Handlers<typeof policyDoor> => ({
  identify: (request) => identify(deps, request),
  decide: (request) => decide(deps, request),
  watch: (request, { signal }) => watches.watch(request, signal),
  stillValid: (request) => stillValid(deps, request),
  assess: (request) => assess(deps, request),
  readApproval: (request) => readApproval(deps, request),
  describe: (request) => describe(deps, request),
})
