// What is wrong with a domain as the world sees it, in plain words, and what to do. Pure. Only our own words: what strangers wrote
// stands in the fields that are marked so.
import { z } from 'zod'
import type { OutsideView, Registration } from '@bailiwick/contracts/dns'
import type { DsFit } from '../dns/parent-ds.ts'

export const Problem = z.strictObject({
  code: z.string(),
  what: z.string(),
  remedy: z.string(),
})
export type Problem = z.infer<typeof Problem>

export const Delegation = z.enum(['here', 'partly', 'elsewhere', 'not_delegated', 'unknown'])
export type Delegation = z.infer<typeof Delegation>
export type Facts = {
  readonly name: string
  readonly isVerified: boolean
  /** Null: nobody answered. */
  readonly isProofVisible: boolean | null
  readonly delegation: Delegation
  readonly view: OutsideView
  readonly fit: z.infer<typeof DsFit>
  readonly isSigned: boolean
  readonly registration: Registration
  readonly now: number
}

const EXPIRES_SOON_MS = 30 * 86_400_000
const HELD = /^(client|server) ?hold$/i
const REDEMPTION = /^(redemption ?period|pending ?delete)$/i

const bare = (name: string): string => name.toLowerCase().replace(/\.$/, '')

/** The parent's name servers against the zone's own. */
export function delegationOf(
  { state, name_servers }: OutsideView['delegation'],
  inZone: readonly string[],
): Delegation {
  if (state !== 'delegated') return state
  const ours = new Set(inZone.map(bare))
  const hits = name_servers.filter((server) => ours.has(bare(server))).length
  if (hits === 0) return 'elsewhere'
  return hits === name_servers.length && hits === ours.size ? 'here' : 'partly'
}

/** Worst first. */
export function findProblems(facts: Facts): Problem[] {
  return [...ofRegistration(facts), ...ofDelegation(facts), ...ofDnssec(facts), ...ofProof(facts)]
}

function ofRegistration({ registration, now }: Facts): Problem[] {
  const found: Problem[] = []
  const { state, statuses, expires_at } = registration
  if (state === 'not_registered')
    found.push({
      code: 'not_registered',
      what: 'The registry does not know this domain.',
      remedy: 'The user registers it, or checks its spelling.',
    })
  if (statuses.some((status) => REDEMPTION.test(status)))
    found.push({
      code: 'registration_lapsed',
      what: 'The registration has lapsed and the domain is about to be released.',
      remedy: 'The user asks the registrar to restore it, at once.',
    })
  if (statuses.some((status) => HELD.test(status)))
    found.push({
      code: 'registration_held',
      what: 'The registration is on hold, so the parent does not delegate the domain.',
      remedy:
        'The user asks the registrar why; often the contact’s e-mail address is not confirmed, or a bill is open.',
    })
  if (expires_at !== null && expires_at - now < EXPIRES_SOON_MS)
    found.push(
      expires_at <= now
        ? {
            code: 'registration_expired',
            what: 'The registration has expired.',
            remedy: 'The user renews it at the registrar.',
          }
        : {
            code: 'registration_expires_soon',
            what: 'The registration expires within 30 days.',
            remedy: 'The user renews it at the registrar, unless that happens by itself.',
          },
    )
  return found
}

function ofDelegation({ delegation, view }: Facts): Problem[] {
  const found: Problem[] = []
  if (delegation === 'not_delegated')
    found.push({
      code: 'not_delegated',
      what: 'The parent zone names no name servers for this domain, so nobody finds it.',
      remedy: 'The user sets the name servers of `in_zone` at the registrar.',
    })
  if (delegation === 'elsewhere')
    found.push({
      code: 'delegated_elsewhere',
      what: 'The parent names other servers than this zone’s: the world does not see what is set here.',
      remedy: 'Once the zone is published and complete, the user sets the name servers of `in_zone` at the registrar.',
    })
  if (delegation === 'partly')
    found.push({
      code: 'delegated_partly',
      what: 'The name servers at the parent and in the zone are not the same.',
      remedy: 'The user makes the list at the registrar the same as `in_zone`.',
    })
  if (delegation !== 'here' && delegation !== 'partly') return found
  const lame = view.servers.filter(({ answers }) => !['ours', 'outdated', 'not_asked'].includes(answers))
  if (lame.length > 0)
    found.push({
      code: lame.length === view.servers.length ? 'no_server_answers' : 'some_servers_do_not_answer',
      what: `${lame.length} of ${view.servers.length} name servers of the delegation do not serve this zone.`,
      remedy:
        'The operator checks that they are reachable on port 53 (UDP and TCP) and are the servers of this installation.',
    })
  if (view.servers.some(({ answers }) => answers === 'outdated'))
    found.push({
      code: 'outdated_answers',
      what: 'Some name servers answer with another version of the zone.',
      remedy: 'Wait a minute and check again; if it stays so, the operator looks at that server.',
    })
  return found
}

function ofDnssec({ fit, isSigned, delegation }: Facts): Problem[] {
  const isServedHere = delegation === 'here' || delegation === 'partly'
  if (fit === 'mismatch' && isServedHere)
    return [
      {
        code: isSigned ? 'ds_mismatch' : 'ds_without_signatures',
        what: 'The parent’s DS names a key that does not sign this zone: resolvers that validate find nothing at all.',
        remedy: isSigned
          ? 'The user replaces the DS at the registrar by the one that get_dnssec shows.'
          : 'The user removes the DS at the registrar; or call sign_domain and give the registrar its DS.',
      },
    ]
  if (fit === 'mismatch')
    return [
      {
        code: 'ds_of_another_provider',
        what: 'The parent holds a DS that is not this zone’s: moving the name servers here would make the domain unreachable.',
        remedy: 'Before the name servers move, the user removes that DS at the registrar and waits for its TTL.',
      },
    ]
  if (fit === 'none' && isSigned && isServedHere)
    return [
      {
        code: 'ds_missing',
        what: 'The zone is signed, but the parent has no DS, so nobody checks the signatures.',
        remedy: 'The user enters the DS that get_dnssec shows at the registrar.',
      },
    ]
  return []
}

function ofProof({ isVerified, isProofVisible }: Facts): Problem[] {
  if (isVerified || isProofVisible !== false) return []
  return [
    {
      code: 'verification_missing',
      what: 'The verification record is not visible from outside.',
      remedy: 'Create it where the domain’s DNS is served today, then check again; new records can take their TTL.',
    },
  ]
}

export function nextOf({ isVerified, isProofVisible, delegation }: Facts, problems: readonly Problem[]): string {
  if (!isVerified) {
    if (isProofVisible === null) return 'Nobody outside could be asked. Try again later.'
    return isProofVisible
      ? 'Call verify_domain.'
      : 'Create the verification record where the domain’s DNS is served today, then check again.'
  }
  const [first] = problems
  if (first) return first.remedy
  return delegation === 'unknown'
    ? 'The zone is published. Its delegation could not be seen from here: its name servers must be set at the registrar.'
    : 'Nothing: all that could be seen is as it should be.'
}
