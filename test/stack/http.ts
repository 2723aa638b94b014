// One HTTP request as a test wants it: no redirect followed, no cookie kept, any source address, our own certificate authority.
import http from 'node:http'
import https from 'node:https'

/** Another loopback address than 127.0.0.1, so that one test's limits do not hit the next; a function: asked each time. */
export type Source = string | (() => string)
export type HttpReply = { status: number; headers: http.IncomingHttpHeaders; text: string }
export type HttpRequest = {
  method?: string
  headers?: Readonly<Record<string, string>>
  body?: string
  /** PEM of who signed the server's certificate. */
  ca?: string | Buffer
  from?: Source
}

/** One address after another of `network` (three numbers), for tests that are not about the edge's limits by address. */
export function addressesIn(network: string): () => string {
  let asked = 0
  return () => `${network}.${(asked++ % 250) + 1}`
}

const localAddress = (from: Source | undefined): { localAddress?: string } =>
  from ? { localAddress: typeof from === 'string' ? from : from() } : {}

export function send(
  url: string,
  { method = 'GET', headers = {}, body, ca, from }: HttpRequest = {},
): Promise<HttpReply> {
  const { request } = url.startsWith('https:') ? https : http
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method,
        headers: body === undefined ? headers : { 'content-length': String(Buffer.byteLength(body)), ...headers },
        timeout: 60_000,
        ...(ca ? { ca } : {}),
        ...localAddress(from),
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${url}: no answer in 60 s`)))
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

export const formBody = (fields: Readonly<Record<string, string>> | readonly [string, string][]): string =>
  new URLSearchParams(fields as Record<string, string>).toString()

/** `target` goes into the request line as it is: `new URL` would fold dots and slashes away. */
export function sendRaw(origin: string, target: string, { ca, from }: HttpRequest = {}): Promise<{ status: number }> {
  const { hostname, port } = new URL(origin)
  const options = {
    hostname,
    port,
    path: target,
    ...(ca ? { ca } : {}),
    ...localAddress(from),
  }
  return new Promise((resolve, reject) => {
    https
      .get(options, (response) => response.resume().on('end', () => resolve({ status: response.statusCode ?? 0 })))
      .on('error', reject)
  })
}
