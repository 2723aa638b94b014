// How long a deletion can be undone, for previews: policy fixes the promise itself when it permits the deletion.
import type { ToolContext } from './context.ts'

/** mechanisms.md §7: the default; a longer setting only makes the promise better than the preview said. */
const UNDO_DAYS = 30

export const undoUntil = ({ now }: Pick<ToolContext, 'now'>): string =>
  new Date(now + UNDO_DAYS * 86_400_000).toISOString()

export const iso = (ms: number): string => new Date(ms).toISOString()
