// Any JSON value, typed as the kernel's `Json`, so that what is hashed, sealed and sent is one type.
import { z } from 'zod'
import type { Json } from '@bailiwick/kernel/canonical'

export const AnyJson = z.json() as unknown as z.ZodType<Json, Json>
