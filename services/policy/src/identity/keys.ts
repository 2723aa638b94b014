// The identity provider's public keys: fetched from its one address, never from where a token says. Refreshed all the time, so
// that a key which was taken out of service stops working here too.
import { importJWK, type CryptoKey } from 'jose'
import { z } from 'zod'
import type { Logger } from '@bailiwick/kernel/logger'
import { ALGORITHM } from './verify-access-token.ts'

export type Keys = {
  /**
   * The key of that name; null when there is none. A name that we do not know is looked for once: not more than one fetch in
   * 10 s, however many are made up. Undefined: the keys are not known, or not freshly enough to trust any.
   */
  find(kid: string): Promise<CryptoKey | null | undefined>
  /** Whether the key is still there, without any fetch. */
  has(kid: string): boolean
  close(): void
}

const REFRESH_EVERY_MS = 10_000
const TRUSTED_FOR_MS = 60_000
const TIMEOUT_MS = 2000

const KeySet = z.object({ keys: z.array(z.looseObject({})).max(100) })
const SigningKey = z.looseObject({
  kid: z.string(),
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  alg: z.literal(ALGORITHM),
  use: z.literal('sig'),
  x: z.string(),
  y: z.string(),
})

export function createKeys(options: {
  url: string
  logger: Logger
  refreshEveryMs?: number
  trustedForMs?: number
}): Keys {
  const { url, logger, refreshEveryMs = REFRESH_EVERY_MS, trustedForMs = TRUSTED_FOR_MS } = options
  let known: ReadonlyMap<string, CryptoKey> = new Map()
  let fetchedAt = Number.NEGATIVE_INFINITY
  let triedAt = Number.NEGATIVE_INFINITY
  let fetching: Promise<void> | null = null

  const fetchKeys = async (): Promise<void> => {
    const began = performance.now()
    triedAt = began
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' })
    if (!response.ok) throw new Error(`status ${response.status}`)
    const { keys } = KeySet.parse(await response.json())
    const next = new Map<string, CryptoKey>()
    for (const one of keys) {
      // Keys for other uses and algorithms stand in the same set.
      const key = SigningKey.safeParse(one)
      if (key.success) next.set(key.data.kid, await importPublic(key.data))
    }
    known = next
    fetchedAt = began
  }
  /** One at a time, however many ask. */
  const refresh = (): Promise<void> => {
    fetching ??= fetchKeys()
      .catch((error: unknown) => logger.warn('identity_keys_not_fetched', { reason: String(error) }))
      .finally(() => {
        fetching = null
      })
    return fetching
  }
  const timer = setInterval(() => void refresh(), refreshEveryMs).unref()
  const isFresh = (): boolean => performance.now() - fetchedAt < trustedForMs

  return {
    async find(kid) {
      if (fetching && !isFresh()) await fetching
      const mayFetch = performance.now() - triedAt >= refreshEveryMs
      if (mayFetch && !(isFresh() && known.has(kid))) await refresh()
      return isFresh() ? (known.get(kid) ?? null) : undefined
    },
    has: (kid) => isFresh() && known.has(kid),
    close: () => clearInterval(timer),
  }
}

async function importPublic({ kty, crv, x, y }: z.infer<typeof SigningKey>): Promise<CryptoKey> {
  // Only what makes a public key: should a private part ever be published, we do not hold it.
  const key = await importJWK({ kty, crv, x, y }, ALGORITHM)
  if (key instanceof Uint8Array) throw new Error('not a public key')
  return key
}
