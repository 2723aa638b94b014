// The keeper's settings. The only file here that reads the environment.
import { z } from 'zod'
import { HostPort, readConfig } from '@bailiwick/kernel/config'

const PortRange = z
  .string()
  .regex(/^\d{1,5}-\d{1,5}$/, 'is not first-last')
  .transform((text) => ({ first: Number(text.split('-')[0]), last: Number(text.split('-')[1]) }))
  .refine(({ first, last }) => first > 0 && first <= last && last < 65_536, 'is not a range of ports')

const Settings = z.object({
  BAILIWICK_LISTEN: HostPort,
  BAILIWICK_LISTEN_SECOND: HostPort,
  BAILIWICK_KEYS_DIR: z.string().min(1),
  BAILIWICK_STATE_DIR: z.string().startsWith('/', 'is not an absolute path'),
  BAILIWICK_SECRETS_FILE: z.string().min(1),
  BAILIWICK_UNSEAL_FD: z.coerce.number().int().min(0).default(3),
  BAILIWICK_VAULT_URL: z.url(),
  BAILIWICK_POWERDNS_URL: z.url(),
  BAILIWICK_CLUSTER_PORTS: PortRange,
  /** What clients are told to connect to. The clusters listen on loopback only. */
  BAILIWICK_CLUSTER_HOST: z.string().min(1).default('127.0.0.1'),
  /** host:port of the resolver that is asked whether a domain's owner proved it; absent: the system's. */
  BAILIWICK_DNS_RESOLVER: HostPort.transform(({ host, port }) => `${host}:${port}`).optional(),
  /** Origin of the HTTP proxy that is the only way out for HTTPS. */
  BAILIWICK_EGRESS_URL: z.url({ protocol: /^http$/ }),
  /** What new zones name as their servers, separated by commas. */
  BAILIWICK_NAME_SERVERS: z
    .string()
    .transform((text) => text.split(',').map((name) => name.trim()))
    .optional(),
})
export type Config = z.infer<typeof Settings>

export const loadConfig = (env: NodeJS.ProcessEnv = process.env): Config => readConfig(Settings, env)
