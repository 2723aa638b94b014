import { fakeClock } from '@bailiwick/kernel/clock'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import { silentLogger } from '@bailiwick/kernel/logger'
import { createAccessTokens } from '../src/identity/access-tokens.ts'
import { createKeys } from '../src/identity/keys.ts'
import { startIssuer, type Issuer } from './support/issuer.ts'
import { soon } from './support/stand.ts'

describe('the identity provider’s keys', () => {
  const clock = fakeClock(Date.now())
  const opened: (() => unknown)[] = []
  let issuer: Issuer
  beforeEach(async () => {
    issuer = await startIssuer(clock)
    opened.push(() => issuer.close())
  })
  afterEach(async () => {
    for (const close of opened.splice(0).toReversed()) await close()
  })
  /** Verifies with keys that are refreshed in test time. */
  function verifier(times: { refreshEveryMs: number; trustedForMs: number }) {
    const url = `${issuer.url}/realms/bailiwick/protocol/openid-connect/certs`
    const keys = createKeys({ url, logger: silentLogger, ...times })
    opened.push(() => keys.close())
    const tokens = createAccessTokens({ keys, clock, expected: issuer.config })
    return async (token: string): Promise<string> => {
      const verified = await tokens.verify(token, sha256Hex(token))
      return verified.ok ? 'good' : verified.error.code
    }
  }

  test('a new key is found when its first token comes; the old one’s tokens stay good', async () => {
    const verify = verifier({ refreshEveryMs: 20, trustedForMs: 60_000 })
    const old = await issuer.token()
    expect(await verify(old)).toBe('good')
    await issuer.addKey()
    const fresh = await issuer.token()
    expect(await soon(async () => (await verify(fresh)) === 'good')).toBe(true)
    expect(await verify(old)).toBe('good')
  })

  test('a key taken out of service stops working, also for tokens that were seen before', async () => {
    const verify = verifier({ refreshEveryMs: 20, trustedForMs: 60_000 })
    const { kid } = issuer.state
    const [used, unused] = [await issuer.token(), await issuer.token()]
    expect(await verify(used)).toBe('good')
    await issuer.addKey()
    issuer.published.delete(kid)
    expect(await soon(async () => (await verify(used)) === 'UNAUTHENTICATED')).toBe(true)
    expect(await verify(unused)).toBe('UNAUTHENTICATED')
  })

  test('a signature is checked once per token, however often it comes', async () => {
    const verify = verifier({ refreshEveryMs: 60_000, trustedForMs: 60_000 })
    const token = await issuer.token()
    expect(await verify(token)).toBe('good')
    const cpu = process.threadCpuUsage()
    for (let call = 0; call < 1000; call += 1) await verify(token)
    const { user, system } = process.threadCpuUsage(cpu)
    // One check of a signature alone takes longer than these 0.05 ms.
    expect((user + system) / 1000 / 1000).toBeLessThan(0.05)
    expect(issuer.counts.certs).toBe(1)
  })

  test('keys that cannot be refreshed are trusted for a while, and then not: neither known nor new tokens', async () => {
    const verify = verifier({ refreshEveryMs: 20, trustedForMs: 300 })
    const token = await issuer.token()
    expect(await verify(token)).toBe('good')
    issuer.state.isDown = true
    expect(await verify(token)).toBe('good')
    expect(await soon(async () => (await verify(token)) === 'IDENTITY_UNAVAILABLE')).toBe(true)
    expect(await verify(await issuer.token())).toBe('IDENTITY_UNAVAILABLE')
    issuer.state.isDown = false
    expect(await soon(async () => (await verify(token)) === 'good')).toBe(true)
  })

  test('a key of another kind, for another use or algorithm, is no key for tokens', async () => {
    const verify = verifier({ refreshEveryMs: 20, trustedForMs: 60_000 })
    const { kid } = issuer.state
    const jwk = issuer.published.get(kid)!
    for (const changed of [{ use: 'enc' }, { alg: 'ES384' }, { kty: 'RSA' }, { crv: 'P-384' }]) {
      issuer.published.set(kid, { ...jwk, ...changed })
      expect(await soon(async () => (await verify(await issuer.token())) === 'UNAUTHENTICATED')).toBe(true)
    }
    issuer.published.set(kid, jwk)
    expect(await soon(async () => (await verify(await issuer.token())) === 'good')).toBe(true)
  })
})
