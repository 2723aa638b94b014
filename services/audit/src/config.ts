// The audit service's settings. The only file here that reads the environment.
import { z } from 'zod'
import { HostPort, readArrowKey, readConfig } from '@bailiwick/kernel/config'

const Settings = z.object({
  BAILIWICK_LISTEN: HostPort,
  BAILIWICK_KEYS_DIR: z.string().min(1),
  BAILIWICK_SECRETS_FILE: z.string().min(1),
  BAILIWICK_UNSEAL_FD: z.coerce.number().int().min(3).default(3),
  BAILIWICK_DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\/./, 'is not a postgres:// address'),
})

export type AuditConfig = {
  readonly listen: { host: string; port: number }
  readonly databaseUrl: string
  readonly secretsFile: string
  readonly unsealFd: number
  /** Who may speak to this door, each with a key of its own. */
  readonly arrows: Readonly<Record<'policy' | 'steward' | 'reaper', Buffer>>
}

/** Throws ConfigError (exit 78) naming the first bad setting. */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): AuditConfig {
  const settings = readConfig(Settings, env)
  const key = (caller: string): Buffer => readArrowKey(settings.BAILIWICK_KEYS_DIR, caller, 'audit')
  return {
    listen: settings.BAILIWICK_LISTEN,
    databaseUrl: settings.BAILIWICK_DATABASE_URL,
    secretsFile: settings.BAILIWICK_SECRETS_FILE,
    unsealFd: settings.BAILIWICK_UNSEAL_FD,
    arrows: { policy: key('policy'), steward: key('steward'), reaper: key('reaper') },
  }
}
