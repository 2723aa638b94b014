// The streams that are open: how many there may be, what all of them are told, and their end at shutdown.
import type http from 'node:http'
import type { ServerEvent, ServerEventBus } from '@modelcontextprotocol/server'

export type Stream = {
  readonly principal: string
  /** Aborted when it is over, for whatever reason. */
  readonly over: AbortSignal
  send(message: object): void
  /** Says goodbye with `last` and closes. */
  end(): void
}

export type Streams = {
  /** Null: this principal, or everybody together, has as many as there may be. Writes the response's head. */
  open(options: {
    principal: string
    response: http.ServerResponse
    headers: Readonly<Record<string, string>>
    last: object
    onChange: (event: ServerEvent) => void
  }): Stream | null
  /** Ends every stream; those to come are refused. */
  close(): void
  readonly count: number
}

export function createStreams(options: {
  max: number
  maxPerPrincipal: number
  keepAliveMs: number
  changes?: ServerEventBus | undefined
}): Streams {
  const open = new Set<Stream>()
  let isClosed = false
  return {
    open({ principal, response, headers, last, onChange }) {
      const own = [...open].filter((stream) => stream.principal === principal).length
      if (isClosed || open.size >= options.max || own >= options.maxPerPrincipal) return null
      const over = new AbortController()
      const write = (text: string): void => {
        if (!over.signal.aborted && !response.destroyed) response.write(text)
      }
      const send = (message: object): void => write(`event: message\ndata: ${JSON.stringify(message)}\n\n`)
      const stream: Stream = {
        principal,
        over: over.signal,
        send,
        end() {
          if (over.signal.aborted) return
          send(last)
          response.end()
          stop()
        },
      }
      // Proxies and clients close what is silent for long.
      const keepAlive = setInterval(() => write(': keep-alive\n\n'), options.keepAliveMs)
      const unsubscribe = options.changes?.subscribe(onChange)
      const stop = (): void => {
        clearInterval(keepAlive)
        unsubscribe?.()
        open.delete(stream)
        over.abort()
      }
      response.once('close', stop)
      open.add(stream)
      response.writeHead(200, {
        ...headers,
        'Content-Type': 'text/event-stream',
        'Cache-Control': 'no-store, no-transform',
        'X-Accel-Buffering': 'no',
        // Nothing else comes over this connection; kept, it would hold up a server that closes.
        Connection: 'close',
      })
      return stream
    },
    close() {
      isClosed = true
      for (const stream of open) stream.end()
    },
    get count() {
      return open.size
    },
  }
}
