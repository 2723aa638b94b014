// Removes rows by key. The keeper's history keeps them, and what went along by cascade, for undo.
import { z } from 'zod'
import { deny } from '@bailiwick/contracts/problem'
import { Identifier, KeyValues } from '@bailiwick/contracts/tables'
import { defineTool, exact } from '../../define-tool.ts'
import { DatabaseId, hasDuplicates, KIND, reverseRows, rowsState, type RowsState } from './shape.ts'

const Input = z.strictObject({
  database_id: DatabaseId,
  table: Identifier,
  keys: z
    .array(KeyValues)
    .min(1)
    .max(100)
    .refine((keys) => !hasDuplicates(keys), 'a key is given twice')
    .describe('Each with every column of the primary key.'),
})

const Output = z.strictObject({ removed: z.number().int() })

export default defineTool({
  name: 'remove_rows',
  summary:
    'Removes up to 100 rows of a table, each found by its primary key. Undo brings them back, rows removed by cascade included. A key that does not exist refuses all.',
  domain: 'databases',
  scopes: ['databases:write'],
  input: Input,
  output: Output,
  keep: ['database_id', 'table'],
  resources: { database_id: KIND },
  effect: exact<z.output<typeof Input>, z.output<typeof Output>, RowsState>({
    capture: (context, input) => rowsState(context, input, input.keys),
    undo: reverseRows,
  }),
  // The keeper removes what it finds; a key that finds nothing is the caller's mistake, better told than counted.
  async prepare(context, input) {
    const { sha256_by_key } = await rowsState(context, input, input.keys)
    if (Object.keys(sha256_by_key).length < input.keys.length)
      context.refuse(deny('NOT_FOUND', { detail: 'A row with one of the keys does not exist. Nothing was removed.' }))
  },
  async handle({ keeper }, input) {
    const { removed } = await keeper.remove_rows(input)
    return { removed }
  },
})
