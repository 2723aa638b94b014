// Lists the account's databases.
import { z } from 'zod'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool, read } from '../../define-tool.ts'
import { NextCursor, pageInput } from '../../paging.ts'
import { iso } from '../../undo-window.ts'
import { KIND } from './shape.ts'

export default defineTool({
  name: 'list_databases',
  summary: 'Lists your active databases with id, name and creation time. Deleted ones are in list_trash. Paged.',
  domain: 'databases',
  scopes: ['databases:read'],
  input: z.strictObject(pageInput),
  output: z.strictObject({
    databases: z.array(z.strictObject({ database_id: ResourceId, name: z.string(), created_at: z.string() })),
    next_cursor: NextCursor,
  }),
  keep: ['limit'],
  effect: read,
  async handle({ resources }, { limit, cursor }) {
    const page = await resources.list(KIND, { limit, cursor: cursor ?? null })
    return {
      databases: page.items.map(({ id, name, createdAt }) => ({ database_id: id, name, created_at: iso(createdAt) })),
      next_cursor: page.nextCursor,
    }
  },
})
