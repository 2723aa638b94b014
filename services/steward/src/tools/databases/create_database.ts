// A database in the account's own cluster.
import { z } from 'zod'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool, recoverable } from '../../define-tool.ts'
import {
  DatabaseName,
  databaseRemoval,
  databaseState,
  issueLogin,
  KIND,
  reserveName,
  Secret,
  setDatabaseExists,
  type DatabaseState,
} from './shape.ts'

const Input = z.strictObject({ name: DatabaseName })
const Output = z.strictObject({ database_id: ResourceId, name: z.string() })

export default defineTool({
  name: 'create_database',
  summary:
    'Creates a PostgreSQL database of your own. Returns its id and, once, username, password, host, port and database.',
  domain: 'databases',
  scopes: ['databases:write'],
  input: Input,
  output: Output,
  keep: ['name'],
  effect: recoverable<z.output<typeof Input>, z.output<typeof Output>, DatabaseState>({
    // Before the change there is no id to look at.
    capture: async (context, _input, output) =>
      output ? databaseState(context, output.database_id) : { exists: false },
    // Nothing exists yet that a snapshot could hold.
    snapshot: async () => [],
    undo: (context, _input, to, deed) => setDatabaseExists(context, ResourceId.parse(deed.newResourceId), to.exists),
    removal: databaseRemoval((_input, deed) => ResourceId.parse(deed.newResourceId)),
  }),
  prepare: (context, { name }) => reserveName(context, name),
  async handle(context, { name }) {
    await context.keeper.create_database({ database_id: context.newResourceId })
    context.resources.create({ id: context.newResourceId, kind: KIND, name })
    return { database_id: context.newResourceId, name }
  },
  secret: Secret,
  issueSecret: (context, _input, { database_id }) => issueLogin(context, database_id),
})
