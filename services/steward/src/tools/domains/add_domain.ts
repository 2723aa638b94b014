// A domain with a staged zone: it can be filled at once and is served only after control of the name is proven, so that no
// account can take, or learn of, another's name.
import { z } from 'zod'
import { deny } from '@bailiwick/contracts/problem'
import type { Json } from '@bailiwick/kernel/canonical'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool, exact } from '../../define-tool.ts'
import { DOMAIN } from '../dns/zone.ts'
import {
  criticalOfRemoval,
  DomainName,
  domainRemoval,
  domainState,
  quarantineDomain,
  restoreDomain,
  Verification,
  verificationOf,
  type DomainState,
} from './shape.ts'

const Input = z.strictObject({ name: DomainName })
const Output = z.strictObject({
  domain_id: ResourceId,
  name: z.string().describe('As stored: lower case, punycode.'),
  name_servers: z.array(z.string()),
  verification: Verification.describe(
    'Create this record where the domain’s DNS is served today, then call verify_domain.',
  ),
})

export default defineTool({
  name: 'add_domain',
  summary:
    'Adds a domain with a staged DNS zone you can fill at once. Returns its id and the TXT record that verify_domain looks for.',
  domain: 'domains',
  scopes: ['domains:write'],
  input: Input,
  output: Output,
  keep: ['name'],
  effect: exact<z.output<typeof Input>, z.output<typeof Output>, DomainState>({
    // Before the change there is no id to look at.
    capture: async (context, _input, output) => (output ? domainState(context, output.domain_id) : { exists: false }),
    async undo(context, _input, to, deed) {
      const domainId = ResourceId.parse(deed.newResourceId)
      await (to.exists ? restoreDomain(context, domainId) : quarantineDomain(context, domainId))
    },
    removal: domainRemoval((_input, deed) => ResourceId.parse(deed.newResourceId)),
  }),
  // Adding touches nothing that exists; undoing it does once the owner has put critical records in.
  async touchesCritical(context, { name }, present, to) {
    const added = to && !to.exists ? await context.resources.findByName(DOMAIN, name) : null
    return added ? criticalOfRemoval(context, added.id, present) : []
  },
  async prepare(context, { name }) {
    if (await context.resources.findByName(DOMAIN, name))
      return context.refuse(deny('CONFLICT', { detail: `${name} is one of your domains already.` }))
    return { reserve: [`${DOMAIN}:${name}`] }
  },
  async handle(context, { name }) {
    const id = context.newResourceId
    await context.keeper.create_zone({ zone_id: id, name })
    const { zone } = await context.keeper.read_zone({ zone_id: id, name })
    const name_servers = zone.record_sets.find((set) => set.name === '@' && set.type === 'NS')?.records ?? []
    context.resources.create({ id, kind: DOMAIN, name, data: { verified_at: null, made_ns: name_servers } })
    context.zones.record(id, zone.record_sets as Json)
    return { domain_id: id, name, name_servers, verification: verificationOf(context, id, name) }
  },
})
