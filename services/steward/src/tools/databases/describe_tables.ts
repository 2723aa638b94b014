// The tables of a database with their columns and keys.
import { z } from 'zod'
import { defineTool, read } from '../../define-tool.ts'
import { NextCursor, pageInput, pageOf } from '../../paging.ts'
import { untrusted, UntrustedText } from '../../untrusted.ts'
import { DatabaseId, KIND } from './shape.ts'

export default defineTool({
  name: 'describe_tables',
  summary:
    'Describes the tables of a database: columns, types, defaults, primary key, number of rows. Ordered by name, paged.',
  domain: 'databases',
  scopes: ['databases:read'],
  input: z.strictObject({ database_id: DatabaseId, ...pageInput }),
  output: z.strictObject({
    tables: z.array(
      z.strictObject({
        name: UntrustedText,
        columns: z.array(
          z.strictObject({
            name: UntrustedText,
            type: UntrustedText,
            nullable: z.boolean(),
            default: UntrustedText.nullable(),
          }),
        ),
        primary_key: z.array(UntrustedText),
        rows: z.number().int(),
      }),
    ),
    next_cursor: NextCursor,
  }),
  keep: ['database_id', 'limit'],
  resources: { database_id: KIND },
  effect: read,
  async handle({ keeper }, { database_id, ...page }) {
    const { tables } = await keeper.describe_database({ database_id })
    const { items, next_cursor } = pageOf(tables, ({ name }) => name, page)
    return {
      // Whoever holds the database's password can make names and defaults of any text.
      tables: items.map((table) => ({
        name: untrusted(table.name),
        columns: table.columns.map((column) => ({
          name: untrusted(column.name),
          type: untrusted(column.type),
          nullable: column.nullable,
          default: column.default === null ? null : untrusted(column.default),
        })),
        primary_key: table.primary_key.map((column) => untrusted(column)),
        rows: table.rows,
      })),
      next_cursor,
    }
  },
})
