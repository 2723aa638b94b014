// Are agents switched on at all: everywhere (kill switch), and for this account (tier above none)?
import { deny } from '@bailiwick/contracts/problem'
import { err, ok } from '@bailiwick/kernel/result'
import type { Current, Verdict } from './facts.ts'
import type { Live } from './token.ts'

declare const enabled: unique symbol
export type Enabled<C extends Current = Current> = Live<C> & { readonly [enabled]: true }

export function checkSwitches<C extends Current>(current: Live<C>): Verdict<Enabled<C>> {
  if (current.killed) return err(deny('AI_DEPLOY_GLOBALLY_DISABLED'))
  if (current.account.tier === 'none') return err(deny('AI_DEPLOY_NOT_ENABLED'))
  return ok(current as Enabled<C>)
}
