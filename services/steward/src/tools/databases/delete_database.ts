// Takes a database out of sight: snapshot into the vault first, then quarantine. Nothing that a call can reach destroys it.
import { z } from 'zod'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool, recoverable } from '../../define-tool.ts'
import {
  DatabaseId,
  databaseRemoval,
  databaseState,
  dumpDatabase,
  KIND,
  setDatabaseExists,
  type DatabaseState,
} from './shape.ts'

const Input = z.strictObject({ database_id: DatabaseId })

const Output = z.strictObject({ deleted: z.boolean(), database_id: ResourceId })

export default defineTool({
  name: 'delete_database',
  summary:
    'Deletes a database after preview_delete_database and the user’s yes. Nothing is lost: undo brings it back until undo_until.',
  domain: 'databases',
  scopes: ['databases:delete'],
  long: true,
  input: Input,
  output: Output,
  keep: ['database_id'],
  resources: { database_id: KIND },
  effect: recoverable<z.output<typeof Input>, z.output<typeof Output>, DatabaseState>({
    capture: (context, { database_id }) => databaseState(context, database_id),
    snapshot: (context, { database_id }) => dumpDatabase(context, database_id),
    undo: (context, { database_id }, to) => setDatabaseExists(context, database_id, to.exists),
    // Undo of undo.
    removal: databaseRemoval(({ database_id }: z.output<typeof Input>) => database_id),
  }),
  confirms: { previewTool: 'preview_delete_database', field: 'database_id' },
  async handle(context, { database_id }) {
    await setDatabaseExists(context, database_id, false)
    return { deleted: true, database_id }
  },
})
