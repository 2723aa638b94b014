// One open tunnel: bytes both ways until an end closes or a bound is reached. What passes is TLS, and none of our business.
import type { Socket } from 'node:net'
import { Transform, type Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Limits } from './limits.ts'

type TunnelEnd = 'closed' | 'too_many_bytes' | 'idle' | 'too_long'
type TunnelReport = { end: TunnelEnd; downBytes: number; upBytes: number }

/** Settles when both sockets are gone. Never throws: an end that breaks off has closed. */
export async function runTunnel(client: Duplex, far: Socket, limits: Limits, totalMs: number): Promise<TunnelReport> {
  let end: TunnelEnd = 'closed'
  const cut = (why: TunnelEnd): void => {
    if (end === 'closed') end = why
    client.destroy()
    far.destroy()
  }
  const up = meter(limits.upBytes, () => cut('too_many_bytes'))
  const down = meter(limits.downBytes, () => cut('too_many_bytes'))
  const total = setTimeout(() => cut('too_long'), totalMs)
  // Either direction counts: an answer that trickles is bounded by the total, not by this.
  let idle = setTimeout(() => cut('idle'), limits.idleMs)
  const active = (): void => void idle.refresh()
  client.on('data', active)
  far.on('data', active)
  let linger: NodeJS.Timeout | undefined
  const ended = (): void => {
    linger ??= setTimeout(() => cut('closed'), limits.lingerMs)
  }
  const broken = (): void => cut('closed')
  await Promise.all([
    pipeline(client, up.stream, far).then(ended, broken),
    pipeline(far, down.stream, client).then(ended, broken),
  ])
  for (const timer of [total, idle, linger]) clearTimeout(timer)
  client.destroy()
  far.destroy()
  return { end, downBytes: down.bytes(), upBytes: up.bytes() }
}

function meter(most: number, exceeded: () => void): { stream: Transform; bytes: () => number } {
  let bytes = 0
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, pass) {
      bytes += chunk.length
      if (bytes <= most) return pass(null, chunk)
      // Nothing of this chunk goes on; the cut destroys this stream too.
      exceeded()
    },
  })
  return { stream, bytes: () => bytes }
}
