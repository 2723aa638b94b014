// What the registry says of a domain, by RDAP (RFC 9082, 9083). Which registry to ask comes from IANA's list (RFC 9224), kept for a
// day: no third party learns who looks at which domain. All of it is a stranger's word, cut to size here and shown as such.
import { z } from 'zod'
import type { Registration } from '@bailiwick/contracts/dns'
import type { Clock } from '@bailiwick/kernel/clock'
import { getJson, type Failed, type Fetched, type Reach } from './get-json.ts'
import { deadlineIn } from './parent.ts'

export type Registry = {
  readonly reach: Reach
  readonly bootstrapUrl: string
  readonly withinMs: number
  readonly clock: Clock
}

const IANA = 'https://data.iana.org/rdap/dns.json'
const LIST_KEPT_MS = 24 * 3_600_000
/** Offline, the next caller does not wait again. */
const FAILURE_KEPT_MS = 60_000
/** The domain itself, and what it may stand under. */
const MAX_NAMES = 3

/** `egress`: the proxy's origin. */
export const registryThrough = (egress: string, clock: Clock): Registry => ({
  reach: { egress },
  bootstrapUrl: IANA,
  withinMs: 4500,
  clock,
})

const Bootstrap = z.object({ services: z.array(z.tuple([z.array(z.string()), z.array(z.string())])) })
type Services = z.infer<typeof Bootstrap>['services']

const Text = z.string().transform((text) => text.slice(0, 500))
/** Members that are not as they should be are left out; a registry's slip must not hide the rest. */
const RdapDomain = z.object({
  objectClassName: z.literal('domain'),
  status: z.array(Text).catch([]),
  events: z.array(z.object({ eventAction: z.string(), eventDate: z.string() })).catch([]),
  nameservers: z.array(z.object({ ldhName: Text })).catch([]),
  entities: z
    .array(z.object({ roles: z.array(z.string()).catch([]), handle: Text.optional(), vcardArray: z.unknown() }))
    .catch([]),
})

const unknown = (why: string): Registration => ({ ...nothing, state: 'unknown', why })
const nothing = { why: null, name: null, registrar: null, statuses: [], expires_at: null, name_servers: [] }

export function createRegistration(registry: Registry): { read(name: string): Promise<Registration> } {
  const { reach, clock } = registry
  let list: { until: number; services: Services | Failed } | null = null
  let loading: Promise<Services | Failed> | null = null

  const load = async (deadline: number): Promise<Services | Failed> => {
    const fetched = await getJson(reach, registry.bootstrapUrl, deadline)
    const parsed = fetched.state === 'json' ? Bootstrap.safeParse(fetched.value) : null
    const services = parsed?.success ? parsed.data.services : whyNot(fetched)
    list = { services, until: clock.now() + ('why' in services ? FAILURE_KEPT_MS : LIST_KEPT_MS) }
    return services
  }
  const servicesOf = async (deadline: number): Promise<Services | Failed> => {
    if (list && list.until > clock.now()) return list.services
    loading ??= load(deadline).finally(() => (loading = null))
    return loading
  }

  return {
    async read(name) {
      const deadline = deadlineIn(registry.withinMs)
      const services = await servicesOf(deadline)
      if ('why' in services) return unknown(`The list of registries could not be read: ${services.why}.`)
      const base = baseFor(services, name)
      if (!base) return unknown('The registry of this name offers no RDAP over HTTPS.')
      for (const candidate of candidatesOf(name)) {
        const fetched = await getJson(reach, new URL(`domain/${candidate}`, base).href, deadline)
        if (fetched.state === 'absent') continue
        const parsed = fetched.state === 'json' ? RdapDomain.safeParse(fetched.value) : null
        return parsed?.success
          ? toRegistration(candidate, parsed.data)
          : unknown(`The registry was asked: ${whyNot(fetched).why}.`)
      }
      return { ...nothing, state: 'not_registered' }
    },
  }
}

const whyNot = (fetched: Fetched): Failed =>
  fetched.state === 'failed' ? fetched : { state: 'failed', why: 'its answer is not what it should be' }

/** The domain, then the names above it: a registry knows `example.com`, not what its owner put below. */
const candidatesOf = (name: string): string[] => {
  const labels = name.split('.')
  return labels
    .slice(0, -1)
    .map((_, index) => labels.slice(index).join('.'))
    .slice(0, MAX_NAMES)
}

/** RFC 9224 §4: the longest match of labels; then the HTTPS address. */
function baseFor(services: Services, name: string): string | null {
  const labels = name.split('.')
  for (const suffix of labels.map((_, index) => labels.slice(index).join('.'))) {
    const service = services.find(([names]) => names.some((entry) => entry.toLowerCase() === suffix))
    if (service) {
      const url = service[1].find((each) => URL.canParse(each) && each.startsWith('https://'))
      return url === undefined ? null : `${url.replace(/\/+$/, '')}/`
    }
  }
  return null
}

function toRegistration(name: string, domain: z.infer<typeof RdapDomain>): Registration {
  const registrar = domain.entities.find(({ roles }) => roles.includes('registrar'))
  const expiry = domain.events.find(({ eventAction }) => eventAction === 'expiration')
  const expiresAt = expiry ? Date.parse(expiry.eventDate) : NaN
  return {
    state: 'known',
    why: null,
    name,
    registrar: registrar ? (formattedName(registrar.vcardArray) ?? registrar.handle ?? null) : null,
    statuses: domain.status.slice(0, 50),
    expires_at: Number.isSafeInteger(expiresAt) ? expiresAt : null,
    name_servers: domain.nameservers.map(({ ldhName }) => ldhName.toLowerCase().replace(/\.$/, '')).slice(0, 50),
  }
}

/** jCard (RFC 7095): `["vcard", [["fn", {}, "text", "Example Registrar"], ...]]`. */
function formattedName(jcard: unknown): string | null {
  const parsed = z.tuple([z.string(), z.array(z.array(z.unknown()))]).safeParse(jcard)
  const name = parsed.success ? parsed.data[1].find(([property]) => property === 'fn')?.[3] : undefined
  return typeof name === 'string' && name !== '' ? name.slice(0, 500) : null
}
