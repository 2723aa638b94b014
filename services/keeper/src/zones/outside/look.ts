// A domain as the world sees it: what its parent says of it, who answers at the servers named there, and what resolvers know.
// Everything has one deadline; what has not been answered by then is unknown, never an error.
import type { OutsideView } from '@bailiwick/contracts/dns'
import { addressesOf, askParent, combineDs, deadlineIn, deniesFromAbove, findParent, soon } from './parent.ts'
import { ask, NOERROR, NXDOMAIN, resolve, type Outside } from './world.ts'
import { dataOf, type Message, type Record } from './wire.ts'

const MAX_SERVERS = 6
const MAX_TEXTS = 100
const LEAST_TIME_MS = 400

/** What a server of ours would answer; null: we serve no such zone. */
type Own = { readonly mname: string; readonly serial: number }
type Seen = OutsideView['delegation'] & { readonly glue: readonly Record[] }

export async function lookOutside(
  outside: Outside,
  domain: { name: string; texts: readonly string[]; own: Own | null },
): Promise<OutsideView> {
  const { name, own } = domain
  const deadline = deadlineIn(outside.withinMs)
  const [texts, dsMessage, nsMessage, above] = await Promise.all([
    Promise.all(domain.texts.map((text) => readText(outside, text, deadline))),
    resolve(outside, name, 'DS', deadline),
    resolve(outside, name, 'NS', deadline),
    lookAbove(outside, name, deadline),
  ])
  const { glue, ...delegation } = above.seen ?? seenByResolver(name, nsMessage, above.zone)
  const servers = await Promise.all(
    delegation.name_servers
      .slice(0, MAX_SERVERS)
      .map((server) => whoAnswers(outside, name, server, glue, own, deadline)),
  )
  return { texts, delegation, servers, ds: combineDs(name, dsMessage, above.ds) }
}

async function readText(outside: Outside, name: string, deadline: number): Promise<OutsideView['texts'][number]> {
  const message = await resolve(outside, name, 'TXT', deadline)
  const seen = message?.answers.flatMap(({ data }) => (data.type === 'TXT' ? [data.text] : [])) ?? null
  return { name, seen: seen && seen.slice(0, MAX_TEXTS) }
}

/** The parent's own words. `seen` is null when none of its servers could be asked, or none said anything of use. */
async function lookAbove(
  outside: Outside,
  name: string,
  deadline: number,
): Promise<{ zone: string | null; seen: Seen | null; ds: Message[] }> {
  const parent = await findParent(outside, name, deadline)
  if (!parent) return { zone: null, seen: null, ds: [] }
  const [ns, ds] = await Promise.all([askParent(parent, name, 'NS', deadline), askParent(parent, name, 'DS', deadline)])
  const zone = parent.zone === '' ? '.' : parent.zone
  const spoken = ns.map((message) => delegationIn(name, message, zone)).filter((seen) => seen !== null)
  const seen = spoken.find(({ state }) => state === 'delegated') ?? spoken[0] ?? null
  return { zone, seen, ds }
}

function delegationIn(name: string, message: Message, zone: string): Seen | null {
  // In the authority part of a referral; in the answer where one server has parent and child.
  const found = [...dataOf(message.authority, name, 'NS'), ...dataOf(message.answers, name, 'NS')]
  const base = { parent_zone: zone, source: 'parent' as const }
  if (found.length > 0) return { ...base, state: 'delegated', name_servers: namesOf(found), glue: message.additional }
  const denied = message.isAuthoritative && deniesFromAbove(message, name)
  return denied ? { ...base, state: 'not_delegated', name_servers: [], glue: [] } : null
}

function seenByResolver(name: string, message: Message | null, zone: string | null): Seen {
  const base = { parent_zone: zone, glue: [] }
  const found = message ? dataOf(message.answers, name, 'NS') : []
  if (found.length > 0) return { ...base, state: 'delegated', source: 'resolver', name_servers: namesOf(found) }
  const denied = message !== null && (message.rcode === NXDOMAIN || deniesFromAbove(message, name))
  return denied
    ? { ...base, state: 'not_delegated', source: 'resolver', name_servers: [] }
    : { ...base, state: 'unknown', source: null, name_servers: [] }
}

const namesOf = (found: readonly { target: string }[]): string[] =>
  [...new Set(found.map(({ target }) => target))].sort().slice(0, 13)

async function whoAnswers(
  outside: Outside,
  name: string,
  server: string,
  glue: readonly Record[],
  own: Own | null,
  deadline: number,
): Promise<OutsideView['servers'][number]> {
  const [first] = await addressesOf(outside, server, glue, deadline)
  // Asked in the last moment, a server that is well would seem dead.
  if (!first || deadline - performance.now() < LEAST_TIME_MS)
    return { name: server, address: null, answers: 'not_asked' }
  const message = await ask(first, { name, type: 'SOA', recurse: false }, soon(deadline))
  return { name: server, address: first.address, answers: judge(message, name, own) }
}

function judge(message: Message | null, name: string, own: Own | null): OutsideView['servers'][number]['answers'] {
  if (!message) return 'nothing'
  const [soa] = dataOf(message.answers, name, 'SOA')
  if (!message.isAuthoritative || message.rcode !== NOERROR || !soa) return 'not_authoritative'
  if (!own || soa.mname !== own.mname.replace(/\.$/, '')) return 'another'
  return soa.serial === own.serial ? 'ours' : 'outdated'
}
