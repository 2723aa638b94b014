// A new password for the database's login role. Not undone: an old password that works again would be a hole, not a restore.
import { z } from 'zod'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool, kept } from '../../define-tool.ts'
import { DatabaseId, issueLogin, KIND, Secret } from './shape.ts'

export default defineTool({
  name: 'rotate_database_password',
  summary: 'Replaces the password of a database. The old one stops working at once; the new one is returned once.',
  domain: 'databases',
  scopes: ['databases:write'],
  input: z.strictObject({ database_id: DatabaseId }),
  output: z.strictObject({ database_id: ResourceId }),
  keep: ['database_id'],
  resources: { database_id: KIND },
  effect: kept,
  // The password is made by issueSecret, after the operation is committed: a replay makes a fresh one and nothing keeps it.
  handle: async (_context, { database_id }) => ({ database_id }),
  secret: Secret,
  issueSecret: (context, { database_id }) => issueLogin(context, database_id),
})
