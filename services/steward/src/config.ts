// The steward's settings, from the environment; the only file that reads it.
import { z } from 'zod'
import { HostPort, readConfig } from '@bailiwick/kernel/config'

const Settings = z.object({
  BAILIWICK_LISTEN: HostPort,
  BAILIWICK_KEYS_DIR: z.string().min(1),
  BAILIWICK_KEEPER_URL: z.url(),
  BAILIWICK_VAULT_URL: z.url(),
  BAILIWICK_AUDIT_URL: z.url(),
  BAILIWICK_POLICY_URL: z.url(),
  BAILIWICK_DATABASE_URL: z.url(),
  BAILIWICK_SECRETS_FILE: z.string().min(1),
  BAILIWICK_UNSEAL_FD: z.coerce.number().int().min(0).default(3),
})

export function loadConfig(env: NodeJS.ProcessEnv = process.env) {
  const settings = readConfig(Settings, env)
  return {
    listen: settings.BAILIWICK_LISTEN,
    keysDir: settings.BAILIWICK_KEYS_DIR,
    keeperUrl: settings.BAILIWICK_KEEPER_URL,
    vaultUrl: settings.BAILIWICK_VAULT_URL,
    auditUrl: settings.BAILIWICK_AUDIT_URL,
    policyUrl: settings.BAILIWICK_POLICY_URL,
    databaseUrl: settings.BAILIWICK_DATABASE_URL,
    secretsFile: settings.BAILIWICK_SECRETS_FILE,
    unsealFd: settings.BAILIWICK_UNSEAL_FD,
  }
}
