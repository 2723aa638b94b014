// Removes whole record sets in one versioned write; undo writes them back as they were.
import { z } from 'zod'
import { RecordType } from '@bailiwick/contracts/dns'
import { defineTool, exact } from '../../define-tool.ts'
import { DeleteInput, emptied, existingSets } from './delete.ts'
import { criticalOf, DOMAIN, pickSets, readZone, setsState, writeSets, type SetsState } from './zone.ts'

const Output = z.strictObject({
  deleted: z.boolean(),
  sets: z.array(z.strictObject({ name: z.string(), type: RecordType })),
})

export default defineTool({
  name: 'delete_dns_records',
  summary:
    'Deletes all records of the given names and types after preview_delete_dns_records and the user’s yes. Undo writes them back.',
  domain: 'dns',
  scopes: ['dns:delete'],
  input: DeleteInput,
  output: Output,
  keep: ['domain_id', 'sets'],
  resources: { domain_id: DOMAIN },
  effect: exact<z.output<typeof DeleteInput>, z.output<typeof Output>, SetsState>({
    capture: async (context, { domain_id, sets }) =>
      setsState(pickSets((await readZone(context, domain_id)).record_sets, sets)),
    undo: (context, { domain_id }, to) => writeSets(context, domain_id, Object.values(to.sets)),
  }),
  touchesCritical: (context, { domain_id, sets }, _present, to) =>
    criticalOf(context, domain_id, to ? Object.values(to.sets) : emptied(sets)),
  confirms: { previewTool: 'preview_delete_dns_records', field: 'domain_id' },
  async prepare(context, input) {
    await existingSets(context, input)
  },
  async handle(context, { domain_id, sets }) {
    await writeSets(context, domain_id, emptied(sets))
    return { deleted: true, sets }
  },
})
