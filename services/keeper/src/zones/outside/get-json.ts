// One JSON document from a stranger's HTTPS server, through the egress proxy: it resolves the name, and judges the addresses that the
// name has. Looked at here are what only we see (redirects, the answer itself), and both are bounded, in number, bytes and time.
import https from 'node:https'
import { isIP } from 'node:net'

export type Reach = {
  /** The proxy's origin. It takes CONNECT. */
  readonly egress: string
  /** Instead of the system's. */
  readonly ca?: string
}
export type Fetched = { readonly state: 'json'; readonly value: unknown } | { readonly state: 'absent' } | Failed
/** `why` is our own words, safe to show. */
export type Failed = { readonly state: 'failed'; readonly why: string }

const MAX_BYTES = 256 * 1024
const MAX_REDIRECTS = 3
const failed = (why: string): Failed => ({ state: 'failed', why })

/** `absent`: the server says 404. Never throws. */
export async function getJson(reach: Reach, address: string, deadline: number): Promise<Fetched> {
  let next = address
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const url = allowed(next)
    if (!url) return failed('it led to an address that is not asked')
    const answer = await get(reach, url, deadline)
    if (answer.state !== 'redirect') return answer
    next = URL.canParse(answer.location, url.href) ? new URL(answer.location, url).href : ''
  }
  return failed('it redirected too often')
}

/** HTTPS by name, on its own port, without anything smuggled in. */
function allowed(address: string): URL | null {
  if (!URL.canParse(address)) return null
  const url = new URL(address)
  const isPlain = url.protocol === 'https:' && url.username === '' && url.password === ''
  const isNamed = isIP(url.hostname.replace(/^\[|\]$/g, '')) === 0
  return isPlain && isNamed && url.port === '' ? url : null
}

type Answer = Fetched | { readonly state: 'redirect'; readonly location: string }

function get(reach: Reach, url: URL, deadline: number): Promise<Answer> {
  return new Promise((done) => {
    const agent = new https.Agent({ keepAlive: false, proxyEnv: { HTTPS_PROXY: reach.egress } })
    const request = https.get(url, {
      agent,
      headers: { accept: 'application/rdap+json, application/json', 'accept-encoding': 'identity' },
      ...(reach.ca === undefined ? {} : { ca: reach.ca }),
    })
    const end = (answer: Answer): void => {
      clearTimeout(timer)
      done(answer)
      request.destroy()
      agent.destroy()
    }
    const timer = setTimeout(() => end(failed('it did not answer in time')), Math.max(0, deadline - performance.now()))
    request.on('error', () => end(failed('it could not be reached')))
    request.on('response', (response) => {
      const { statusCode = 0, headers } = response
      if ([301, 302, 303, 307, 308].includes(statusCode) && headers.location)
        return end({ state: 'redirect', location: headers.location })
      if (statusCode === 404) return end({ state: 'absent' })
      if (statusCode !== 200) return end(failed('it did not answer with success'))
      const chunks: Buffer[] = []
      let size = 0
      response.on('error', () => end(failed('it broke off')))
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_BYTES) end(failed('its answer is too long'))
        else chunks.push(chunk)
      })
      response.on('end', () => end(response.complete ? parse(Buffer.concat(chunks)) : failed('it broke off')))
    })
  })
}

function parse(bytes: Buffer): Answer {
  try {
    return { state: 'json', value: JSON.parse(bytes.toString('utf8')) as unknown }
  } catch {
    return failed('its answer is not JSON')
  }
}
