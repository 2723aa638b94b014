// A denial (an expected no) and the one place where it becomes the problem object that callers see (RFC 9457).
import { z } from 'zod'
import { AnyJson } from './json.ts'
import { CODES, type Code } from './codes.ts'

export const Denial = z.strictObject({
  code: z.string().refine((text): text is Code => Object.hasOwn(CODES, text)),
  /** Safe for the caller: never names what the caller may not know. */
  detail: z.string().max(2000).optional(),
  /** What to do next, where the code's own text is not enough ("call preview_delete_database"). */
  next: z.string().max(500).optional(),
  retry_after_s: z.number().int().min(0).optional(),
  required_scopes: z.array(z.string()).optional(),
  /** Further members of the problem object: `errors`, `conflicts`, `reset_at`, `operation_id`, `approval_id`, ... */
  extra: z.record(z.string(), AnyJson).optional(),
  /** For the audit entry only; never on the wire to a caller. */
  why: z.string().max(2000).optional(),
})
export type Denial = z.infer<typeof Denial>

export type Problem = {
  type: string
  code: Code
  title: string
  status: number
  detail: string
  next: string
  request_id: string
  [member: string]: unknown
}

/** Turns a denial into RFC 9457 `application/problem+json`. `why` stays behind. */
export function toProblem(denial: Denial, requestId: string): Problem {
  const text = CODES[denial.code]
  return {
    ...denial.extra,
    type: `urn:bailiwick:error:${denial.code}`,
    code: denial.code,
    title: text.title,
    status: text.status,
    detail: denial.detail ?? text.cause,
    next: denial.next ?? text.agent,
    request_id: requestId,
    ...(denial.retry_after_s === undefined ? {} : { retry_after_s: denial.retry_after_s }),
    ...(denial.required_scopes === undefined ? {} : { required_scopes: denial.required_scopes }),
  }
}

/** What may leave: `why` is for the log alone. */
export function withoutWhy(denial: Denial): Denial {
  const { why: _, ...heard } = denial
  return heard
}

export const deny = (code: Code, more: Omit<Denial, 'code'> = {}): Denial => ({ code, ...more })
