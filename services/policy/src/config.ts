// Policy's settings: the only file that reads the environment.
import { z } from 'zod'
import { HostPort, readArrowKey, readConfig, requireStrongKey, withPassword } from '@bailiwick/kernel/config'
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
})

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
    keys: {
      gateway: key('gateway', 'policy'),
      steward: key('steward', 'policy'),
      admin: key('admin', 'policy'),
      audit: key('policy', 'audit'),
    },
  }
}
