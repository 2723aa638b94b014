// The record sets of a zone, by name and type.
import { z } from 'zod'
import { RecordType } from '@bailiwick/contracts/dns'
import { defineTool, read } from '../../define-tool.ts'
import { NextCursor, pageInput, pageOf } from '../../paging.ts'
import { setId } from './critical.ts'
import { DOMAIN, DomainId, Name, readZone, ShownSet, showSet } from './zone.ts'

export default defineTool({
  name: 'list_dns_records',
  summary:
    'Lists the records of a zone you own, one entry per name and type, optionally of one name or type. Ordered, paged.',
  domain: 'dns',
  scopes: ['dns:read'],
  input: z.strictObject({ domain_id: DomainId, name: Name.optional(), type: RecordType.optional(), ...pageInput }),
  output: z.strictObject({
    state: z.enum(['staged', 'published', 'quarantined', 'absent']).describe('Staged zones are not served yet.'),
    record_sets: z.array(ShownSet),
    next_cursor: NextCursor,
  }),
  keep: ['domain_id', 'name', 'type', 'limit'],
  resources: { domain_id: DOMAIN },
  effect: read,
  async handle(context, { domain_id, name, type, ...page }) {
    const zone = await readZone(context, domain_id)
    const wanted = zone.record_sets.filter(
      (set) => (name === undefined || set.name === name) && (type === undefined || set.type === type),
    )
    const { items, next_cursor } = pageOf(wanted, setId, page)
    return { state: zone.state, record_sets: items.map(showSet), next_cursor }
  },
})
