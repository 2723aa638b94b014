// The reaper's settings; the only file of it that reads the environment.
import { z } from 'zod'
import { readConfig } from '@bailiwick/kernel/config'
import { DAY_MS } from './due.ts'

const Settings = z.object({
  BAILIWICK_KEYS_DIR: z.string().min(1),
  BAILIWICK_STATE_DIR: z.string().min(1),
  BAILIWICK_KEEPER_PURGE_URL: z.url(),
  BAILIWICK_VAULT_EXPIRY_URL: z.url(),
  BAILIWICK_AUDIT_URL: z.url(),
  /** Between two rounds. Each day of the window needs one, so hours at most. */
  BAILIWICK_INTERVAL_SECONDS: z.coerce.number().int().min(1).max(21_600).default(600),
  /** At least the steward's undo window; the keeper and the vault refuse anything younger than 30 days by themselves. */
  BAILIWICK_WINDOW_DAYS: z.coerce.number().int().min(30).max(3650).default(30),
})

export function loadConfig(env: NodeJS.ProcessEnv = process.env) {
  const settings = readConfig(Settings, env)
  return {
    keysDir: settings.BAILIWICK_KEYS_DIR,
    stateDir: settings.BAILIWICK_STATE_DIR,
    keeperPurgeUrl: settings.BAILIWICK_KEEPER_PURGE_URL,
    vaultExpiryUrl: settings.BAILIWICK_VAULT_EXPIRY_URL,
    auditUrl: settings.BAILIWICK_AUDIT_URL,
    intervalMs: settings.BAILIWICK_INTERVAL_SECONDS * 1000,
    windowMs: settings.BAILIWICK_WINDOW_DAYS * DAY_MS,
  }
}
