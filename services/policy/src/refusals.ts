// Every "no" on the record. With a valid credential: an entry, durable before the caller hears it. Without one: counted per
// address and minute (call.md §2).
import type { auditDoor, EntryInput } from '@bailiwick/contracts/doors/audit'
import { CODES } from '@bailiwick/contracts/codes'
import { redactInput } from '@bailiwick/contracts/permit'
import { deny, withoutWhy, type Denial } from '@bailiwick/contracts/problem'
import { canonical, isJsonObject, sha256Hex } from '@bailiwick/kernel/canonical'
import type { Clock } from '@bailiwick/kernel/clock'
import type { Client } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import type { Call } from './call.ts'
import { LIMITS, POLICY_HASH } from './rules.ts'
import { createTally, OTHERS } from './tally.ts'

export type Audit = Pick<Client<typeof auditDoor>, 'append'>

export type Refusals = {
  /** Records the refusal of `call` and returns what the caller may hear. Not recorded: AUDIT_UNAVAILABLE instead. */
  record(call: Call, denial: Denial): Promise<Denial>
  /** A permit that policy did not issue, or not for this, came to one of the steward's routes. */
  recordForged(
    route: string,
    claimed: { account: string; tool: string; request_id: string },
    denial: Denial,
  ): Promise<Denial>
  /** The identity provider refused somebody who proved to be nobody: counted per address and minute, never an entry each. */
  countStranger(address: string | null, code: string): void
  /** Writes the finished minutes' counts; at the end of the process with `force` also the running one's. */
  flush(force?: boolean): Promise<void>
}

const MAX_ADDRESSES = 256
/** Beyond, a principal's refusals are all entries of their own. */
const MAX_PRINCIPALS = 20_000
const MAX_UNWRITTEN = 4 * MAX_ADDRESSES
const MAX_RECORDED_INPUT = 32 * 1024
/** Shared by all addresses beyond the bound, so higher than one address's own. */
const OTHERS_FACTOR = 10

type Subject = { address: string | null; account: string | null; principal: string | null; code: Denial['code'] }

export function createRefusals(deps: { audit: Audit; clock: Clock; catalogHash: string; logger: Logger }): Refusals {
  const { audit, clock, catalogHash, logger } = deps
  const strangers = createTally(MAX_ADDRESSES)
  const floods = createTally(MAX_PRINCIPALS)
  /** Apart from `strangers`: what a browser mistypes at a sign-in page must not use up the calls of its address. */
  const strangersAtIdentity = createTally(MAX_ADDRESSES)
  let unwritten: EntryInput[] = []
  let flushing = Promise.resolve()
  const hashes = { policy_hash: POLICY_HASH, catalog_hash: catalogHash }

  /** The first of a minute are entries of their own, the rest one entry with a count. */
  const append = async (flooder: Omit<Subject, 'code'>, entry: EntryInput, denial: Denial): Promise<Denial> => {
    const heard = withoutWhy(denial)
    const { count, isShared } = floods.add(JSON.stringify({ ...flooder, code: denial.code }), clock.now())
    if (!isShared && count > LIMITS.refusalEntriesPerPrincipalAndMinute) return heard
    try {
      await audit.append(entry)
      return heard
    } catch (error) {
      logger.error('refusal_not_recorded', { code: denial.code }, error)
      return deny('AUDIT_UNAVAILABLE', { retry_after_s: 5 })
    }
  }

  const countUnauthenticated = (call: Call, denial: Denial): Denial => {
    const { token, account } = call.current ?? { token: null, account: null }
    const now = clock.now()
    // A revoked token's tries are counted apart: its account shall see them.
    const subject: Subject = {
      address: call.asked.address,
      account: account?.id ?? null,
      principal: token?.principal ?? null,
      code: denial.code,
    }
    const { count, isShared } = strangers.add(JSON.stringify(subject), now)
    const limit = LIMITS.refusalsPerAddressAndMinute * (isShared ? OTHERS_FACTOR : 1)
    // Our own outage is not the caller's hammering.
    return count > limit && denial.code !== 'IDENTITY_UNAVAILABLE'
      ? deny('RATE_LIMITED', { retry_after_s: 60 - (Math.floor(now / 1000) % 60) })
      : withoutWhy(denial)
  }

  return {
    async record(call, denial) {
      const { current, tool } = call
      if (!current || denial.code === 'UNAUTHENTICATED') return countUnauthenticated(call, denial)
      return append(
        { address: null, account: current.account.id, principal: current.token.principal },
        {
          kind: 'call',
          account: current.account.id,
          door: call.asked.door,
          tool: tool?.name ?? null,
          scopes: [...current.token.scopes],
          risk: tool?.risk ?? null,
          decision: 'deny',
          ...hashes,
          status: CODES[denial.code].status,
          code: denial.code,
          operation_id: null,
          request_id: call.asked.request_id,
          duration_ms: Math.round((performance.now() - call.startedAt) * 1000) / 1000,
          personal: {
            user: current.token.user,
            token: call.tokenId,
            client: current.token.client,
            address: call.asked.address,
            agent: call.asked.agent,
            principal: current.token.principal,
            resource_kind: tool?.resources[0]?.kind ?? null,
            resource: resourceOf(call),
            ...(call.input === undefined ? {} : { input: recordedInput(call) }),
            idempotency_key: call.idempotencyKey,
            preview_id: call.previewId,
            why: denial.why ?? denial.detail ?? null,
          },
        },
        denial,
      )
    },
    recordForged: (route, claimed, denial) =>
      append(
        { address: null, account: null, principal: route },
        {
          ...bare('call', denial.code),
          request_id: claimed.request_id,
          personal: {
            // Claims of a permit that nobody stands behind: in the encrypted part, so that they accuse no account in the leaf.
            why: `${route}: ${denial.why ?? denial.code}; claims account ${claimed.account}, tool ${claimed.tool}`.slice(
              0,
              2000,
            ),
          },
        },
        denial,
      ),
    countStranger(address, code) {
      strangersAtIdentity.add(JSON.stringify({ address, code }), clock.now())
    },
    flush(force = false) {
      // One at a time: two that write from one list would write an entry twice.
      flushing = flushing.then(() => writeCounts(force))
      return flushing
    },
  }

  async function writeCounts(force: boolean): Promise<void> {
    const now = clock.now()
    const stranger: Subject = { address: OTHERS, account: null, principal: null, code: 'UNAUTHENTICATED' }
    const counted = [
      ...strangers.take(now, force).map((each) => ({ ...each, beyond: 0 })),
      ...floods
        .take(now, force)
        .filter(({ key }) => key !== OTHERS)
        .map((each) => ({ ...each, beyond: LIMITS.refusalEntriesPerPrincipalAndMinute })),
    ]
    for (const { key, count, beyond } of counted) {
      if (count <= beyond) continue
      const subject = key === OTHERS ? stranger : (JSON.parse(key) as Subject)
      unwritten.push({
        ...bare(subject.principal === null ? 'refusals_unauthenticated' : 'token_refused', subject.code),
        account: subject.account,
        count: count - beyond,
        personal: { address: subject.address, principal: subject.principal },
      })
    }
    for (const { key, count } of strangersAtIdentity.take(now, force)) {
      const { address, code } = (key === OTHERS ? { address: OTHERS, code: 'OTHER_ERROR' } : JSON.parse(key)) as {
        address: string | null
        code: string
      }
      const entry = bare('refusals_unauthenticated', 'UNAUTHENTICATED')
      unwritten.push({ ...entry, status: null, code, count, personal: { address } })
    }
    // Oldest first, and again at the next flush if the log is away; nobody waits for these. Bounded: the newest stay.
    unwritten = unwritten.slice(-MAX_UNWRITTEN)
    while (unwritten[0]) {
      try {
        await audit.append(unwritten[0])
      } catch (error) {
        logger.error('refusal_counts_waiting', { entries: unwritten.length }, error)
        return
      }
      unwritten.shift()
    }
  }

  function bare(kind: EntryInput['kind'], code: Denial['code']): Omit<EntryInput, 'personal'> {
    return {
      kind,
      account: null,
      door: 'internal',
      tool: null,
      risk: null,
      decision: 'deny',
      ...hashes,
      status: CODES[code].status,
      code,
      operation_id: null,
      request_id: null,
      duration_ms: null,
    }
  }
}

/** Redacted by the tool's own declaration; without a tool nothing stays readable. Never larger than an entry should be. */
function recordedInput({ input = null, tool }: Call): Exclude<EntryInput['personal']['input'], undefined> {
  const redacted = redactInput(tool?.record ?? {}, input)
  const text = canonical(redacted)
  return text.length > MAX_RECORDED_INPUT ? { sha256: sha256Hex(text) } : redacted
}

function resourceOf({ input, tool }: Call): string | null {
  const field = tool?.resources[0]?.field
  if (field === undefined || input === undefined || !isJsonObject(input)) return null
  const value = input[field]
  return typeof value === 'string' ? value.slice(0, 1024) : null
}
