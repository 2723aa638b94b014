// Table, column and row shapes that agents may use: typed, so that no SQL text from outside reaches a verb of the keeper.
import { z } from 'zod'

export const Identifier = z
  .string()
  .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'lower-case letters, digits and _, at most 63, not starting with a digit')
export const ColumnType = z.enum([
  'text',
  'integer',
  'bigint',
  'numeric',
  'double precision',
  'boolean',
  'timestamptz',
  'date',
  'uuid',
  'jsonb',
])
export const ColumnSpec = z.strictObject({
  name: Identifier,
  type: ColumnType,
  nullable: z.boolean().default(true),
  unique: z.boolean().default(false),
})
export type ColumnSpec = z.infer<typeof ColumnSpec>
/** Column -> value. 64-bit integers and numerics may be sent as strings and always come back as strings. */
export const RowValues = z.record(Identifier, z.json())
export type RowValues = z.infer<typeof RowValues>
/** Primary-key column -> value. */
export const KeyValues = z.record(Identifier, z.union([z.string(), z.number(), z.boolean()]))
export type KeyValues = z.infer<typeof KeyValues>
