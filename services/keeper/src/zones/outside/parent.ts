// The zone above a domain: which it is, what its own servers say, and whether it holds a DS for the domain. "There is none" is
// believed only from the parent's side of the cut: the domain's own server, asked for its DS, says so too and knows nothing.
import { sameDs, type DsRecord, type ParentDs } from '@bailiwick/contracts/dns'
import { ask, NOERROR, NXDOMAIN, resolve, type Outside, type Server } from './world.ts'
import { dataOf, type Message, type Record, type TypeName } from './wire.ts'

const MAX_STEPS = 6
const MAX_SERVERS = 4
const MAX_DS = 50
/** One server that is down must not use up the time of the others. */
const PER_SERVER_MS = 1800
/** For the one question that holds up a change. */
const DS_WITHIN_MS = 3000

const isAbove = (ancestor: string, name: string): boolean =>
  ancestor !== name && (ancestor === '' || name.endsWith(`.${ancestor}`))
const up = (name: string): string => name.split('.').slice(1).join('.')
/** Of a negative answer, the zone that it comes from. */
const zoneOf = ({ authority }: Message): string | null =>
  authority.find(({ data }) => data.type === 'SOA')?.owner ?? null

export const deadlineIn = (ms: number): number => performance.now() + ms
export const soon = (deadline: number): number => Math.min(deadline, deadlineIn(PER_SERVER_MS))

/** Of a server's name, addresses that may be asked: IPv4 where there is any. `glue` came with the name. */
export async function addressesOf(
  outside: Outside,
  name: string,
  glue: readonly Record[],
  deadline: number,
): Promise<Server[]> {
  const given = [...dataOf(glue, name, 'A'), ...dataOf(glue, name, 'AAAA')].map(({ address }) => address)
  const found = given.length > 0 ? given : await lookUp(outside, name, deadline)
  return found.filter(outside.mayAsk).map((address) => ({ address, port: outside.port }))
}
/** What a stranger's record calls a server is looked up only if it can be one's name. */
const HOST = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+$/
async function lookUp(outside: Outside, name: string, deadline: number): Promise<string[]> {
  if (!HOST.test(name)) return []
  const answers = await Promise.all((['A', 'AAAA'] as const).map((type) => resolve(outside, name, type, deadline)))
  return answers.flatMap((message) =>
    (message?.answers ?? []).flatMap(({ data }) => (data.type === 'A' || data.type === 'AAAA' ? [data.address] : [])),
  )
}

type Parent = { readonly zone: string; readonly servers: readonly Server[] }

/** Null: no resolver could tell. */
export async function findParent(outside: Outside, name: string, deadline: number): Promise<Parent | null> {
  let zone = up(name)
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const message = await resolve(outside, zone, 'NS', deadline)
    if (!message) return null
    const names = dataOf(message.answers, zone, 'NS').map(({ target }) => target)
    if (names.length > 0) {
      const found = await Promise.all(
        names.slice(0, MAX_SERVERS).map((server) => addressesOf(outside, server, message.additional, deadline)),
      )
      // One of each first: two addresses of one server are down together.
      const servers = [...found.flatMap((each) => each.slice(0, 1)), ...found.flatMap((each) => each.slice(1))]
      return { zone, servers: servers.slice(0, MAX_SERVERS) }
    }
    if (zone === '') return null
    const above = zoneOf(message)
    zone = above !== null && isAbove(above, zone) ? above : up(zone)
  }
  return null
}

/** What the parent's own servers answer; those that answered at all. */
export async function askParent(parent: Parent, name: string, type: TypeName, deadline: number): Promise<Message[]> {
  const asked = parent.servers.map((server) => ask(server, { name, type, recurse: false }, soon(deadline)))
  return (await Promise.all(asked)).filter((message) => message !== null)
}

/** Whether this answer says, from above the cut, that there is nothing of the kind at `name`. */
export const deniesFromAbove = (message: Message, name: string): boolean => {
  const zone = zoneOf(message)
  return (message.rcode === NOERROR || message.rcode === NXDOMAIN) && zone !== null && isAbove(zone, name)
}

const toDs = ({ key_tag, algorithm, digest_type, digest }: DsRecord): DsRecord => ({
  key_tag,
  algorithm,
  digest_type,
  digest,
})
function readDs(message: Message | null, name: string): ParentDs {
  const records = message ? dataOf(message.answers, name, 'DS').map(toDs) : []
  if (records.length > 0) return { state: 'present', records }
  return { state: message && deniesFromAbove(message, name) ? 'absent' : 'unknown', records: [] }
}

/**
 * One voice for "present" is enough: caches hold what the parent has dropped, and the parent has what caches do not know yet.
 * For "absent" one that can know is needed, and none against it.
 */
export function combineDs(name: string, fromResolver: Message | null, fromParent: readonly Message[]): ParentDs {
  const voices = [
    readDs(fromResolver, name),
    ...fromParent.filter((each) => each.isAuthoritative).map((each) => readDs(each, name)),
  ]
  const records: DsRecord[] = []
  for (const ds of voices.flatMap((voice) => voice.records))
    if (!records.some((other) => sameDs(other, ds))) records.push(ds)
  if (records.length > 0) return { state: 'present', records: records.slice(0, MAX_DS) }
  return { state: voices.some(({ state }) => state === 'absent') ? 'absent' : 'unknown', records: [] }
}

export async function readParentDs(outside: Outside, name: string): Promise<ParentDs> {
  const deadline = deadlineIn(Math.min(DS_WITHIN_MS, outside.withinMs))
  const [fromResolver, fromParent] = await Promise.all([
    resolve(outside, name, 'DS', deadline),
    findParent(outside, name, deadline).then((parent) => (parent ? askParent(parent, name, 'DS', deadline) : [])),
  ])
  return combineDs(name, fromResolver, fromParent)
}
