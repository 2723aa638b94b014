// The one idempotency key of a change, from the header or `_meta`, or from the arguments.
import { deny } from '@bailiwick/contracts/problem'
import { isUuidV4 } from '@bailiwick/kernel/ids'
import { err, ok } from '@bailiwick/kernel/result'
import type { Verdict } from './facts.ts'
import type { Input } from './tool.ts'

/** Null without one. Two that differ are refused: nobody can say which of them the caller will repeat. */
export function readIdempotencyKey(fromHeader: string | null, input: Input): Verdict<string | null> {
  const fromInput = input['idempotency_key'] ?? null
  for (const key of [fromHeader, fromInput]) {
    if (key !== null && (typeof key !== 'string' || !isUuidV4(key))) return err(deny('IDEMPOTENCY_KEY_INVALID'))
  }
  const [one, other] = [fromHeader, fromInput as string | null].map((key) => key?.toLowerCase() ?? null)
  if (one && other && one !== other)
    return err(deny('IDEMPOTENCY_KEY_INVALID', { detail: 'The header and the argument carry different keys.' }))
  return ok(one ?? other ?? null)
}
