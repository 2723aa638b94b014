// A door is a service's typed routes; an arrow is one caller's right to some of them, proven by a key of its own.
// The same declaration (packages/contracts/src/doors/*) makes the server and the client, so neither can drift.
import { timingSafeEqual } from 'node:crypto'
import { chmodSync, rmSync } from 'node:fs'
import http from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { z } from 'zod'
import { sha256Hex } from './canonical.ts'
import type { Logger } from './logger.ts'
import { Fault } from './result.ts'

export type Route<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> = {
  /** `json`: JSON both ways. `upload`: parameters in a header, bytes in. `download`: parameters in, bytes out. */
  readonly kind: 'json' | 'upload' | 'download'
  readonly callers: readonly string[]
  readonly input: I
  readonly output: O
  /** How long a caller waits for a `json` answer; for work that is long by nature. Default: the client's. */
  readonly timeoutMs?: number
}

export type Door = {
  readonly service: string
  /** The code that a caller answers with when this door cannot be reached. */
  readonly unavailable: string
  readonly routes: Readonly<Record<string, Route>>
}

/**
 * Handlers of a door. A `download` handler returns a stream; an `upload` handler gets one. `caller` is proven by its key.
 * `signal` is for an answer that waits: aborted when the caller has gone.
 */
export type Handlers<D extends Door> = {
  readonly [R in keyof D['routes']]: D['routes'][R] extends Route<infer I, infer O>
    ? D['routes'][R]['kind'] extends 'upload'
      ? (input: z.output<I>, call: { caller: string; body: Readable }) => Promise<z.input<O>>
      : D['routes'][R]['kind'] extends 'download'
        ? (input: z.output<I>, call: { caller: string }) => Promise<Readable>
        : (input: z.output<I>, call: { caller: string; signal: AbortSignal }) => Promise<z.input<O>>
    : never
}

export type Client<D extends Door> = {
  readonly [R in keyof D['routes']]: D['routes'][R] extends Route<infer I, infer O>
    ? D['routes'][R]['kind'] extends 'upload'
      ? (input: z.input<I>, body: Readable | Buffer) => Promise<z.output<O>>
      : D['routes'][R]['kind'] extends 'download'
        ? (input: z.input<I>) => Promise<Readable>
        : (input: z.input<I>, options?: { signal?: AbortSignal }) => Promise<z.output<O>>
    : never
}

const CALLER = 'x-bailiwick-caller'
const KEY = 'x-bailiwick-key'
const PARAMS = 'x-bailiwick-params'

/**
 * Serves `door`. `keys` maps each caller to its arrow's key (32 bytes). Bodies above `maxBodyBytes` are 413.
 * `listen: { path }` is a unix socket of mode 0600: its owner and root alone can connect, and still need a key.
 */
export async function serveDoor<D extends Door>(options: {
  door: D
  listen: { host: string; port: number } | { path: string }
  keys: Readonly<Record<string, Buffer>>
  handlers: Handlers<D>
  logger: Logger
  maxBodyBytes?: number
  maxInFlight?: number
}): Promise<{ port: number; close(): Promise<void> }> {
  const { door, keys, logger, maxBodyBytes = 4 * 1024 * 1024, maxInFlight = 256 } = options
  const handlers = options.handlers as Readonly<Record<string, (input: unknown, call: object) => Promise<unknown>>>
  const proofs = new Map(Object.entries(keys).map(([caller, key]) => [caller, proofOf(key.toString('hex'))]))
  let inFlight = 0

  const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const name = request.url?.slice(1) ?? ''
    if (name === 'health' && request.method === 'GET') return reply(response, 200, { ok: true, service: door.service })
    const route = Object.hasOwn(door.routes, name) ? door.routes[name]! : undefined
    const caller = String(request.headers[CALLER] ?? '')
    // The key is checked before the route is even named: a caller without one learns nothing about this door.
    if (!isProven(proofs.get(caller), request.headers[KEY])) return reply(response, 401, { fault: 'ARROW_REFUSED' })
    if (!route || request.method !== 'POST') return reply(response, 404, { fault: 'ROUTE_UNKNOWN' })
    if (!route.callers.includes(caller)) {
      logger.warn('arrow_refused', { caller, route: name })
      return reply(response, 403, { fault: 'ARROW_REFUSED' })
    }
    const raw =
      route.kind === 'json'
        ? await readBody(request, maxBodyBytes)
        : Buffer.from(String(request.headers[PARAMS] ?? ''), 'base64url')
    const parsed = route.input.safeParse(JSON.parse(raw.toString('utf8')))
    if (!parsed.success) {
      logger.warn('message_refused', { caller, route: name, path: parsed.error.issues[0]?.path.join('.') })
      return reply(response, 400, { fault: 'MESSAGE_INVALID' })
    }
    const call =
      route.kind === 'upload'
        ? { caller, body: request }
        : {
            caller,
            get signal() {
              return signalOf(response)
            },
          }
    const result = await handlers[name]!(parsed.data, call)
    if (route.kind !== 'download') return reply(response, 200, result)
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    await pipeline(result as Readable, response)
  }

  const server = http.createServer((request, response) => {
    if (inFlight >= maxInFlight) return reply(response, 503, { fault: door.unavailable })
    inFlight += 1
    answer(request, response)
      .catch((error: unknown) => {
        const fault =
          error instanceof Fault
            ? error
            : new Fault(error instanceof SyntaxError ? 'MESSAGE_INVALID' : 'INTERNAL', String(error), { cause: error })
        logger.error('route_failed', { route: request.url, code: fault.code }, error)
        // A download that broke half way must not look complete.
        if (response.headersSent) response.destroy()
        else reply(response, fault.code === 'MESSAGE_INVALID' ? 400 : 500, { fault: fault.code })
      })
      .finally(() => {
        inFlight -= 1
      })
  })
  // Longer than every client's idle time, so that a client never writes into a socket that is being closed.
  server.keepAliveTimeout = 75_000
  server.requestTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    if ('path' in options.listen) {
      // What a killed predecessor left behind would be EADDRINUSE for ever.
      rmSync(options.listen.path, { force: true })
      server.listen(options.listen.path, resolve)
    } else server.listen(options.listen.port, options.listen.host, resolve)
  })
  if ('path' in options.listen) chmodSync(options.listen.path, 0o600)
  const address = server.address()
  return {
    /** 0 for a unix socket. */
    port: typeof address === 'object' && address ? address.port : 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      }),
  }
}

/** Bytes in either direction may take their time, but not stand still. */
const IDLE_MS = 30_000

/** Connects to `door` as `caller`; `url` is `http://host:port` or `unix:/path`. Unreachable or out of time: Fault(door.unavailable). A fault there: Fault with its code. */
export function connectDoor<D extends Door>(options: {
  door: D
  url: string
  caller: string
  key: Buffer
  timeoutMs?: number
}): Client<D> & { close(): void } {
  const { door, caller, key, timeoutMs = 15_000 } = options
  const target = options.url.startsWith('unix:')
    ? { socketPath: options.url.slice('unix:'.length) }
    : { host: new URL(options.url).hostname, port: new URL(options.url).port }
  const agent = new http.Agent({ keepAlive: true, maxSockets: 128, maxFreeSockets: 64, timeout: 30_000 })
  const headers = { [CALLER]: caller, [KEY]: key.toString('hex') }
  const unavailable = (why: string, cause?: unknown): Fault =>
    new Fault(door.unavailable, `${door.service}: ${why}`, { cause })

  const send = (
    name: string,
    route: Route,
    input: unknown,
    body?: Readable | Buffer,
    signal?: AbortSignal,
  ): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const json = Buffer.from(JSON.stringify(input))
      const request = http.request({
        agent,
        ...target,
        ...(signal === undefined ? {} : { signal }),
        method: 'POST',
        path: `/${name}`,
        headers:
          route.kind === 'json'
            ? { ...headers, 'content-type': 'application/json', 'content-length': json.length }
            : { ...headers, [PARAMS]: json.toString('base64url') },
      })
      const giveUp = (): void => void request.destroy(new Error('timeout'))
      const timer = route.kind === 'json' ? setTimeout(giveUp, route.timeoutMs ?? timeoutMs) : undefined
      if (route.kind !== 'json') request.setTimeout(IDLE_MS, giveUp)
      const fail = (error: unknown): void => {
        clearTimeout(timer)
        reject(unavailable(String(error), error))
      }
      request.on('error', fail)
      request.on('response', (response) => {
        if (route.kind === 'download' && response.statusCode === 200) {
          clearTimeout(timer)
          return resolve(response)
        }
        readBody(response, Number.POSITIVE_INFINITY)
          .then((raw) => {
            clearTimeout(timer)
            const parsed = JSON.parse(raw.toString('utf8')) as { fault?: string }
            if (response.statusCode === 200) return resolve(parsed)
            reject(new Fault(parsed.fault ?? 'INTERNAL', `${door.service}/${name}: ${response.statusCode}`))
          })
          // Also when a stranger on that port answers something that is not JSON.
          .catch(fail)
      })
      if (route.kind === 'json') request.end(json)
      else if (body && !Buffer.isBuffer(body)) pipeline(body, request).catch(fail)
      else request.end(body)
    })

  const methods = Object.fromEntries(
    Object.entries(door.routes).map(([name, route]) => [
      name,
      route.kind === 'json'
        ? (input: unknown, options?: { signal?: AbortSignal }) => send(name, route, input, undefined, options?.signal)
        : (input: unknown, body?: Readable | Buffer) => send(name, route, input, body),
    ]),
  )
  return Object.assign(methods, { close: () => agent.destroy() }) as Client<D> & { close(): void }
}

/** Hashing first makes both sides 64 characters, whatever was presented. */
const proofOf = (key: string): Buffer => Buffer.from(sha256Hex(key))

const isProven = (expected: Buffer | undefined, presented: string | string[] | undefined): boolean =>
  expected !== undefined && typeof presented === 'string' && timingSafeEqual(expected, proofOf(presented))

/** Made only for the handler that asks for it. */
function signalOf(response: http.ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  return gone.signal
}

function reply(response: http.ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length })
  response.end(bytes)
}

async function readBody(message: http.IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new Fault('MESSAGE_INVALID', `body above ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}
