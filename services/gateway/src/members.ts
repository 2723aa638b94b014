// A JSON object as it was received.
import type { Input } from './call.ts'

export type Members = { readonly [key: string]: Input }

export const isMembers = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
