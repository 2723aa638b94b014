// The vault's settings; the only file of it that reads the environment.
import { z } from 'zod'
import { HostPort, readConfig } from '@bailiwick/kernel/config'

const Settings = z.object({
  BAILIWICK_LISTEN: HostPort,
  BAILIWICK_LISTEN_SECOND: HostPort,
  BAILIWICK_KEYS_DIR: z.string().min(1),
  BAILIWICK_STATE_DIR: z.string().min(1),
  BAILIWICK_SECRETS_FILE: z.string().min(1),
  BAILIWICK_UNSEAL_FD: z.coerce.number().int().min(3),
})

export type VaultConfig = {
  listen: { host: string; port: number }
  listenSecond: { host: string; port: number }
  keysDir: string
  stateDir: string
  secretsFile: string
  unsealFd: number
}

export function loadConfig(env: NodeJS.ProcessEnv = process.env): VaultConfig {
  const settings = readConfig(Settings, env)
  return {
    listen: settings.BAILIWICK_LISTEN,
    listenSecond: settings.BAILIWICK_LISTEN_SECOND,
    keysDir: settings.BAILIWICK_KEYS_DIR,
    stateDir: settings.BAILIWICK_STATE_DIR,
    secretsFile: settings.BAILIWICK_SECRETS_FILE,
    unsealFd: settings.BAILIWICK_UNSEAL_FD,
  }
}
