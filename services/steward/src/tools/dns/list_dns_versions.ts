// The history of a zone: one version per change made through Bailiwick.
import { z } from 'zod'
import { defineTool, read } from '../../define-tool.ts'
import { NextCursor, pageInput } from '../../paging.ts'
import { iso } from '../../undo-window.ts'
import { DOMAIN, DomainId, parseSets } from './zone.ts'

export default defineTool({
  name: 'list_dns_versions',
  summary:
    'Lists the versions of a zone: when, by which operation, how many record sets. For diff_dns_versions and restore_dns_version. Paged.',
  domain: 'dns',
  scopes: ['dns:read'],
  input: z.strictObject({ domain_id: DomainId, ...pageInput }),
  output: z.strictObject({
    versions: z.array(
      z.strictObject({
        version: z.number().int(),
        at: z.string(),
        operation_id: z.string(),
        record_sets: z.number().int(),
      }),
    ),
    next_cursor: NextCursor,
  }),
  keep: ['domain_id', 'limit'],
  resources: { domain_id: DOMAIN },
  effect: read,
  async handle({ zones }, { domain_id, limit, cursor }) {
    const page = await zones.versions(domain_id, { limit, cursor: cursor ?? null })
    return {
      versions: page.items.map(({ version, at, operationId, recordSets }) => ({
        version,
        at: iso(at),
        operation_id: operationId,
        record_sets: parseSets(recordSets).length,
      })),
      next_cursor: page.nextCursor,
    }
  },
})
