// A database as it was at any second of the window, as a new one beside the source. The source may be deleted already.
import { z } from 'zod'
import { deny } from '@bailiwick/contracts/problem'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool, kept } from '../../define-tool.ts'
import { iso } from '../../undo-window.ts'
import { DatabaseId, DatabaseName, issueLogin, KIND, reserveName, Secret } from './shape.ts'

export default defineTool({
  name: 'restore_database_to_new',
  summary:
    'Restores a database, active or deleted, as it was at target_time into a new database. The source is not touched. Returns the new id and, once, its login.',
  domain: 'databases',
  scopes: ['databases:write'],
  long: true,
  input: z.strictObject({
    database_id: DatabaseId.describe('The source: from list_databases or list_trash.'),
    target_time: z.iso
      .datetime({ offset: true })
      .describe('ISO 8601 with offset. From restorable_from of get_database until now.'),
    name: DatabaseName,
  }),
  output: z.strictObject({ database_id: ResourceId, name: z.string(), recovered_to: z.string() }),
  keep: ['database_id', 'target_time', 'name'],
  resources: { database_id: KIND },
  // Whatever hangs on the source, or has poisoned it: its past can be brought back, more than once at a time.
  readsOnly: ['database_id'],
  acceptsQuarantined: true,
  effect: kept,
  async prepare(context, { database_id, target_time, name }) {
    const { restorable_from } = await context.keeper.describe_database({ database_id })
    const target = Date.parse(target_time)
    const refuse = (message: string): never =>
      context.refuse(deny('INPUT_INVALID', { detail: message, extra: { errors: [{ path: 'target_time', message }] } }))
    if (restorable_from === null) refuse('Nothing of this database is archived yet.')
    else if (target < restorable_from) refuse(`The earliest time is ${iso(restorable_from)}.`)
    if (target > context.now) refuse('This time has not come yet.')
    return reserveName(context, name)
  },
  async handle(context, { database_id, target_time, name }) {
    const { recovered_to } = await context.keeper.restore_database_to_new({
      database_id,
      new_database_id: context.newResourceId,
      target_time: Date.parse(target_time),
    })
    context.resources.create({ id: context.newResourceId, kind: KIND, name })
    return { database_id: context.newResourceId, name, recovered_to: iso(recovered_to) }
  },
  secret: Secret,
  issueSecret: (context, _input, { database_id }) => issueLogin(context, database_id),
})
