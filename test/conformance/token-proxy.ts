// A header-adding proxy: neither program under test has a way to bring a token of its own, or to trust our CA. It changes
// nothing but Authorization, and takes the account's next token before the last one meets its limit of calls per minute.
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'

/** Below the 60 of a window (policy's LIMITS), with room to finish what was begun with a token. */
const CALLS_PER_TOKEN = 35
const CALLS_TO_FINISH = 20

type TokenProxy = {
  readonly url: string
  /** Requests that were passed on. */
  readonly count: number
  close(): Promise<void>
}

/** `upstream`: where the edge is. `takeToken` is asked for the first token and for each next one. */
export async function startTokenProxy(options: {
  upstream: URL
  ca?: string | Buffer
  takeToken: () => Promise<string>
}): Promise<TokenProxy> {
  const { upstream, ca, takeToken } = options
  const secure = upstream.protocol === 'https:'
  const agent = secure
    ? new https.Agent({ keepAlive: true, ...(ca ? { ca } : {}) })
    : new http.Agent({ keepAlive: true })
  let token = await takeToken()
  let left = CALLS_PER_TOKEN
  let streams = 0
  let count = 0
  let turn: Promise<unknown> = Promise.resolve()

  /** One request after the other, so that no two ask for a new token. */
  const tokenFor = (body: Buffer): Promise<string> => {
    const next = turn.then(async () => {
      // What a token began (a stream it listens on, a conversation in rounds) goes on with it.
      const isFollowUp = streams > 0 || body.includes('"requestState"') || body.includes('"inputResponses"')
      // The suite leaves streams open that it has read enough of.
      if (left <= (isFollowUp ? -CALLS_TO_FINISH : 0)) {
        token = await takeToken()
        left = CALLS_PER_TOKEN
      }
      left -= 1
      count += 1
      return token
    })
    turn = next.catch(() => undefined)
    return next
  }

  const server = http.createServer((request, response) => void forward(request, response))
  const forward = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const body = Buffer.concat(parts)
    const isListening = body.includes('"subscriptions/listen"')
    const headers = { ...request.headers, authorization: `Bearer ${await tokenFor(body)}` }
    if (isListening) streams += 1
    const onward = (secure ? https : http).request(
      new URL(request.url ?? '/', upstream),
      // Host stays as the client wrote it: the gateway is to judge it.
      { agent, method: request.method, headers, ...(secure ? { servername: 'localhost' } : {}) },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        response.flushHeaders()
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    // A stream ends when its reader goes.
    response.on('close', () => {
      if (isListening) streams -= 1
      onward.destroy()
    })
    onward.end(body)
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get count() {
      return count
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      agent.destroy()
    },
  }
}
