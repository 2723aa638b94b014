// What deleting record sets would remove, and which of them only the owner may decide about.
import { z } from 'zod'
import { defineTool, read } from '../../define-tool.ts'
import { undoUntil } from '../../undo-window.ts'
import { DeleteInput, emptied, existingSets } from './delete.ts'
import { criticalOf, DOMAIN, readZone, ShownSet, showSet } from './zone.ts'

export default defineTool({
  name: 'preview_delete_dns_records',
  summary:
    'Shows which records a deletion would remove and returns a preview_token for delete_dns_records. Show the impact to the user and wait.',
  domain: 'dns',
  scopes: ['dns:delete'],
  input: DeleteInput,
  output: z.strictObject({
    impact: z.strictObject({
      domain: z.string(),
      record_sets: z.array(ShownSet),
      critical: z.array(z.string()).describe('Need the owner’s approval.'),
      warning: z.string(),
      kept: z.string(),
      undo_until: z.string(),
    }),
  }),
  keep: ['domain_id', 'sets'],
  resources: { domain_id: DOMAIN },
  effect: read,
  previews: { tool: 'delete_dns_records', field: 'domain_id' },
  async handle(context, input) {
    const sets = await existingSets(context, input)
    const [{ name, state }, critical] = await Promise.all([
      readZone(context, input.domain_id),
      criticalOf(context, input.domain_id, emptied(sets)),
    ])
    return {
      impact: {
        domain: name,
        record_sets: sets.map(showSet),
        critical,
        warning:
          state === 'published'
            ? 'These names stop resolving as soon as caches expire.'
            : 'The zone is staged: nothing that resolves today changes.',
        kept: 'The records themselves, for undo and in the versions of the zone.',
        undo_until: undoUntil(context),
      },
    }
  },
})
