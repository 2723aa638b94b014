// How the world outside is asked: one question to one server over UDP, or TCP where the answer is cut, until a deadline. Only the
// configured resolver and public addresses are asked, and port 53 alone: a stranger's name servers lead nowhere else.
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { getServers } from 'node:dns'
import { connect, isIPv6 } from 'node:net'
import { isPublicAddress } from '@bailiwick/kernel/public-address'
import { decodeMessage, encodeQuestion, TYPE, type Message, type TypeName } from './wire.ts'

export type Server = { readonly address: string; readonly port: number }
export type Outside = {
  /** The operator's own: asked whatever its address. */
  readonly resolvers: readonly Server[]
  /** Of everybody else's servers. */
  readonly mayAsk: (address: string) => boolean
  readonly port: number
  /** For all questions of one look together. */
  readonly withinMs: number
}

const DNS_PORT = 53
const MAX_ANSWER_BYTES = 65_535
/** A datagram may be lost. */
const ASK_AGAIN_AFTER_MS = 900

const toServer = (text: string): Server => {
  const match = /^\[(.+)\]:(\d+)$/.exec(text) ?? /^([^:]+):(\d+)$/.exec(text)
  return match ? { address: match[1]!, port: Number(match[2]) } : { address: text, port: DNS_PORT }
}

/** `resolver` is `host:port`; null: the system's. */
export const worldThrough = (resolver: string | null): Outside => ({
  resolvers: (resolver === null ? getServers().slice(0, 2) : [resolver]).map(toServer),
  mayAsk: isPublicAddress,
  port: DNS_PORT,
  withinMs: 4500,
})

/** Null: no answer to this question by then. An answer that says "no" is an answer. */
export async function ask(
  server: Server,
  question: { name: string; type: TypeName; recurse: boolean },
  deadline: number,
): Promise<Message | null> {
  const id = randomInt(65_536)
  const bytes = encodeQuestion(id, question.name, question.type, question.recurse)
  const fits = (message: Message | null): message is Message =>
    message !== null &&
    message.id === id &&
    message.question.name === question.name &&
    message.question.type === TYPE[question.type]
  const answer = await overUdp(server, bytes, fits, deadline)
  return answer?.isTruncated ? overTcp(server, bytes, fits, deadline) : answer
}

type Fits = (message: Message | null) => message is Message

function overUdp({ address, port }: Server, bytes: Buffer, fits: Fits, deadline: number): Promise<Message | null> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
    let again: NodeJS.Timeout | undefined
    const send = (): void => socket.send(bytes, (error) => (error ? end(null) : undefined))
    const timer = setTimeout(() => end(null), Math.max(0, deadline - performance.now()))
    const end = (message: Message | null): void => {
      clearTimeout(again)
      clearTimeout(timer)
      socket.removeAllListeners()
      // What fails after the end is nobody's.
      socket.on('error', () => undefined)
      socket.close()
      resolve(message)
    }
    socket.on('error', () => end(null))
    // Connected: only this server's datagrams come in. One that does not fit is somebody's guess; the true one may follow.
    socket.on('message', (received) => {
      const message = decodeMessage(received)
      if (fits(message)) end(message)
    })
    socket.connect(port, address, () => {
      again = setTimeout(send, ASK_AGAIN_AFTER_MS)
      send()
    })
  })
}

function overTcp({ address, port }: Server, bytes: Buffer, fits: Fits, deadline: number): Promise<Message | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port })
    let received = Buffer.alloc(0)
    const end = (message: Message | null): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(message)
    }
    const timer = setTimeout(() => end(null), Math.max(0, deadline - performance.now()))
    socket.on('error', () => end(null))
    socket.on('close', () => end(null))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length > MAX_ANSWER_BYTES + 2) return end(null)
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
      const message = decodeMessage(received.subarray(2, 2 + received.readUInt16BE(0)))
      end(fits(message) ? message : null)
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(bytes.length)
    socket.write(Buffer.concat([length, bytes]))
  })
}

/** The first of the operator's resolvers that answers with more than a failure of its own. */
export async function resolve(
  { resolvers }: Outside,
  name: string,
  type: TypeName,
  deadline: number,
): Promise<Message | null> {
  for (const [index, server] of resolvers.entries()) {
    const left = resolvers.length - index
    const until = performance.now() + (deadline - performance.now()) / left
    const message = await ask(server, { name, type, recurse: true }, until)
    if (message && (message.rcode === NOERROR || message.rcode === NXDOMAIN)) return message
  }
  return null
}
export const NOERROR = 0
export const NXDOMAIN = 3
