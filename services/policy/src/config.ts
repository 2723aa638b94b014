// Policy's settings: the only file that reads the environment.
import { z } from 'zod'
import {
  ConfigError,
  HostPort,
  readArrowKey,
  readConfig,
  requireStrongKey,
  withPassword,
} from '@bailiwick/kernel/config'
import { openSealedFile, readUnsealKey } from '@bailiwick/kernel/secrets'

const Settings = z.object({
  BAILIWICK_LISTEN: HostPort,
  BAILIWICK_ADMIN_SOCKET: z.string().startsWith('/', 'is not an absolute path'),
  BAILIWICK_KEYS_DIR: z.string().min(1),
  BAILIWICK_AUDIT_URL: z.url(),
  BAILIWICK_DATABASE_URL: z.url(),
  BAILIWICK_VALKEY_URL: z.url(),
  BAILIWICK_SECRETS_FILE: z.string().min(1),
  BAILIWICK_UNSEAL_FD: z.coerce.number().int().min(0).default(3),
  // All three or none: without them there are personal tokens only.
  BAILIWICK_ISSUER: z.url().optional(),
  BAILIWICK_AUDIENCE: z.url().optional(),
  BAILIWICK_KEYCLOAK_URL: z.url().optional(),
})

/** `issuer` and `audience` as tokens must say them; `url`: where Keycloak itself answers us, past the edge. */
export type IdentityConfig = {
  readonly issuer: string
  readonly audience: string
  readonly url: string
  readonly clientSecret: string
}

/** Everything that the composition root needs. A missing or weak setting or secret is a ConfigError (exit 78). */
export async function loadConfig(env: NodeJS.ProcessEnv) {
  const settings = readConfig(Settings, env)
  const secrets = openSealedFile(settings.BAILIWICK_SECRETS_FILE, readUnsealKey(settings.BAILIWICK_UNSEAL_FD))
  const secret = async (name: string): Promise<string | undefined> =>
    (await secrets.has(name)) ? secrets.get(name) : undefined
  const valkeyPassword = await secret('valkey_password')
  const key = (caller: string, callee: string): Buffer => readArrowKey(settings.BAILIWICK_KEYS_DIR, caller, callee)
  return {
    listen: settings.BAILIWICK_LISTEN,
    adminSocket: settings.BAILIWICK_ADMIN_SOCKET,
    auditUrl: settings.BAILIWICK_AUDIT_URL,
    databaseUrl: withPassword(settings.BAILIWICK_DATABASE_URL, (await secret('database_password')) ?? ''),
    valkeyUrl: settings.BAILIWICK_VALKEY_URL,
    ...(valkeyPassword === undefined ? {} : { valkeyPassword }),
    permitKey: requireStrongKey('secret permit_key', await secret('permit_key')),
    tokenKey: requireStrongKey('secret token_hmac_key', await secret('token_hmac_key')),
    identity: readIdentity(settings, await secret('keycloak_client_secret')),
    keys: {
      gateway: key('gateway', 'policy'),
      steward: key('steward', 'policy'),
      admin: key('admin', 'policy'),
      audit: key('policy', 'audit'),
    },
  }
}

function readIdentity(settings: z.infer<typeof Settings>, clientSecret: string | undefined): IdentityConfig | null {
  const { BAILIWICK_ISSUER: issuer, BAILIWICK_AUDIENCE: audience, BAILIWICK_KEYCLOAK_URL: url } = settings
  if (issuer === undefined && audience === undefined && url === undefined) return null
  if (issuer === undefined) throw new ConfigError('BAILIWICK_ISSUER', 'is missing')
  if (audience === undefined) throw new ConfigError('BAILIWICK_AUDIENCE', 'is missing')
  if (url === undefined) throw new ConfigError('BAILIWICK_KEYCLOAK_URL', 'is missing')
  if (!/^\/realms\/[\w-]+$/.test(new URL(issuer).pathname)) throw new ConfigError('BAILIWICK_ISSUER', 'names no realm')
  if (clientSecret === undefined) throw new ConfigError('secret keycloak_client_secret', 'is missing')
  if (clientSecret.length < 32) throw new ConfigError('secret keycloak_client_secret', 'is too short')
  return { issuer, audience, url, clientSecret }
}
