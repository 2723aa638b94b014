// One database: size, limits, where to connect, how far back it can be restored.
import { z } from 'zod'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool, read } from '../../define-tool.ts'
import { iso } from '../../undo-window.ts'
import { DatabaseId, KIND, Limits, Secret } from './shape.ts'

export default defineTool({
  name: 'get_database',
  summary:
    'Shows one database: size, number of tables, limits, connection (without password) and the earliest time it can be restored to.',
  domain: 'databases',
  scopes: ['databases:read'],
  input: z.strictObject({ database_id: DatabaseId }),
  output: z.strictObject({
    database_id: ResourceId,
    name: z.string(),
    created_at: z.string(),
    size_bytes: z.number().int(),
    tables: z.number().int(),
    limits: Limits.nullable(),
    connection: Secret.omit({ password: true }).nullable(),
    restorable_from: z.string().nullable().describe('ISO time; null while nothing is archived yet.'),
  }),
  keep: ['database_id'],
  resources: { database_id: KIND },
  effect: read,
  async handle({ keeper, resources }, { database_id }) {
    const [{ name, createdAt }, database] = await Promise.all([
      resources.get(database_id),
      keeper.describe_database({ database_id }),
    ])
    return {
      database_id,
      name,
      created_at: iso(createdAt),
      size_bytes: database.size_bytes,
      tables: database.tables.length,
      limits: database.limits,
      connection: database.connection,
      restorable_from: database.restorable_from === null ? null : iso(database.restorable_from),
    }
  },
})
