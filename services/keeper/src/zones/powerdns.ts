// The PowerDNS HTTP API, typed: zones with their record sets, metadata and keys. Knows no account and no operation.
// PowerDNS is trusted for what it serves. Its error texts quote names and values, so they go to the log and no further.
import http from 'node:http'
import { z } from 'zod'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'

const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** RFC 8624 §3.1: the one that is recommended; its signatures are short enough for one UDP packet. */
const SIGNING_ALGORITHM = 'ecdsa256'

const PdnsRecord = z.object({ content: z.string(), disabled: z.boolean() })
const PdnsComment = z.object({ account: z.string(), content: z.string(), modified_at: z.number().int() })
export const PdnsSet = z.object({
  name: z.string(),
  type: z.string(),
  ttl: z.number().int(),
  records: z.array(PdnsRecord),
  comments: z.array(PdnsComment),
})
export type PdnsSet = z.infer<typeof PdnsSet>
export type PdnsComment = z.infer<typeof PdnsComment>

/** What a zone has besides its records, in the API's own words. */
export const PdnsAttributes = z.object({
  kind: z.string(),
  soa_edit: z.string(),
  soa_edit_api: z.string(),
  api_rectify: z.boolean(),
  nsec3param: z.string(),
  nsec3narrow: z.boolean(),
})
export type PdnsAttributes = z.infer<typeof PdnsAttributes>

const PdnsZone = PdnsAttributes.extend({
  name: z.string(),
  account: z.string(),
  serial: z.number().int(),
  rrsets: z.array(PdnsSet),
})
export type PdnsZone = z.infer<typeof PdnsZone>

export const PdnsMetadata = z.object({ kind: z.string(), metadata: z.array(z.string()) })
export type PdnsMetadata = z.infer<typeof PdnsMetadata>
export const PdnsKey = z.object({
  keytype: z.string(),
  active: z.boolean(),
  published: z.boolean(),
  privatekey: z.string(),
})
export type PdnsKey = z.infer<typeof PdnsKey>
/** A key without its private part. */
const PdnsPublicKey = z.object({ id: z.number().int(), active: z.boolean(), dnskey: z.string() })
export type PdnsPublicKey = z.infer<typeof PdnsPublicKey>

export type PdnsChange =
  | { name: string; type: string; changetype: 'DELETE' }
  | {
      name: string
      type: string
      changetype: 'REPLACE'
      ttl?: number
      records?: PdnsSet['records']
      comments?: PdnsComment[]
    }

export type PowerDns = {
  /** Null when no zone has this (absolute) name. */
  readZone(name: string): Promise<PdnsZone | null>
  listZoneNames(): Promise<string[]>
  /** `taken` when a zone of that name exists; nothing is changed then. */
  createZone(zone: PdnsAttributes & { name: string; account: string; rrsets: PdnsSet[] }): Promise<'created' | 'taken'>
  /** All changes in one transaction of PowerDNS, or none; `refused` when it does not accept one of them. */
  patchZone(name: string, changes: readonly PdnsChange[]): Promise<'done' | 'refused'>
  setAttributes(name: string, attributes: Partial<PdnsAttributes>): Promise<void>
  deleteZone(name: string): Promise<void>
  readMetadata(name: string): Promise<PdnsMetadata[]>
  writeMetadata(name: string, metadata: PdnsMetadata): Promise<void>
  /** With their private parts, oldest first: for images alone. */
  readKeys(name: string): Promise<PdnsKey[]>
  addKey(name: string, key: PdnsKey): Promise<void>
  /** Oldest first. */
  listKeys(name: string): Promise<PdnsPublicKey[]>
  /** A fresh key that signs zone and keys alike, parked. Its private part is made there and does not come back from here. */
  generateKey(name: string): Promise<void>
  /** In use (it signs, and is in the zone's DNSKEY set) or parked (neither). There is no way to remove one here. */
  useKey(name: string, id: number, inUse: boolean): Promise<void>
  /** Orders the names of a signed zone; without it a signed zone answers wrongly. */
  rectify(name: string): Promise<void>
}

/** `url` is the API's origin. No answer within `timeoutMs`, or one that makes no sense: Fault BACKEND_UNAVAILABLE. */
export function createPowerDns(options: { url: string; apiKey: string; timeoutMs: number; logger: Logger }): PowerDns {
  const { apiKey, timeoutMs, logger } = options
  const origin = new URL(options.url)
  const unavailable = (why: string, cause?: unknown): Fault =>
    new Fault('BACKEND_UNAVAILABLE', `powerdns: ${why}`, { cause })

  const exchange = (method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const json = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
      const request = http.request({
        host: origin.hostname,
        port: origin.port,
        method,
        path: `/api/v1/servers/localhost${path}`,
        // A connection per request: PowerDNS closes its side, and a re-used dead one would look like an outage.
        agent: false,
        headers: {
          'x-api-key': apiKey,
          ...(json ? { 'content-type': 'application/json', 'content-length': json.length } : {}),
        },
      })
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
      const fail = (error: unknown): void => {
        clearTimeout(timer)
        reject(unavailable(`${method} failed: ${String(error)}`, error))
      }
      request.on('error', fail)
      request.on('response', (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('error', fail)
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > MAX_ANSWER_BYTES) request.destroy(new Error('answer too large'))
          else chunks.push(chunk)
        })
        response.on('end', () => {
          clearTimeout(timer)
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') })
        })
      })
      request.end(json)
    })

  // SQLite has one writer. PowerDNS begins a transaction by reading, and SQLite answers the second of two such writers with
  // "database is locked" at once instead of letting it wait: so changes wait for each other here.
  let lastWrite: Promise<unknown> = Promise.resolve()
  const send: typeof exchange = (method, path, body) => {
    if (method === 'GET') return exchange(method, path, body)
    const mine = lastWrite.then(() => exchange(method, path, body))
    lastWrite = mine.catch(() => undefined)
    return mine
  }

  const parse = <T extends z.ZodType>(schema: T, text: string): z.output<T> => {
    try {
      return schema.parse(JSON.parse(text))
    } catch (cause) {
      throw unavailable('an answer that does not fit', cause)
    }
  }
  /** Without the cause: a parser's complaint quotes what it could not read. */
  const parseSecret = <T extends z.ZodType>(schema: T, text: string): z.output<T> => {
    try {
      return schema.parse(JSON.parse(text))
    } catch {
      throw unavailable('an answer about keys that does not fit')
    }
  }

  const call = async (
    method: string,
    path: string,
    expected: readonly number[],
    body?: unknown,
  ): Promise<{ status: number; text: string }> => {
    const answer = await send(method, path, body)
    if (expected.includes(answer.status)) return answer
    // What is said about keys may quote them.
    const words = path.includes('/cryptokeys') ? '' : answer.text.slice(0, 500)
    throw unavailable(`${method} ${path}: ${answer.status} ${words}`)
  }
  const zonePath = (name: string): string => `/zones/${encodeURIComponent(name)}`
  const listKeys = async (name: string): Promise<PdnsPublicKey[]> => {
    const { text } = await call('GET', `${zonePath(name)}/cryptokeys`, [200])
    return parseSecret(z.array(PdnsPublicKey), text).toSorted((a, b) => a.id - b.id)
  }

  return {
    readZone: async (name) => {
      const { status, text } = await call('GET', zonePath(name), [200, 404])
      return status === 404 ? null : parse(PdnsZone, text)
    },
    listZoneNames: async () => {
      const { text } = await call('GET', '/zones', [200])
      return parse(z.array(z.object({ name: z.string() })), text).map(({ name }) => name)
    },
    createZone: async (zone) => {
      const { status } = await call('POST', '/zones', [201, 409], { ...zone, nameservers: [] })
      return status === 409 ? 'taken' : 'created'
    },
    patchZone: async (name, changes) => {
      const { status, text } = await call('PATCH', zonePath(name), [204, 422], { rrsets: changes })
      if (status === 204) return 'done'
      logger.warn('records_refused', { zone: name, text: text.slice(0, 500) })
      return 'refused'
    },
    setAttributes: async (name, attributes) => void (await call('PUT', zonePath(name), [204], attributes)),
    deleteZone: async (name) => void (await call('DELETE', zonePath(name), [204, 404])),
    readMetadata: async (name) => {
      const { text } = await call('GET', `${zonePath(name)}/metadata`, [200])
      return parse(z.array(PdnsMetadata), text)
    },
    writeMetadata: async (name, { kind, metadata }) =>
      void (await call('PUT', `${zonePath(name)}/metadata/${encodeURIComponent(kind)}`, [200], { metadata })),
    readKeys: async (name) => {
      const keys: PdnsKey[] = []
      for (const { id } of await listKeys(name))
        keys.push(parseSecret(PdnsKey, (await call('GET', `${zonePath(name)}/cryptokeys/${id}`, [200])).text))
      return keys
    },
    listKeys,
    generateKey: async (name) =>
      void (await call('POST', `${zonePath(name)}/cryptokeys`, [201], {
        keytype: 'csk',
        active: false,
        published: false,
        algorithm: SIGNING_ALGORITHM,
      })),
    useKey: async (name, id, inUse) =>
      void (await call('PUT', `${zonePath(name)}/cryptokeys/${id}`, [204], { active: inUse, published: inUse })),
    addKey: async (name, { keytype, active, published, privatekey }) =>
      void (await call('POST', `${zonePath(name)}/cryptokeys`, [201], {
        keytype,
        active,
        published,
        content: privatekey,
      })),
    rectify: async (name) => void (await call('PUT', `${zonePath(name)}/rectify`, [200])),
  }
}
