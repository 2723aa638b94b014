// What deleting a database would take out of sight, and what is kept.
import { z } from 'zod'
import { defineTool, read } from '../../define-tool.ts'
import { undoUntil } from '../../undo-window.ts'
import { DatabaseId, KIND } from './shape.ts'

export default defineTool({
  name: 'preview_delete_database',
  summary:
    'Shows what deleting a database would do and returns a preview_token for delete_database. Show the impact to the user and wait.',
  domain: 'databases',
  scopes: ['databases:delete'],
  input: z.strictObject({ database_id: DatabaseId }),
  output: z.strictObject({
    impact: z.strictObject({
      name: z.string(),
      tables: z.number().int(),
      rows: z.number().int(),
      size_bytes: z.number().int(),
      warning: z.string(),
      kept: z.string(),
      undo_until: z.string(),
    }),
  }),
  keep: ['database_id'],
  resources: { database_id: KIND },
  effect: read,
  previews: { tool: 'delete_database', field: 'database_id' },
  async handle(context, { database_id }) {
    const [{ name }, { tables, size_bytes }] = await Promise.all([
      context.resources.get(database_id),
      context.keeper.describe_database({ database_id }),
    ])
    return {
      impact: {
        name,
        tables: tables.length,
        rows: tables.reduce((sum, table) => sum + table.rows, 0),
        size_bytes,
        warning: 'Whatever connects to this database stops working at once.',
        kept: 'All of it: a verified snapshot in the vault, and the database itself in quarantine.',
        undo_until: undoUntil(context),
      },
    }
  },
})
