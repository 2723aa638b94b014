// The egress proxy's settings; the only file of it that reads the environment. What it refuses is no setting.
import { z } from 'zod'
import { HostPort, readConfig } from '@bailiwick/kernel/config'

const Settings = z.object({
  BAILIWICK_LISTEN: HostPort,
  /** host:port of the resolver that is asked; absent: the system's. Whatever it answers is judged all the same. */
  BAILIWICK_DNS_RESOLVER: HostPort.transform(({ host, port }) => `${host}:${port}`).optional(),
})

export function loadConfig(env: NodeJS.ProcessEnv = process.env) {
  const settings = readConfig(Settings, env)
  return { listen: settings.BAILIWICK_LISTEN, resolver: settings.BAILIWICK_DNS_RESOLVER ?? null }
}
