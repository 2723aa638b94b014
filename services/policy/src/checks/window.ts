// Is there room in the principal's sliding window? The counting itself is one Lua call in Valkey (limits.ts).
import { deny } from '@bailiwick/contracts/problem'
import { err, ok } from '@bailiwick/kernel/result'
import type { Current, Verdict, WindowFacts } from './facts.ts'
import type { Enabled } from './switches.ts'

export type Counted = Current & { readonly window: WindowFacts }

declare const admitted: unique symbol
export type Admitted = { readonly [admitted]: true }

export function checkWindow<C extends Enabled<Counted>>(current: C): Verdict<C & Admitted> {
  const { window } = current
  if (window.admitted) return ok(current as C & Admitted)
  return err(
    deny('RATE_LIMITED', {
      retry_after_s: window.retryAfterSeconds,
      extra: { limit: window.rate.limit, remaining: window.rate.remaining, reset_s: window.rate.reset_s },
    }),
  )
}
