// One domain: its state, its zone's size, and how control of it is proven.
import { z } from 'zod'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool, read } from '../../define-tool.ts'
import { iso } from '../../undo-window.ts'
import { DOMAIN, domainData, DomainId, readZone } from '../dns/zone.ts'
import { Verification, verificationOf } from './shape.ts'

export default defineTool({
  name: 'get_domain',
  summary:
    'Shows one domain: staged or published, zone serial, name servers, number of records, and the TXT record that verifies it.',
  domain: 'domains',
  scopes: ['domains:read'],
  input: z.strictObject({ domain_id: DomainId }),
  output: z.strictObject({
    domain_id: ResourceId,
    name: z.string(),
    state: z.enum(['staged', 'published', 'quarantined', 'absent']).describe('Staged zones are not served yet.'),
    verified_at: z.string().nullable(),
    verification: Verification,
    name_servers: z.array(z.string()).describe('Set these at the registrar once the zone is published.'),
    serial: z.number().int().nullable(),
    record_sets: z.number().int(),
    created_at: z.string(),
  }),
  keep: ['domain_id'],
  resources: { domain_id: DOMAIN },
  effect: read,
  async handle(context, { domain_id }) {
    const [domain, zone] = await Promise.all([context.resources.get(domain_id), readZone(context, domain_id)])
    const { verified_at } = domainData(domain)
    return {
      domain_id,
      name: domain.name,
      state: zone.state,
      verified_at: verified_at === null ? null : iso(verified_at),
      verification: verificationOf(context, domain_id, domain.name),
      name_servers: zone.record_sets.find(({ name, type }) => name === '@' && type === 'NS')?.records ?? [],
      serial: zone.serial,
      record_sets: zone.record_sets.length,
      created_at: iso(domain.createdAt),
    }
  },
})
