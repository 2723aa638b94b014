// One SQL query as the database's read-only role, bounded in time and rows by the keeper.
import { z } from 'zod'
import { defineTool, read } from '../../define-tool.ts'
import { untrusted, untrustedJson, UntrustedJson, UntrustedText } from '../../untrusted.ts'
import { DatabaseId, KIND } from './shape.ts'

export default defineTool({
  name: 'run_read_query',
  summary:
    'Runs one SQL query as a read-only role. Returns columns and at most row_cap rows; `truncated` says whether there were more.',
  domain: 'databases',
  scopes: ['databases:read'],
  input: z.strictObject({
    database_id: DatabaseId,
    sql: z.string().min(1).max(20_000).describe('One statement. Anything that would change data is refused.'),
    timeout_ms: z.number().int().min(100).max(30_000).default(5000),
    row_cap: z.number().int().min(1).max(1000).default(100),
  }),
  output: z.strictObject({
    columns: z.array(UntrustedText),
    rows: z.array(z.array(UntrustedJson)).describe('Values in the order of `columns`.'),
    truncated: z.boolean(),
  }),
  keep: ['database_id', 'timeout_ms', 'row_cap'],
  resources: { database_id: KIND },
  effect: read,
  async handle({ keeper }, input) {
    const { columns, rows, truncated } = await keeper.run_read_query(input)
    return {
      columns: columns.map((column) => untrusted(column)),
      rows: rows.map((row) => row.map((value) => untrustedJson(value))),
      truncated,
    }
  },
})
