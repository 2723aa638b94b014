// How long a deletion can be undone, for previews: policy fixes the promise itself when it permits the deletion.
import { UNDO_WINDOW_MS } from '@bailiwick/contracts/permit'
import type { ToolContext } from './context.ts'

export const undoUntil = ({ now }: Pick<ToolContext, 'now'>): string => new Date(now + UNDO_WINDOW_MS).toISOString()

export const iso = (ms: number): string => new Date(ms).toISOString()
