// The way out: CONNECT to a public name on port 443, and nothing else. The name is resolved here, once; every address it has
// is judged, and the very address that was judged is connected to, so an answer that changes afterwards changes nothing.
// Each decision is one line in the operational log: a verdict, and the name if it is one.
import http from 'node:http'
import net from 'node:net'
import os from 'node:os'
import type { Duplex } from 'node:stream'
import type { Logger } from '@bailiwick/kernel/logger'
import { refusalOf, type AddressRefusal } from './addresses.ts'
import { createPlaces, LIMITS, type Limits } from './limits.ts'
import type { Resolve } from './resolve.ts'
import { readTarget, TLS_PORT, type TargetRefusal } from './target.ts'
import { runTunnel } from './tunnel.ts'

export type ProxyOptions = {
  readonly listen: { host: string; port: number }
  readonly logger: Logger
  readonly resolve: Resolve
  /** The rest is handed over by tests only; `main.ts` takes what is here by default. */
  readonly connect?: (address: string, port: number) => net.Socket
  readonly ownAddresses?: () => readonly string[]
  readonly limits?: Partial<Limits>
}
export type Proxy = { readonly port: number; close(): Promise<void> }

type Refusal =
  | TargetRefusal
  | AddressRefusal
  | 'method'
  | 'bad_request'
  | 'early_bytes'
  | 'too_many'
  | 'too_many_for_name'
  | 'unresolved'
  | 'too_many_addresses'
  | 'unreachable'

export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const { logger } = options
  const limits: Limits = { ...LIMITS, ...options.limits }
  const { resolve } = options
  const connect = options.connect ?? connectTo
  const ownAddresses = options.ownAddresses ?? readOwnAddresses
  const perName = createPlaces(limits.perName)
  const closing = new AbortController()
  const open = new Set<Duplex>()

  const server = http.createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.headersMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headersMs),
  })
  server.maxConnections = limits.connections

  const refuse = (client: Duplex, status: string, verdict: Refusal, host: string | null = null): void => {
    logger.warn('refused', { host, verdict })
    // Always the end of the connection: what follows a refused request is never read as another one.
    client.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => client.destroy())
  }

  server.on('request', (request, response) => {
    logger.warn('refused', { host: null, verdict: 'method' satisfies Refusal })
    response.writeHead(405, { Allow: 'CONNECT', Connection: 'close', 'Content-Length': 0 }).end(() => {
      request.socket.destroy()
    })
  })
  server.on('clientError', (_error, socket) => {
    if (socket.destroyed) return
    refuse(socket, '400 Bad Request', 'bad_request')
  })
  server.on('drop', () => logger.warn('refused', { host: null, verdict: 'too_many' satisfies Refusal }))
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.on('connect', (request, client, head) => {
    client.on('error', () => client.destroy())
    void serve(request.url ?? '', client, head).catch((error: unknown) => {
      logger.error('broken', {}, error)
      client.destroy()
    })
  })

  async function serve(url: string, client: Duplex, head: Buffer): Promise<void> {
    const target = readTarget(url)
    if (!target.ok) return refuse(client, '403 Forbidden', target.error)
    const host = target.value
    // Nothing may follow the request before our 200: it was sent without knowing what would read it.
    if (head.length > 0) return refuse(client, '400 Bad Request', 'early_bytes', host)
    const leave = perName.take(host)
    if (!leave) return refuse(client, '503 Service Unavailable', 'too_many_for_name', host)
    try {
      await openTunnel(host, client)
    } finally {
      leave()
    }
  }

  async function openTunnel(host: string, client: Duplex): Promise<void> {
    const began = performance.now()
    const gone = new AbortController()
    client.once('close', () => gone.abort())
    const waiting = AbortSignal.any([gone.signal, closing.signal, AbortSignal.timeout(limits.totalMs)])
    const addresses = await resolveWithin(limits.resolveMs, host, waiting)
    if (client.destroyed) return
    if (addresses.length === 0) return refuse(client, '502 Bad Gateway', 'unresolved', host)
    if (addresses.length > limits.addresses) return refuse(client, '403 Forbidden', 'too_many_addresses', host)
    const own = ownAddresses()
    for (const address of addresses) {
      // One bad address spoils the name: who answers so wants us to end up there.
      const refusal = refusalOf(address, own)
      if (refusal) return refuse(client, '403 Forbidden', refusal, host)
    }
    const far = await reach(addresses, waiting)
    if (!far) return client.destroyed ? undefined : refuse(client, '502 Bad Gateway', 'unreachable', host)
    far.on('error', () => far.destroy())
    if (client.destroyed || closing.signal.aborted) return void far.destroy()
    open.add(far)
    logger.info('open', { host, verdict: 'open', address: far.remoteAddress ?? null })
    client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    const left = Math.max(0, limits.totalMs - (performance.now() - began))
    const report = await runTunnel(client, far, limits, left)
    open.delete(far)
    logger.info('end', { host, verdict: report.end, down_bytes: report.downBytes, up_bytes: report.upBytes })
  }

  async function resolveWithin(ms: number, host: string, waiting: AbortSignal): Promise<readonly string[]> {
    const until = AbortSignal.any([waiting, AbortSignal.timeout(ms)])
    const expired = new Promise<readonly string[]>((none) => {
      until.addEventListener('abort', () => none([]), { once: true })
    })
    return Promise.race([resolve(host, until).catch(() => []), expired])
  }

  /** A connection to the first of the judged addresses that answers. Only what stands in `addresses` is ever dialled. */
  async function reach(addresses: readonly string[], waiting: AbortSignal): Promise<net.Socket | undefined> {
    const until = AbortSignal.any([waiting, AbortSignal.timeout(limits.connectMs)])
    for (const address of addresses.slice(0, 4)) {
      if (until.aborted) return undefined
      const socket = connect(address, TLS_PORT)
      if (await isConnected(socket, until)) return socket
    }
    return undefined
  }

  await new Promise<void>((resolveListening, reject) => {
    server.once('error', reject)
    server.listen(options.listen.port, options.listen.host, resolveListening)
  })
  const { port } = server.address() as net.AddressInfo
  return {
    port,
    close: () =>
      new Promise((done) => {
        closing.abort()
        server.close(() => done())
        for (const socket of open) socket.destroy()
      }),
  }
}

/** An address, never a name: nothing is left to be resolved, so nothing can be resolved differently. */
function connectTo(address: string, port: number): net.Socket {
  return net.connect({ host: address, port, family: net.isIP(address), autoSelectFamily: false })
}

function isConnected(socket: net.Socket, until: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (connected: boolean): void => {
      until.removeEventListener('abort', giveUp)
      if (!connected) socket.destroy()
      resolve(connected)
    }
    const giveUp = (): void => settle(false)
    until.addEventListener('abort', giveUp, { once: true })
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}

function readOwnAddresses(): string[] {
  return Object.values(os.networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address))
}
