// The steward's door: one route. A permit in, an answer out.
import { z } from 'zod'
import { AnyJson } from '../json.ts'
import type { Door } from '@bailiwick/kernel/door'
import { OperationId } from '@bailiwick/kernel/ids'
import { SealedPermit } from '../permit.ts'
import { Denial } from '../problem.ts'

export const Undo = z.strictObject({ operation_id: OperationId, undo_until: z.iso.datetime() })
export type Undo = z.infer<typeof Undo>

export const ExecuteRequest = z.strictObject({ permit: SealedPermit, input: AnyJson })
export const ExecuteReply = z.union([
  z.strictObject({
    ok: z.literal(true),
    /** The tool's output; with `undo` for exact and recoverable effects, `secret` where one is issued, `idempotent_replay` on a replay. */
    output: z.record(z.string(), AnyJson),
    replay: z.boolean(),
    /** Index in the log: of the outcome for a change, of the call for a read. */
    receipt: z.number().int(),
    operation_id: OperationId.nullable(),
  }),
  z.strictObject({
    ok: z.literal(false),
    denial: Denial,
    operation_id: OperationId.nullable(),
    receipt: z.number().int().nullable(),
  }),
])
export type ExecuteReply = z.infer<typeof ExecuteReply>

export const stewardDoor = {
  service: 'steward',
  unavailable: 'BACKEND_UNAVAILABLE',
  routes: {
    execute: { kind: 'json', callers: ['gateway', 'console'], input: ExecuteRequest, output: ExecuteReply },
  },
} as const satisfies Door
