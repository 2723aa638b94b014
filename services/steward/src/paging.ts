// Paging, once for all lists: a bounded limit and an opaque cursor that names the last item given out.
import { z } from 'zod'
import type { Json } from '@bailiwick/kernel/canonical'
import { deny } from '@bailiwick/contracts/problem'
import { Refused } from './context.ts'

export const pageInput = {
  limit: z.number().int().min(1).max(100).default(50),
  cursor: z.string().max(4096).optional().describe('`next_cursor` of the page before; absent for the first page.'),
}
export const NextCursor = z.string().nullable().describe('Null on the last page.')

export const encodeCursor = (position: Json): string => Buffer.from(JSON.stringify(position)).toString('base64url')

/** The position in a cursor that `encodeCursor` made; anything else is INPUT_INVALID. Null without a cursor. */
export function decodeCursor<T>(schema: z.ZodType<T>, cursor: string | undefined): T | null {
  if (cursor === undefined) return null
  try {
    const parsed = schema.safeParse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')))
    if (parsed.success) return parsed.data
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new Refused(
    deny('INPUT_INVALID', { extra: { errors: [{ path: 'cursor', message: 'not a cursor of this list' }] } }),
  )
}

/** A page of a list that is wholly at hand, sorted by `keyOf`. The cursor is the last key: what is added or removed in between shifts nothing. */
export function pageOf<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): { items: T[]; next_cursor: string | null } {
  const after = decodeCursor(z.string(), cursor)
  const rest = items
    .map((item) => ({ key: keyOf(item), item }))
    .filter(({ key }) => after === null || key > after)
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  const page = rest.slice(0, limit)
  return {
    items: page.map(({ item }) => item),
    next_cursor: rest.length > limit ? encodeCursor(page.at(-1)!.key) : null,
  }
}
