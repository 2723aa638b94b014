// The idempotency key of a call, wherever it was put (mechanisms.md §8).
import type { Input } from './call.ts'

/**
 * One key, from header, `_meta` or argument. Two that differ are no key: joined they cannot be a UUID, so that policy refuses
 * the call as IDEMPOTENCY_KEY_INVALID, on the record, instead of the gateway choosing for the caller.
 */
export function chooseIdempotencyKey(
  outside: readonly unknown[],
  input: { readonly [key: string]: Input | undefined },
): string | null {
  const asText = (key: unknown): string => (typeof key === 'string' ? key : JSON.stringify(key))
  const given = outside.filter((key) => key !== undefined).map(asText)
  if (given.length === 0) return null
  const argument = input['idempotency_key']
  const all = new Set(argument === undefined ? given : [...given, asText(argument)])
  return [...all].join(' ').slice(0, 128)
}
