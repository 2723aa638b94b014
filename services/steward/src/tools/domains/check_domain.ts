// What is configured against what resolvers outside see. TXT only: it is the one type the keeper resolves, and it tells both
// whether control can be proven and whether the published zone is the one that the world asks.
import { z } from 'zod'
import { defineTool, read } from '../../define-tool.ts'
import { untrusted, UntrustedText } from '../../untrusted.ts'
import { DOMAIN, domainData, DomainId, readZone } from '../dns/zone.ts'
import { sameRecords } from '../dns/critical.ts'
import { Verification, verificationOf } from './shape.ts'

const MAX_VALUES = 50

export default defineTool({
  name: 'check_domain',
  summary:
    'Compares what is configured with what resolves: whether the verification TXT is visible and whether the world sees your zone’s TXT.',
  domain: 'domains',
  scopes: ['domains:read'],
  input: z.strictObject({ domain_id: DomainId }),
  output: z.strictObject({
    name: z.string(),
    state: z.enum(['staged', 'published', 'quarantined', 'absent']),
    verified: z.boolean(),
    verification: z.strictObject({
      record: Verification,
      visible: z.boolean().describe('True: verify_domain will succeed.'),
      seen: z.array(UntrustedText),
    }),
    apex_txt: z.strictObject({
      configured: z.array(UntrustedText),
      seen: z.array(UntrustedText),
      same: z.boolean(),
    }),
    next: z.string(),
  }),
  keep: ['domain_id'],
  resources: { domain_id: DOMAIN },
  effect: read,
  async handle(context, { domain_id }) {
    const [domain, zone] = await Promise.all([context.resources.get(domain_id), readZone(context, domain_id)])
    const record = verificationOf(context, domain_id, domain.name)
    const [proof, apex] = await Promise.all([
      context.keeper.resolve_txt({ name: record.name }),
      context.keeper.resolve_txt({ name: domain.name }),
    ])
    const configured = zone.record_sets.find(({ name, type }) => name === '@' && type === 'TXT')?.records ?? []
    const verified = domainData(domain).verified_at !== null
    const visible = proof.values.includes(record.value)
    const show = (values: readonly string[]): string[] => values.slice(0, MAX_VALUES).map((value) => untrusted(value))
    return {
      name: domain.name,
      state: zone.state,
      verified,
      verification: { record, visible, seen: show(proof.values) },
      apex_txt: { configured: show(configured), seen: show(apex.values), same: sameRecords(configured, apex.values) },
      next: verified
        ? 'Nothing: the zone is published. Its name servers must be set at the registrar.'
        : visible
          ? 'Call verify_domain.'
          : 'Create the verification record where the domain’s DNS is served today, then check again.',
    }
  },
})
