// What is refused before anything is read: foreign hosts and origins, tokens in URLs, repeated headers, too much at once.
import type http from 'node:http'
import { validateHostHeader, validateOriginHeader } from '@modelcontextprotocol/server'
import { deny, type Denial } from '@bailiwick/contracts/problem'

/**
 * A page in the user's browser can make requests to a loopback address under a name of its own (DNS rebinding); Host and
 * Origin give it away. `names` are host names without ports.
 */
export const isServedHost = (headers: http.IncomingHttpHeaders, names: readonly string[]): boolean =>
  validateHostHeader(headers.host, [...names]).ok && validateOriginHeader(headers.origin, [...names]).ok

const TOKEN_NAMES = /^(access_token|id_token|token|api[-_]?key|key|auth|authorization|bearer|password|secret)$/i
const TOKEN_SHAPES = /mpt_[0-9a-f]{8,}|eyJ[\w-]{8,}\.[\w-]+\.|bearer\s/i

/** Query strings end up in logs, histories and Referer headers: a token there is burnt (RFC 6750 §5.3). */
export function hasTokenInQuery(url: string): boolean {
  const at = url.indexOf('?')
  if (at === -1) return false
  return [...new URLSearchParams(url.slice(at + 1))].some(
    ([name, value]) => TOKEN_NAMES.test(name) || TOKEN_SHAPES.test(value) || TOKEN_SHAPES.test(name),
  )
}

// Each is read by somebody on the way as "the" value. Node would silently keep the first or join them; the edge might not.
const SINGLE = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'host',
  'idempotency-key',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'origin',
  'transfer-encoding',
])

export function hasRepeatedHeader(rawHeaders: readonly string[]): boolean {
  const seen = new Set<string>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase()
    if (!SINGLE.has(name)) continue
    if (seen.has(name)) return true
    seen.add(name)
  }
  return false
}

/** Bounds the requests that are worked on at once; beyond, they are refused instead of queued. */
export function boundInFlight(max: number): { enter(response: http.ServerResponse): boolean; readonly count: number } {
  let count = 0
  return {
    enter(response) {
      if (count >= max) return false
      count += 1
      response.once('close', () => {
        count -= 1
      })
      return true
    },
    get count() {
      return count
    },
  }
}

export const overloaded = (): Denial =>
  deny('IN_FLIGHT_LIMIT', { detail: 'The gateway works on as many calls as it takes at once.', retry_after_s: 1 })
