// The gateway's routes and the limits of its server. What a call means is in call.ts.
import http from 'node:http'
import express from 'express'
import helmet from 'helmet'
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import { deny, toProblem, type Denial } from '@bailiwick/contracts/problem'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { err } from '@bailiwick/kernel/result'
import { headersOf, problemOf, writeJson, writeProblem } from './answer.ts'
import { answerCall, type Doors } from './call.ts'
import { trustHops } from './config.ts'
import { boundInFlight, hasRepeatedHeader, hasTokenInQuery, isServedHost, overloaded } from './guard.ts'
import { serveMcp } from './mcp.ts'
import { makeOpenApi } from './openapi.ts'
import { serveRestCall, serveRestList } from './rest.ts'
import { readSender } from './sender.ts'
import { describeTools } from './tools.ts'
import { unreadable, type Unreadable } from './unreadable.ts'
import { makeMcpDescription, makeResourceMetadata } from './well-known.ts'

export type GatewayOptions = {
  readonly doors: Doors
  readonly catalog: LoadedCatalog
  readonly publicUrl: URL
  readonly localNames: readonly string[]
  readonly trustedHops: readonly string[]
  readonly version: string
  readonly maxInFlight: number
  readonly maxBodyBytes?: number
  readonly bodyTimeoutMs?: number
}

const MAX_HEADER_BYTES = 16 * 1024
const HEADERS_TIMEOUT_MS = 10_000

export function createApp(options: GatewayOptions): express.Express {
  const { doors, catalog, publicUrl, version } = options
  const hops = trustHops(options.trustedHops)
  const limits = { bytes: options.maxBodyBytes ?? 1024 * 1024, ms: options.bodyTimeoutMs ?? 15_000 }
  const metadataUrl = new URL('/.well-known/oauth-protected-resource/mcp', publicUrl).href
  const rest = { doors, catalog, metadataUrl, hops, limits }
  const mcp = { ...rest, tools: describeTools(catalog), version }
  const names = [...new Set([publicUrl.hostname, ...options.localNames])]
  const inFlight = boundInFlight(options.maxInFlight)

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
        writeProblem(response, problemOf(answer), headersOf(answer, metadataUrl, sender.credential !== null))
    })
  })

  const publish = (path: string, document: object): void => {
    app.get(path, (_request, response) =>
      writeJson(response, 200, document, { 'Cache-Control': 'public, max-age=300' }),
    )
  }
  const resourceMetadata = makeResourceMetadata(publicUrl)
  publish('/.well-known/oauth-protected-resource', resourceMetadata)
  publish('/.well-known/oauth-protected-resource/mcp', resourceMetadata)
  publish('/.well-known/mcp.json', makeMcpDescription(publicUrl, catalog, version))
  publish('/api/v1/openapi.json', makeOpenApi(publicUrl, catalog, version))

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
  return app
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

/** Listens. `close` lets the requests in flight finish. */
export async function listen(
  app: express.Express,
  address: { host: string; port: number },
): Promise<{ port: number; close(): Promise<void> }> {
  const server = http.createServer({ maxHeaderSize: MAX_HEADER_BYTES, requireHostHeader: true }, app)
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
        server.closeIdleConnections()
      }),
  }
}
