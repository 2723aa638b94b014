// New rows. Undo goes by the history that the keeper's trigger wrote for this operation, cascades included.
import { z } from 'zod'
import { Identifier, KeyValues } from '@bailiwick/contracts/tables'
import { defineTool, exact } from '../../define-tool.ts'
import { untrustedJson, UntrustedJson } from '../../untrusted.ts'
import { AnyValue, DatabaseId, KIND, reverseRows, rowsState, type RowsState } from './shape.ts'

const Input = z.strictObject({
  database_id: DatabaseId,
  table: Identifier,
  rows: z.array(z.record(Identifier, AnyValue)).min(1).max(100).describe('Objects of column name and value.'),
})
const Output = z.strictObject({ inserted: z.number().int(), keys: z.array(UntrustedJson) })

export default defineTool({
  name: 'insert_rows',
  summary: 'Inserts up to 100 rows into a table, all or none. Returns the keys of the new rows.',
  domain: 'databases',
  scopes: ['databases:write'],
  input: Input,
  output: Output,
  keep: ['database_id', 'table'],
  resources: { database_id: KIND },
  effect: exact<z.output<typeof Input>, z.output<typeof Output>, RowsState>({
    // Before the change the keys may not be known. A key that the answer had to strip is not found again here; the keeper
    // compares every row of the operation itself before it reverses one.
    capture: (context, input, output) => rowsState(context, input, z.array(KeyValues).parse(output?.keys ?? [])),
    undo: reverseRows,
  }),
  async handle({ keeper }, input) {
    const { keys } = await keeper.insert_rows(input)
    return { inserted: keys.length, keys: keys.map((key) => untrustedJson(key)) }
  },
})
