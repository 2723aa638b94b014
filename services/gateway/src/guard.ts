// What is refused before anything is read: foreign hosts and origins, tokens in URLs, repeated headers, too much at once.
import type http from 'node:http'
import { validateHostHeader, validateOriginHeader } from '@modelcontextprotocol/server'
import { deny, type Denial } from '@bailiwick/contracts/problem'

/**
 * A page in the user's browser can make requests to a loopback address under a name of its own (DNS rebinding); Host and
 * Origin give it away. `names` are host names without ports.
 */
export const isServedHost = (headers: http.IncomingHttpHeaders, names: string[]): boolean =>
  validateHostHeader(headers.host, names).ok

/** No page but our own host's may call: agents are no pages, and there is no CORS for anybody (docs/adr/0011). */
export const isServedOrigin = (headers: http.IncomingHttpHeaders, names: string[]): boolean =>
  validateOriginHeader(headers.origin, names).ok

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
    if (!SINGLE.has(name) && !name.startsWith('mcp-param-')) continue
    if (seen.has(name)) return true
    seen.add(name)
  }
  return false
}

export type InFlight = {
  /** Takes a place until `response` closes; false: there is none. */
  enter(response: http.ServerResponse): boolean
  /** Gives it back early: a stream that only waits is no work. */
  leave(response: http.ServerResponse): void
  /** Takes a place until `work`, which never rejects, is over: it goes on behind an answer that has left. */
  follow(work: Promise<unknown>): boolean
  readonly count: number
}

/** Bounds what is worked on at once; beyond, it is refused instead of queued. */
export function boundInFlight(max: number): InFlight {
  const places = new Set<object>()
  return {
    enter(response) {
      if (places.size >= max) return false
      places.add(response)
      response.once('close', () => places.delete(response))
      return true
    },
    leave: (response) => void places.delete(response),
    follow(work) {
      if (places.size >= max) return false
      places.add(work)
      void work.finally(() => places.delete(work))
      return true
    },
    get count() {
      return places.size
    },
  }
}

export const overloaded = (): Denial =>
  deny('IN_FLIGHT_LIMIT', { detail: 'The gateway works on as many calls as it takes at once.', retry_after_s: 1 })
