// Changes rows by key. Undo goes by the history that the keeper's trigger wrote for this operation, cascades included.
import { z } from 'zod'
import { Identifier, KeyValues } from '@bailiwick/contracts/tables'
import { defineTool, exact } from '../../define-tool.ts'
import { AnyValue, DatabaseId, hasDuplicates, KIND, reverseRows, rowsState, type RowsState } from './shape.ts'

const Update = z.strictObject({
  key: KeyValues.describe('Every column of the primary key.'),
  values: z
    .record(Identifier, AnyValue)
    .refine((values) => Object.keys(values).length > 0, 'at least one column')
    .describe('Columns to change.'),
})
const Input = z.strictObject({
  database_id: DatabaseId,
  table: Identifier,
  updates: z
    .array(Update)
    .min(1)
    .max(100)
    .refine((updates) => !hasDuplicates(updates.map(({ key }) => key)), 'a key is given twice'),
})

/** Where a row is now and where it goes when the update changes its key. */
const keysOf = ({ updates }: z.output<typeof Input>): KeyValues[] =>
  updates.flatMap(({ key, values }) => {
    const moved = KeyValues.safeParse(
      Object.fromEntries(Object.keys(key).map((column) => [column, values[column] ?? key[column]])),
    )
    return moved.success ? [key, moved.data] : [key]
  })

const Output = z.strictObject({ updated: z.number().int() })

export default defineTool({
  name: 'update_rows',
  summary:
    'Changes up to 100 rows of a table, each found by its primary key, all or none. A key that does not exist refuses all.',
  domain: 'databases',
  scopes: ['databases:write'],
  input: Input,
  output: Output,
  keep: ['database_id', 'table'],
  resources: { database_id: KIND },
  effect: exact<z.output<typeof Input>, z.output<typeof Output>, RowsState>({
    capture: (context, input) => rowsState(context, input, keysOf(input)),
    undo: reverseRows,
  }),
  async handle({ keeper }, input) {
    const { updated } = await keeper.update_rows(input)
    return { updated }
  },
})
