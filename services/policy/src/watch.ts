// Waits for the callable tools of a credential to change: behind the gateway's open streams. Woken by every change of status
// and by the credential's own end; answers at the latest after 25 s, so that a lost caller is not waited for long.
import type { Client } from '@bailiwick/kernel/door'
import type { policyDoor } from '@bailiwick/contracts/doors/policy'
import { deny, type Denial } from '@bailiwick/contracts/problem'
import { hashJson } from '@bailiwick/kernel/canonical'
import { openCall, type Asked } from './call.ts'
import { checkSwitches } from './checks/switches.ts'
import { checkToken } from './checks/token.ts'
import { missing, verifyCredential } from './credential.ts'
import type { Deps } from './deps.ts'
import { callableTools } from './identify.ts'

type Reply = Awaited<ReturnType<Client<typeof policyDoor>['watch']>>

export type Watches = {
  /** `signal`: the caller hung up. */
  watch(request: Asked & { readonly seen: string | null }, signal: AbortSignal): Promise<Reply>
  /** Lets all go, with what stands. */
  close(): void
}

/** Each holds a connection and costs a look at every change: bounded per principal and in all. */
export const MAX_WATCHES = 1000
const MAX_PER_PRINCIPAL = 8
const LONGEST_MS = 25_000
/** Not everybody asks the database at the same moment. */
const SPREAD_MS = 100

export function createWatches(deps: Deps): Watches {
  const perPrincipal = new Map<string, number>()
  const over = new AbortController()
  let all = 0

  const stand = async (request: Asked): Promise<{ reply: Reply; principal: string; endsInMs: number }> => {
    const call = openCall(request)
    const refuse = async (denial: Denial) => {
      const heard = await deps.refusals.record(call, { ...denial, why: `watch: ${denial.why ?? denial.code}` })
      return { reply: { ok: false as const, denial: heard }, principal: '', endsInMs: 0 }
    }
    const identified = await verifyCredential(deps, request.credential)
    if (!identified.ok) return refuse(identified.error)
    await deps.status.catchUp(await deps.limits.readEpoch().catch(() => null))
    const current = await deps.status.find(identified.value.key)
    if (!current) return refuse(missing(identified.value.key))
    call.current = current
    call.tokenId = identified.value.tokenId
    const live = checkToken(current, request.address, deps.clock.now())
    if (!live.ok) return refuse(live.error)
    const enabled = checkSwitches(live.value)
    if (!enabled.ok) return refuse(enabled.error)
    const tools = callableTools(enabled.value, deps.catalog)
    const { principal, expiresAt } = current.token
    return { reply: { ok: true, seen: hashJson(tools), tools }, principal, endsInMs: expiresAt - deps.clock.now() }
  }

  const wait = async (request: Asked & { readonly seen: string | null }, signal: AbortSignal): Promise<Reply> => {
    const until = performance.now() + LONGEST_MS
    for (;;) {
      // Listened to from before the look: a change in between must not be slept over.
      const change = nextChange(deps, [signal, over.signal])
      try {
        const { reply, endsInMs } = await stand(request)
        const leftMs = until - performance.now()
        if (!reply.ok || reply.seen !== request.seen || leftMs <= 0 || signal.aborted || over.signal.aborted)
          return reply
        await change.within(Math.min(leftMs, endsInMs + 1))
      } finally {
        change.forget()
      }
    }
  }

  return {
    async watch(request, signal) {
      const { reply, principal } = await stand(request)
      if (!reply.ok || reply.seen !== request.seen) return reply
      const own = perPrincipal.get(principal) ?? 0
      if (own >= MAX_PER_PRINCIPAL || all >= MAX_WATCHES)
        return { ok: false, denial: deny('IN_FLIGHT_LIMIT', { detail: 'Too many open streams.', retry_after_s: 5 }) }
      perPrincipal.set(principal, own + 1)
      all += 1
      try {
        return await wait(request, signal)
      } finally {
        all -= 1
        const left = perPrincipal.get(principal)! - 1
        if (left === 0) perPrincipal.delete(principal)
        else perPrincipal.set(principal, left)
      }
    },
    close: () => over.abort(),
  }
}

function nextChange({ status }: Pick<Deps, 'status'>, signals: readonly AbortSignal[]) {
  let timer: NodeJS.Timeout | undefined
  let wake = (): void => undefined
  const woken = new Promise<void>((resolve) => {
    wake = resolve
  })
  const unlisten = status.onChange(() => {
    timer = setTimeout(wake, Math.random() * SPREAD_MS)
  })
  for (const signal of signals) signal.addEventListener('abort', wake)
  return {
    async within(ms: number): Promise<void> {
      // Longer than a timer can: the caller's own bound comes first.
      const bound = setTimeout(wake, Math.max(0, ms))
      await woken
      clearTimeout(bound)
    },
    forget(): void {
      clearTimeout(timer)
      unlisten()
      for (const signal of signals) signal.removeEventListener('abort', wake)
    },
  }
}
