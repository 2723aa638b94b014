// What both doors say the same way: problem objects, rate headers, challenges (mechanisms.md §1, §2, §9, §15).
import type http from 'node:http'
import type { Rate } from '@bailiwick/contracts/doors/policy'
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
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

/** What a refused caller is told about getting in. */
export type Challenge = {
  /** Where RFC 9728 metadata lies. */
  readonly metadataUrl: string
  /** To read and write what there are tools for. */
  readonly scopes: readonly string[]
}
export const makeChallenge = (metadataUrl: string, catalog: LoadedCatalog): Challenge => ({
  metadataUrl,
  scopes: [...new Set(catalog.list.flatMap((tool) => tool.scopes))]
    .filter((scope) => !scope.endsWith(':delete'))
    .sort(),
})

/** How long to wait when policy did not say. */
const RETRY_AFTER_S = 5

/** The headers of an answer, on either door. `needed`: the scopes of the tool that was called. */
export function headersOf(
  answer: Answer,
  challenge: Challenge,
  credentialGiven: boolean,
  needed: readonly string[] = [],
): Headers {
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
  const authenticate = challengeFor(answer.denial, challenge, credentialGiven, needed)
  if (authenticate) headers['WWW-Authenticate'] = authenticate
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

/**
 * RFC 6750 §3 and RFC 9728 §5.1. A request without a credential is told nothing about an error, only where to learn more. `scope`
 * (MCP 2025-11-25 and later) is what clients then ask the user for: to read and write, which the user still ticks one by one, and
 * what the called tool needs. Deleting is asked for by the call that deletes: all scopes of an operation in one challenge.
 */
function challengeFor(
  denial: Denial,
  { metadataUrl, scopes }: Challenge,
  credentialGiven: boolean,
  needed: readonly string[],
): string | null {
  const metadata = `resource_metadata="${metadataUrl}"`
  if (denial.code === 'UNAUTHENTICATED') {
    const scope = `scope="${[...new Set([...scopes, ...needed])].join(' ')}"`
    return `Bearer ${credentialGiven ? 'error="invalid_token", ' : ''}${scope}, ${metadata}`
  }
  if (denial.code === 'INSUFFICIENT_SCOPE') {
    // Policy names none to a token without any, for a tool that needs none of its own.
    const required = denial.required_scopes?.length ? denial.required_scopes : scopes
    return `Bearer error="insufficient_scope", scope="${required.join(' ')}", ${metadata}`
  }
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
  writeText(response, status, JSON.stringify(body), type, headers)
}

export function writeText(
  response: http.ServerResponse,
  status: number,
  text: string,
  type: string,
  headers: Headers = {},
): void {
  if (response.headersSent || response.destroyed) return
  const bytes = Buffer.from(text)
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
