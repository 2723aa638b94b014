// Does the account's tier allow calls of this risk?
import type { Risk } from '@bailiwick/contracts/catalog'
import { deny } from '@bailiwick/contracts/problem'
import { err, ok } from '@bailiwick/kernel/result'
import { TIERS } from '../rules.ts'
import type { Current, Verdict } from './facts.ts'

declare const tiered: unique symbol
export type Tiered = { readonly [tiered]: true }

export function checkTier<C extends Current>(current: C, risk: Risk): Verdict<C & Tiered> {
  if (!TIERS[current.account.tier].risks.includes(risk)) return err(deny('AI_DEPLOY_TIER_TOO_LOW'))
  return ok(current as C & Tiered)
}
