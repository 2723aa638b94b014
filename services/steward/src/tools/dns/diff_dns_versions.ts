// What changed between two versions of a zone, or between one and the zone as it is.
import { z } from 'zod'
import { RecordType } from '@bailiwick/contracts/dns'
import { defineTool, read } from '../../define-tool.ts'
import { NextCursor, pageInput, pageOf } from '../../paging.ts'
import { setId } from './critical.ts'
import { changesBetween, readVersion } from './versions.ts'
import { DOMAIN, DomainId, readZone, ShownSet, showSet } from './zone.ts'

export default defineTool({
  name: 'diff_dns_versions',
  summary:
    'Shows which record sets differ between two versions of a zone, or between a version and the zone as it is now. Paged.',
  domain: 'dns',
  scopes: ['dns:read'],
  input: z.strictObject({
    domain_id: DomainId,
    from_version: z.number().int().min(0),
    to_version: z.number().int().min(0).optional().describe('Absent: the zone as it is now.'),
    ...pageInput,
  }),
  output: z.strictObject({
    changes: z.array(
      z.strictObject({
        name: z.string(),
        type: RecordType,
        before: ShownSet.nullable().describe('Null: added since.'),
        after: ShownSet.nullable().describe('Null: removed since.'),
      }),
    ),
    next_cursor: NextCursor,
  }),
  keep: ['domain_id', 'from_version', 'to_version', 'limit'],
  resources: { domain_id: DOMAIN },
  effect: read,
  async handle(context, { domain_id, from_version, to_version, ...page }) {
    const from = await readVersion(context, domain_id, from_version)
    const to =
      to_version === undefined
        ? (await readZone(context, domain_id)).record_sets
        : await readVersion(context, domain_id, to_version)
    const { items, next_cursor } = pageOf(changesBetween(from, to), setId, page)
    return {
      changes: items.map(({ name, type, before, after }) => ({
        name,
        type,
        before: before && showSet(before),
        after: after && showSet(after),
      })),
      next_cursor,
    }
  },
})
