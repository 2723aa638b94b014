// What both doors say the same way: problem objects, rate headers, challenges (mechanisms.md §1, §2, §9, §15).
import type http from 'node:http'
import type { Rate } from '@bailiwick/contracts/doors/policy'
import { toProblem, type Denial, type Problem } from '@bailiwick/contracts/problem'
import type { Answer, Refused } from './call.ts'

export type Headers = Record<string, string>

/** The problem object of a refusal; `toProblem` leaves the denial's `why` behind. */
export function problemOf({ denial, requestId, unreadable, rate, receipt }: Refused): Problem {
  const problem = toProblem(denial, requestId)
  if (unreadable) problem.status = unreadable.status
  if (denial.code === 'RATE_LIMITED' && rate) Object.assign(problem, { limit: rate.limit, remaining: rate.remaining })
  if (receipt !== null) problem['receipt'] = receipt
  return problem
}

/** How long to wait when policy did not say. */
const RETRY_AFTER_S = 5

/** The headers of an answer, on either door. `metadataUrl` is where RFC 9728 metadata lies. */
export function headersOf(answer: Answer, metadataUrl: string, credentialGiven: boolean): Headers {
  const headers: Headers = { 'Bailiwick-Request-Id': answer.requestId, ...rateHeaders(answer.rate) }
  if (answer.ok) {
    headers['Bailiwick-Receipt'] = String(answer.receipt)
    if (answer.replay) headers['Idempotent-Replay'] = 'true'
    return headers
  }
  if (answer.receipt !== null) headers['Bailiwick-Receipt'] = String(answer.receipt)
  const problem = problemOf(answer)
  const wait = answer.denial.retry_after_s ?? (problem.status === 503 || problem.status === 429 ? RETRY_AFTER_S : null)
  if (wait !== null) headers['Retry-After'] = String(wait)
  const challenge = challengeFor(answer.denial, metadataUrl, credentialGiven)
  if (challenge) headers['WWW-Authenticate'] = challenge
  if (answer.unreadable?.hangUp) headers['Connection'] = 'close'
  return headers
}

export const rateHeaders = (rate: Rate | null): Headers =>
  rate === null
    ? {}
    : {
        'X-RateLimit-Limit': String(rate.limit),
        'X-RateLimit-Remaining': String(rate.remaining),
        'RateLimit-Policy': `"calls";q=${rate.limit};w=60`,
        RateLimit: `"calls";r=${rate.remaining};t=${rate.reset_s}`,
      }

/** RFC 6750 §3 and RFC 9728 §5.1. A request without a credential is told nothing about an error, only where to learn more. */
function challengeFor(denial: Denial, metadataUrl: string, credentialGiven: boolean): string | null {
  const metadata = `resource_metadata="${metadataUrl}"`
  if (denial.code === 'UNAUTHENTICATED')
    return credentialGiven ? `Bearer error="invalid_token", ${metadata}` : `Bearer ${metadata}`
  if (denial.code === 'INSUFFICIENT_SCOPE')
    return `Bearer error="insufficient_scope", scope="${(denial.required_scopes ?? []).join(' ')}", ${metadata}`
  return null
}

/** Writes a JSON answer. Nothing here may be kept by a cache: it is one caller's. */
export function writeJson(
  response: http.ServerResponse,
  status: number,
  body: unknown,
  headers: Headers = {},
  type = 'application/json',
): void {
  if (response.headersSent || response.destroyed) return
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, {
    'Cache-Control': 'no-store',
    ...headers,
    'Content-Type': type,
    'Content-Length': bytes.length,
  })
  response.end(bytes)
}

export const writeProblem = (response: http.ServerResponse, problem: Problem, headers: Headers = {}): void =>
  writeJson(response, problem.status, problem, headers, 'application/problem+json')
