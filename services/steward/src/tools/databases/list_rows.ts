// The rows of a table in primary-key order. A page ends early rather than let a few large rows make an answer that no client
// can read; the cursor goes on exactly behind the last row given.
import { z } from 'zod'
import { deny } from '@bailiwick/contracts/problem'
import { Identifier, KeyValues } from '@bailiwick/contracts/tables'
import { defineTool, read } from '../../define-tool.ts'
import { decodeCursor, encodeCursor, NextCursor, pageInput } from '../../paging.ts'
import { untrustedJson, UntrustedJson } from '../../untrusted.ts'
import { DatabaseId, keyOf, KIND } from './shape.ts'

const MAX_PAGE_CHARS = 400_000

export default defineTool({
  name: 'list_rows',
  summary:
    'Lists rows of a table in primary-key order, paged. Long texts are cut visibly; read them with run_read_query.',
  domain: 'databases',
  scopes: ['databases:read'],
  input: z.strictObject({ database_id: DatabaseId, table: Identifier, ...pageInput }),
  output: z.strictObject({
    rows: z.array(UntrustedJson).describe('Objects of column name and value. Large integers and numerics are strings.'),
    primary_key: z.array(z.string()),
    next_cursor: NextCursor,
  }),
  keep: ['database_id', 'table', 'limit'],
  resources: { database_id: KIND },
  effect: read,
  async handle({ keeper, refuse }, { database_id, table, limit, cursor }) {
    const after = decodeCursor(KeyValues, cursor)
    const { rows, primary_key } = await keeper.read_rows({ database_id, table, keys: null, after, limit: limit + 1 })
    // Without a key there is no place to go on from, and a list that ends early would look whole.
    if (primary_key.length === 0 && rows.length > limit)
      refuse(
        deny('TABLE_HAS_NO_KEY', {
          detail: `The table has more than ${limit} rows and no primary key to page by.`,
          next: 'Ask for more rows with `limit`, or use run_read_query with an order of your own.',
        }),
      )
    const page = []
    let chars = 0
    for (const row of rows.slice(0, limit)) {
      const shown = untrustedJson(row)
      chars += JSON.stringify(shown).length
      if (page.length > 0 && chars > MAX_PAGE_CHARS && primary_key.length > 0) break
      page.push(shown)
    }
    const last = rows[page.length - 1]
    return {
      rows: page,
      primary_key,
      // From the row as it is, not as shown: a key with stripped characters would skip or repeat rows.
      next_cursor: last && rows.length > page.length ? encodeCursor(keyOf(last, primary_key)) : null,
    }
  },
})
