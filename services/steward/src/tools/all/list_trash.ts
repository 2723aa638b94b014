// What was deleted and can still be brought back.
import { z } from 'zod'
import { defineTool, read } from '../../define-tool.ts'
import { NextCursor, pageInput } from '../../paging.ts'
import { UntrustedText, untrusted } from '../../untrusted.ts'

export default defineTool({
  name: 'list_trash',
  summary:
    'Lists deletions that can still be undone, newest first, of the domains that the token may read. Returns the operation_id for undo.',
  domain: 'all',
  scopes: [],
  input: z.strictObject(pageInput),
  output: z.strictObject({
    items: z.array(
      z.strictObject({
        operation_id: z.string().describe('For undo and preview_undo.'),
        tool: z.string(),
        kind: z.string(),
        resource_id: z.string(),
        name: UntrustedText,
        deleted_at: z.string(),
        undo_until: z.string(),
      }),
    ),
    next_cursor: NextCursor,
  }),
  effect: read,
  async handle({ journal }, { limit, cursor }) {
    const page = await journal.trash({ limit, cursor: cursor ?? null })
    return {
      items: page.items.map(({ operation_id, tool, kind, resource_id, name, deleted_at, undo_until }) => ({
        operation_id,
        tool,
        kind,
        resource_id,
        name: untrusted(name),
        deleted_at,
        undo_until,
      })),
      next_cursor: page.nextCursor,
    }
  },
})
