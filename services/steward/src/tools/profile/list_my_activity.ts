// The account's entries in the log. Who and from where is shown for the caller's own entries only, and so is the (redacted)
// input: what others of the account did to things that this token may not read is not told here.
import { z } from 'zod'
import type { OpenedEntry } from '@bailiwick/contracts/doors/audit'
import { defineTool, read } from '../../define-tool.ts'
import { decodeCursor, encodeCursor, NextCursor, pageInput } from '../../paging.ts'
import { untrusted, untrustedJson, UntrustedJson, UntrustedText } from '../../untrusted.ts'
import { iso } from '../../undo-window.ts'

const Item = z.strictObject({
  index: z.number().int().describe('Place in the log.'),
  time: z.string(),
  kind: z.string(),
  tool: UntrustedText.nullable(),
  decision: z.string().nullable(),
  code: z.string().nullable().describe('Of a refusal.'),
  status: z.number().int().nullable(),
  operation_id: z.string().nullable(),
  by_me: z.boolean().describe('By the same token or client as this call.'),
  input: UntrustedJson.nullable().describe(
    'Untrusted value. As recorded: what the tool does not keep is a hash. Null for others’ calls.',
  ),
  address: UntrustedText.nullable(),
  agent: UntrustedText.nullable(),
})

/** A leaf's members, read tolerantly: old entries may lack what newer ones have. */
const Leaf = z.object({
  kind: z.string().catch('call'),
  tool: z.string().nullable().catch(null),
  decision: z.string().nullable().catch(null),
  code: z.string().nullable().catch(null),
  status: z.number().int().nullable().catch(null),
  operation_id: z.string().nullable().catch(null),
})

function show({ index, time, leaf, personal }: OpenedEntry, principal: string): z.input<typeof Item> {
  const { tool, ...plain } = Leaf.parse(leaf)
  const own = personal !== null && personal.principal === principal ? personal : null
  const text = (value: string | null | undefined): string | null =>
    value === null || value === undefined ? null : untrusted(value)
  return {
    index,
    time: iso(time),
    ...plain,
    tool: text(tool),
    by_me: own !== null,
    input: untrustedJson(own?.input ?? null),
    address: text(own?.address),
    agent: text(own?.agent),
  }
}

export default defineTool({
  name: 'list_my_activity',
  summary:
    'Lists what was done in your account, newest first, from the log: time, tool, decision, code, operation. Optionally of one tool. Paged.',
  domain: 'profile',
  scopes: ['profile:read'],
  input: z.strictObject({ tool: z.string().max(128).optional(), ...pageInput }),
  output: z.strictObject({ entries: z.array(Item), next_cursor: NextCursor }),
  keep: ['tool', 'limit'],
  effect: read,
  async handle(context, { tool, limit, cursor }) {
    const before = decodeCursor(z.number().int().min(0), cursor)
    const { entries, next_before } = await context.activity({ before, limit, tool: tool ?? null })
    return {
      entries: entries.map((entry) => show(entry, context.permit.principal)),
      next_cursor: next_before === null ? null : encodeCursor(next_before),
    }
  },
})
