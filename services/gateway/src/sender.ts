// What the gateway asserts about who sent a request. Policy believes none of it: it verifies the credential itself, and
// records address and agent as asserted.
import type http from 'node:http'
import { type BlockList, isIP, isIPv6 } from 'node:net'
import { uuidv7 } from '@bailiwick/kernel/ids'

export type Sender = {
  readonly credential: string | null
  readonly door: 'mcp' | 'rest'
  readonly address: string
  readonly agent: string
  readonly request_id: string
}

const BEARER = /^Bearer +([\x21-\x7e]{1,8192})$/i

export const readSender = (request: http.IncomingMessage, door: Sender['door'], hops: BlockList): Sender => ({
  credential: BEARER.exec(request.headers.authorization ?? '')?.[1] ?? null,
  door,
  address: readAddress(request.socket.remoteAddress ?? '', request.headers['x-forwarded-for'], hops),
  agent: cleanAgent(request.headers['user-agent'] ?? ''),
  request_id: uuidv7(),
})

/**
 * The client's address. X-Forwarded-For counts only when the edge is at the other end, and then only its last element, which
 * the edge wrote; everything before it is whatever the client liked to claim.
 */
function readAddress(remote: string, forwarded: string | string[] | undefined, hops: BlockList): string {
  const peer = remote.replace(/^::ffff:(?=\d)/, '')
  if (isIP(peer) === 0 || !hops.check(peer, isIPv6(peer) ? 'ipv6' : 'ipv4')) return peer
  const last = String(forwarded ?? '')
    .split(',')
    .at(-1)!
    .trim()
  return isIP(last) === 0 ? peer : last
}

/** Printable ASCII, at most 256: what reaches logs and pages cannot carry terminal codes or bidi tricks. */
const cleanAgent = (agent: string): string => agent.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 256)
