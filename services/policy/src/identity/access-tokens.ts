// Verifies raw access tokens. A signature is checked once per token: what it said is kept under the token's SHA-256 until it
// expires. Nothing else is kept with it: whether it still stands is looked up at every call.
import { compactVerify } from 'jose'
import type { Clock } from '@bailiwick/kernel/clock'
import { deny } from '@bailiwick/contracts/problem'
import { err, ok } from '@bailiwick/kernel/result'
import type { Verdict } from '../checks/facts.ts'
import type { Keys } from './keys.ts'
import { ALGORITHM, readClaims, readHeader, type AccessToken, type Expected } from './verify-access-token.ts'

export type AccessTokens = {
  /** `id`: the SHA-256 (hex) of `raw`. IDENTITY_UNAVAILABLE: the keys are not known freshly enough to say. */
  verify(raw: string, id: string): Promise<Verdict<AccessToken>>
}

const MAX_KEPT = 10_000
const MAX_LENGTH = 8192

export function createAccessTokens(deps: { keys: Keys; clock: Clock; expected: Expected }): AccessTokens {
  const { keys, clock, expected } = deps
  const kept = new Map<string, { token: AccessToken; kid: string }>()

  const refuse = (why: string): Verdict<AccessToken> => err(deny('UNAUTHENTICATED', { why: `access token: ${why}` }))
  const keep = (id: string, one: { token: AccessToken; kid: string }): void => {
    // What was used longest ago goes first: a Map remembers the order.
    if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value!)
    kept.set(id, one)
  }

  return {
    async verify(raw, id) {
      const known = kept.get(id)
      if (known) {
        kept.delete(id)
        if (known.token.expiresAt > clock.now() && keys.has(known.kid)) {
          keep(id, known)
          return ok(known.token)
        }
      }
      if (raw.length > MAX_LENGTH) return refuse('too long')
      const header = readHeader(raw)
      if (!header.ok) return refuse(header.error)
      const { kid } = header.value
      const key = await keys.find(kid)
      if (key === undefined) return err(deny('IDENTITY_UNAVAILABLE', { retry_after_s: 2, why: 'no fresh keys' }))
      if (key === null) return refuse('an unknown key')
      let payload: unknown
      try {
        const verified = await compactVerify(raw, key, { algorithms: [ALGORITHM] })
        payload = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(verified.payload))
      } catch {
        return refuse('the signature does not hold')
      }
      const read = readClaims(payload, expected, clock.now())
      if (!read.ok) return refuse(read.error)
      keep(id, { token: read.value, kid })
      return ok(read.value)
    },
  }
}
