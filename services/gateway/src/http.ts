// The gateway's routes and the limits of its server. What a call means is in call.ts.
import http from 'node:http'
import express from 'express'
import helmet from 'helmet'
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import { deny, toProblem, type Denial } from '@bailiwick/contracts/problem'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { err } from '@bailiwick/kernel/result'
import { headersOf, makeChallenge, problemOf, writeJson, writeProblem } from './answer.ts'
import { answerCall, type Doors } from './call.ts'
import { trustHops } from './config.ts'
import type { Extras } from './extras.ts'
import { boundInFlight, hasRepeatedHeader, hasTokenInQuery, isServedHost, isServedOrigin, overloaded } from './guard.ts'
import { makeLibrary } from './library.ts'
import { findMirrors } from './mcp-param.ts'
import { makeCapabilities } from './mcp-server.ts'
import { serveMcp } from './mcp.ts'
import { servePublicDocuments } from './public-documents.ts'
import { serveRestCall, serveRestList } from './rest.ts'
import { readSender } from './sender.ts'
import { describeTools } from './tools.ts'
import { unreadable, type Unreadable } from './unreadable.ts'
import { createStreams, type Streams } from './streams.ts'
import { METADATA_PATH } from './well-known.ts'

export type GatewayOptions = {
  readonly doors: Doors
  readonly catalog: LoadedCatalog
  readonly publicUrl: URL
  readonly localNames: readonly string[]
  readonly trustedHops: readonly string[]
  readonly version: string
  readonly maxInFlight: number
  /** The authorization server; absent: personal tokens only. */
  readonly issuer?: string | undefined
  readonly securityContact?: string | undefined
  readonly maxStreams?: number
  readonly maxStreamsPerPrincipal?: number
  readonly keepAliveMs?: number
  readonly taskAfterMs?: number
  readonly extras?: Extras
  readonly maxBodyBytes?: number
  readonly bodyTimeoutMs?: number
}

const MAX_HEADER_BYTES = 16 * 1024
const HEADERS_TIMEOUT_MS = 10_000

export type App = {
  readonly handle: express.Express
  /** A server that closes waits for what is open: these are to be ended. */
  readonly streams: Streams
}

export function createApp(options: GatewayOptions): App {
  const { doors, catalog, publicUrl, version } = options
  const hops = trustHops(options.trustedHops)
  const limits = { bytes: options.maxBodyBytes ?? 1024 * 1024, ms: options.bodyTimeoutMs ?? 15_000 }
  const challenge = makeChallenge(new URL(METADATA_PATH, publicUrl).href, catalog)
  const names = [...new Set([publicUrl.hostname, ...options.localNames])]
  const inFlight = boundInFlight(options.maxInFlight)
  const { extras = {} } = options
  const streams = createStreams({
    max: options.maxStreams ?? 100,
    maxPerPrincipal: options.maxStreamsPerPrincipal ?? 8,
    keepAliveMs: options.keepAliveMs ?? 15_000,
    changes: extras.changes,
  })
  const rest = { doors, catalog, challenge, hops, limits }
  const mcp = {
    ...rest,
    tools: describeTools(catalog),
    mirrors: findMirrors(catalog.list),
    library: makeLibrary(catalog, extras),
    capabilities: makeCapabilities(extras),
    streams,
    inFlight,
    extras,
    version,
    taskAfterMs: options.taskAfterMs ?? 1000,
  }

  const app = express()
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing').enable('strict routing')
  app.set('query parser', false)
  app.get('/health', (_request, response) => writeJson(response, 200, { ok: true, service: 'gateway' }))
  // HSTS is the edge's to say.
  app.use(
    helmet({
      strictTransportSecurity: false,
      contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    }),
  )
  app.use((request, response, next) => {
    if (!isServedHost(request.headers, names)) return refuse(response, deny('HOST_REFUSED'))
    const problem = findEnvelopeProblem(request)
    if (!problem) return next()
    const sender = readSender(request, request.path === '/mcp' ? 'mcp' : 'rest', hops)
    return answerCall(doors, sender, err(problem)).then((answer) => {
      if (!answer.ok)
        writeProblem(response, problemOf(answer), headersOf(answer, challenge, sender.credential !== null))
    })
  })

  const site = { publicUrl, issuer: options.issuer ?? null }
  servePublicDocuments(app, site, { catalog, version, securityContact: options.securityContact })
  app.use((request, response, next) =>
    isServedOrigin(request.headers, names) ? next() : refuse(response, deny('HOST_REFUSED')),
  )

  app.use((_request, response, next) => (inFlight.enter(response) ? next() : refuse(response, overloaded())))
  app.post('/mcp', (request, response) => serveMcp(mcp, request, response))
  app.get('/api/v1/tools', (request, response) => serveRestList(rest, request, response))
  app.post('/api/v1/tools/:name', (request, response) => serveRestCall(rest, request.params.name, request, response))

  const allow = (path: string, method: string): void => {
    app.all(path, (_request, response) =>
      refuse(response, deny('NOT_FOUND', { detail: `Only ${method} is served here.` }), 405, { Allow: method }),
    )
  }
  // Stateless: there is no stream to open with GET and no session to end with DELETE.
  allow('/mcp', 'POST')
  allow('/api/v1/tools', 'GET')
  allow('/api/v1/tools/:name', 'POST')
  app.use((_request, response) => refuse(response, deny('NOT_FOUND', { detail: 'There is nothing at this path.' })))
  app.use((error: unknown, request: http.IncomingMessage, response: express.Response, _next: express.NextFunction) => {
    // Express itself throws for a path that does not decode.
    if (error instanceof URIError)
      return refuse(response, deny('NOT_FOUND', { detail: 'There is nothing at this path.' }))
    doors.logger.error('request_failed', { method: request.method }, error)
    return refuse(response, deny('INTERNAL'))
  })
  return { handle: app, streams }
}

function findEnvelopeProblem(request: http.IncomingMessage): Unreadable | null {
  if (hasTokenInQuery(request.url ?? ''))
    return unreadable('token_in_query', '', { denial: deny('TOKEN_IN_QUERY'), hangUp: true })
  if (hasRepeatedHeader(request.rawHeaders))
    return unreadable('repeated_header', 'A header that has one value was sent twice.', { hangUp: true })
  return null
}

/** A refusal of the plumbing's own: about this request's form, never about an account. */
function refuse(
  response: http.ServerResponse,
  denial: Denial,
  status?: number,
  headers: Record<string, string> = {},
): void {
  const problem = toProblem(denial, uuidv7())
  if (status !== undefined) problem.status = status
  const wait = denial.retry_after_s === undefined ? {} : { 'Retry-After': String(denial.retry_after_s) }
  writeProblem(response, problem, { 'Bailiwick-Request-Id': problem.request_id, ...wait, ...headers })
}

/** Listens. `close` lets the requests in flight finish and ends the streams. */
export async function listen(
  { handle, streams }: App,
  address: { host: string; port: number },
): Promise<{ port: number; close(): Promise<void> }> {
  const server = http.createServer({ maxHeaderSize: MAX_HEADER_BYTES, requireHostHeader: true }, handle)
  server.headersTimeout = HEADERS_TIMEOUT_MS
  // The body has a bound of its own (read-body.ts); this one is for what never gets there.
  server.requestTimeout = 60_000
  // Longer than the edge's, so that it never writes into a connection that we are closing.
  server.keepAliveTimeout = 75_000
  server.maxRequestsPerSocket = 0
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
    const problem = {
      ...toProblem(deny('PARSE_ERROR', { detail: 'This is not a request that is served.' }), uuidv7()),
      status,
    }
    const body = JSON.stringify(problem)
    socket.end(
      `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address.port, address.host, resolve)
  })
  const bound = server.address()
  return {
    port: typeof bound === 'object' && bound ? bound.port : address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        streams.close()
        server.closeIdleConnections()
      }),
  }
}
