// Lists the account's domains.
import { z } from 'zod'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool, read } from '../../define-tool.ts'
import { NextCursor, pageInput } from '../../paging.ts'
import { iso } from '../../undo-window.ts'
import { DOMAIN, domainData } from '../dns/zone.ts'

export default defineTool({
  name: 'list_domains',
  summary: 'Lists your domains with id, name and whether they are verified. Deleted ones are in list_trash. Paged.',
  domain: 'domains',
  scopes: ['domains:read'],
  input: z.strictObject(pageInput),
  output: z.strictObject({
    domains: z.array(
      z.strictObject({ domain_id: ResourceId, name: z.string(), verified: z.boolean(), created_at: z.string() }),
    ),
    next_cursor: NextCursor,
  }),
  keep: ['limit'],
  effect: read,
  async handle({ resources }, { limit, cursor }) {
    const page = await resources.list(DOMAIN, { limit, cursor: cursor ?? null })
    return {
      domains: page.items.map((domain) => ({
        domain_id: domain.id,
        name: domain.name,
        verified: domainData(domain).verified_at !== null,
        created_at: iso(domain.createdAt),
      })),
      next_cursor: page.nextCursor,
    }
  },
})
