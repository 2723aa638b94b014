// What an access token must say to be believed. Pure: the header before its signature is checked, the claims after it; `now` is
// an argument. Each refusal names its reason for the log; the caller hears only that the token is no good.
import { z } from 'zod'
import { effectiveScopes, SCOPES } from '@bailiwick/contracts/scopes'
import { err, ok, type Result } from '@bailiwick/kernel/result'

/** The one algorithm. A list would invite what the others allow: `none`, or a public key used as an HMAC secret. */
export const ALGORITHM = 'ES256'

export type Expected = {
  /** Compared as text, whole. */
  readonly issuer: string
  /** Our canonical URL. */
  readonly audience: string
}

/** A token that was issued for us to an app on behalf of a person. Times in ms. */
export type AccessToken = {
  readonly sub: string
  readonly client: string
  readonly session: string
  /** As the token has them; unknown ones are left out. */
  readonly scopes: readonly string[]
  /** With what they imply. */
  readonly effective: readonly string[]
  readonly issuedAt: number
  readonly expiresAt: number
}

const SKEW_S = 5
const MAX_LIFETIME_S = 600

/** Clients through which people or parts of ours sign in. No agent is one of them. */
const INTERNAL_CLIENTS: ReadonlySet<string> = new Set([
  'account',
  'account-console',
  'admin-cli',
  'bailiwick-console',
  'bailiwick-operator',
  'bailiwick-policy',
  'broker',
  'realm-management',
  'security-admin-console',
])

// Strict: a header that brings a key or the address of one (`jwk`, `jku`, `x5c`, `x5u`), or asks for an extension (`crit`), is
// refused as a whole. A key id is a name to be looked up among the keys that we fetched, never a path or an address.
const Header = z.strictObject({
  alg: z.literal(ALGORITHM),
  typ: z.enum(['JWT', 'at+jwt']),
  kid: z.string().regex(/^[\w-]{1,128}$/),
})

export function readHeader(raw: string): Result<{ kid: string }, string> {
  let header: unknown
  try {
    header = JSON.parse(Buffer.from(raw.slice(0, raw.indexOf('.')), 'base64url').toString('utf8'))
  } catch {
    return err('the header is not JSON')
  }
  const parsed = Header.safeParse(header)
  return parsed.success ? ok({ kid: parsed.data.kid }) : err(`header ${place(parsed.error)}`)
}

const seconds = z
  .number()
  .int()
  .min(0)
  .max(Number.MAX_SAFE_INTEGER / 1000)

const Claims = z.looseObject({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  // An ID token says ID, a refresh token Refresh or Offline.
  typ: z.literal('Bearer'),
  sub: z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
  azp: z.string().regex(/^[\x21-\x7e]{1,256}$/),
  // A token without a session has no person behind it.
  sid: z.string().regex(/^[\w.-]{1,128}$/),
  scope: z.string(),
  exp: seconds,
  iat: seconds,
  nbf: seconds.optional(),
  preferred_username: z.string().optional(),
})

/** `payload`: of a signature that holds. */
export function readClaims(payload: unknown, expected: Expected, nowMs: number): Result<AccessToken, string> {
  const parsed = Claims.safeParse(payload)
  if (!parsed.success) return err(`claim ${place(parsed.error)}`)
  const claims = parsed.data
  if (claims.iss !== expected.issuer) return err('another issuer')
  if (![claims.aud].flat().includes(expected.audience)) return err('for another audience')
  const time = checkTime(claims, nowMs / 1000)
  if (!time.ok) return time
  if (isServiceAccount(claims)) return err('a service account')
  if (INTERNAL_CLIENTS.has(claims.azp) || claims.azp === expected.audience) return err('an internal client')
  const scopes = [...new Set(claims.scope.split(' '))].filter((scope) => SCOPES.includes(scope)).sort()
  return ok({
    sub: claims.sub,
    client: claims.azp,
    session: claims.sid,
    scopes,
    effective: effectiveScopes(scopes),
    issuedAt: claims.iat * 1000,
    expiresAt: claims.exp * 1000,
  })
}

type Times = { readonly exp: number; readonly iat: number; readonly nbf?: number | undefined }

function checkTime({ exp, iat, nbf }: Times, now: number): Result<true, string> {
  if (exp <= now) return err('expired')
  if (iat > now + SKEW_S) return err('issued in the future')
  if (nbf !== undefined && nbf > now + SKEW_S) return err('not valid yet')
  if (exp - iat > MAX_LIFETIME_S) return err('lives too long')
  return ok(true)
}

/** As Keycloak marks them. Who is no member is refused in any case: this is for one that somebody made a member by mistake. */
const isServiceAccount = (claims: z.infer<typeof Claims>): boolean =>
  ['client_id', 'clientId', 'clientHost', 'clientAddress'].some((mark) => Object.hasOwn(claims, mark)) ||
  claims.preferred_username?.startsWith('service-account-') === true

const place = (error: z.ZodError): string => {
  const [issue] = error.issues
  return `${issue!.path.join('.') || (issue!.code === 'unrecognized_keys' ? issue.keys.join(' ').slice(0, 100) : '')}: ${issue!.code}`
}
