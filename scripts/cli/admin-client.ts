// The operator's line to policy (a unix socket of root's) and to the steward (with the console's key, until there is a console).
import { existsSync } from 'node:fs'
import { adminDoor } from '@bailiwick/contracts/doors/policy'
import { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { CODES, isCode } from '@bailiwick/contracts/codes'
import { readArrowKey } from '@bailiwick/kernel/config'
import { connectDoor, type Client } from '@bailiwick/kernel/door'
import type { AccountId } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import { runningSupervisor } from '../embedded/control-socket.ts'
import { inState, portsFrom, type Layout } from '../embedded/layout.ts'
import { PlainError } from '../embedded/plain-error.ts'
import { requireRoot } from '../embedded/preflight.ts'

export type Admin = Client<typeof adminDoor> & { close(): void }

export function requireRunning(layout: Layout): { portBase: number } {
  requireRoot('admin')
  const running = runningSupervisor(layout)
  if (!running) throw new PlainError('Bailiwick is not running: ./bailiwick up')
  return { portBase: running.port_base }
}

export function connectAdmin(layout: Layout): Admin {
  requireRunning(layout)
  const socket = inState.adminSocket(layout.state)
  if (!existsSync(socket)) throw new PlainError('policy is not up yet: ./bailiwick status, ./bailiwick logs policy')
  return connectDoor({
    door: adminDoor,
    url: `unix:${socket}`,
    caller: 'admin',
    key: readArrowKey(inState.keys(layout.state), 'admin', 'policy'),
  })
}

export function connectSteward(layout: Layout): Client<typeof stewardDoor> & { close(): void } {
  const { portBase } = requireRunning(layout)
  return connectDoor({
    door: stewardDoor,
    url: `http://127.0.0.1:${portsFrom(portBase).steward}`,
    caller: 'console',
    key: readArrowKey(inState.keys(layout.state), 'console', 'steward'),
    // Restoring replays a base backup and its log.
    timeoutMs: 300_000,
  })
}

/** A fault of the other side as a sentence. */
export function explainFault(error: unknown): unknown {
  if (!(error instanceof Fault)) return error
  if (error.code === 'MESSAGE_INVALID')
    return new PlainError('policy did not accept these values: ./bailiwick help admin')
  if (!isCode(error.code)) return new PlainError(`${error.code}: ${error.message}`)
  const text = CODES[error.code]
  return new PlainError(`${error.code}: ${text.title}. ${text.cause} Look at: ${text.operator}`)
}

/** The account of the first token and of `demo`. */
export const DEMO_ACCOUNT = 'Demo account'

/** Made at the first `up`, at tier `beta`; a run that was cut off may have left it half made. */
export async function ensureDemoAccount(admin: Admin): Promise<AccountId> {
  const account =
    (await findDemoAccount(admin)) ?? (await admin.accounts_create({ name: DEMO_ACCOUNT, time_zone: 'UTC' }))
  if (account.tier !== 'beta')
    await admin.accounts_tier({ account: account.id, tier: 'beta', reason: 'first start: the demo account' })
  return account.id
}

export async function findDemoAccount(
  admin: Admin,
): Promise<{ id: AccountId; name: string; tier: string } | undefined> {
  return (await admin.accounts_list({})).accounts.find(({ name }) => name === DEMO_ACCOUNT)
}
