// A table with typed columns and a primary key, by which its rows can be changed undoably.
import { z } from 'zod'
import { ColumnSpec, Identifier } from '@bailiwick/contracts/tables'
import { deny } from '@bailiwick/contracts/problem'
import { hashJson } from '@bailiwick/kernel/canonical'
import type { ToolContext } from '../../context.ts'
import { defineTool, exact } from '../../define-tool.ts'
import { DatabaseId, KIND } from './shape.ts'

const Input = z
  .strictObject({
    database_id: DatabaseId,
    table: Identifier,
    columns: z.array(ColumnSpec).min(1).max(100),
    primary_key: z.array(Identifier).min(1).max(8).describe('Columns of the key, in order.'),
  })
  .superRefine(({ columns, primary_key }, context) => {
    const names = columns.map(({ name }) => name)
    const issue = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message })
    if (new Set(names).size !== names.length) issue('columns', 'a column is named twice')
    if (new Set(primary_key).size !== primary_key.length) issue('primary_key', 'a column is named twice')
    if (!primary_key.every((column) => names.includes(column))) issue('primary_key', 'not one of the columns')
  })

type TableState = { exists: false } | { exists: true; structure: string; empty: boolean }

async function capture({ keeper }: ToolContext, input: z.output<typeof Input>): Promise<TableState> {
  const { tables } = await keeper.describe_database({ database_id: input.database_id })
  const table = tables.find(({ name }) => name === input.table)
  if (!table) return { exists: false }
  const { rows: _, ...structure } = table
  const first = await keeper.read_rows({
    database_id: input.database_id,
    table: input.table,
    keys: null,
    after: null,
    limit: 1,
  })
  return { exists: true, structure: hashJson(structure), empty: first.rows.length === 0 }
}

const Output = z.strictObject({ table: z.string() })

export default defineTool({
  name: 'create_table',
  summary:
    'Creates a table with typed columns and a primary key. Undo moves it out of sight while it is still empty and unchanged.',
  domain: 'databases',
  scopes: ['databases:write'],
  input: Input,
  output: Output,
  keep: ['database_id', 'table', 'columns', 'primary_key'],
  resources: { database_id: KIND },
  effect: exact<z.output<typeof Input>, z.output<typeof Output>, TableState>({
    capture,
    async undo({ keeper }, { database_id, table }, to) {
      await (to.exists ? keeper.restore_table({ database_id, table }) : keeper.quarantine_table({ database_id, table }))
    },
  }),
  async prepare(context, input) {
    const { exists } = await capture(context, input)
    if (exists) context.refuse(deny('CONFLICT', { detail: `There is a table named ${input.table}.` }))
  },
  async handle({ keeper }, input) {
    await keeper.create_table(input)
    return { table: input.table }
  },
})
