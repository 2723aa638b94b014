// What deleting a domain would take along, and what is kept.
import { z } from 'zod'
import { defineTool, read } from '../../define-tool.ts'
import { undoUntil } from '../../undo-window.ts'
import { DOMAIN, DomainId, readZone } from '../dns/zone.ts'
import { criticalOfRemoval, domainState } from './shape.ts'

export default defineTool({
  name: 'preview_delete_domain',
  summary:
    'Shows what deleting a domain would take along and returns a preview_token for delete_domain. Show the impact to the user and wait.',
  domain: 'domains',
  scopes: ['domains:delete'],
  input: z.strictObject({ domain_id: DomainId }),
  output: z.strictObject({
    impact: z.strictObject({
      name: z.string(),
      subdomains: z.number().int(),
      ssl_certs: z.number().int(),
      email_domains: z.number().int(),
      dns_records: z.record(z.string(), z.number().int()).describe('Number of records by type.'),
      critical: z
        .array(z.string())
        .describe('Need the owner’s approval. `@ DS`: the parent may hold a DS of this zone.'),
      warning: z.string(),
      kept: z.string(),
      undo_until: z.string(),
    }),
  }),
  keep: ['domain_id'],
  resources: { domain_id: DOMAIN },
  effect: read,
  previews: { tool: 'delete_domain', field: 'domain_id' },
  async handle(context, { domain_id }) {
    const [{ name, state, record_sets }, present] = await Promise.all([
      readZone(context, domain_id),
      domainState(context, domain_id),
    ])
    const dns_records: Record<string, number> = {}
    for (const { type, records } of record_sets) dns_records[type] = (dns_records[type] ?? 0) + records.length
    // `_dmarc` and the like are labels for a purpose, not hosts.
    const hosts = new Set(record_sets.map((set) => set.name).filter((host) => host !== '@' && !/(^|\.)_/.test(host)))
    return {
      impact: {
        name,
        subdomains: hosts.size,
        // Bailiwick holds neither for a domain yet; the zone is all that goes along.
        ssl_certs: 0,
        email_domains: 0,
        dns_records,
        critical: await criticalOfRemoval(context, domain_id, present),
        warning:
          state === 'published'
            ? 'Names of this domain stop resolving through us at once: web sites, mail and everything else that uses them.'
            : 'The staged zone goes with the domain. It is not served, so nothing stops resolving.',
        kept: 'The whole zone: exported into the vault, keys included, verified there before it is taken off.',
        undo_until: undoUntil(context),
      },
    }
  },
})
