// The gateway's settings: the only file that reads the environment.
import { BlockList, isIP, isIPv6 } from 'node:net'
import { z } from 'zod'
import { HostPort, readConfig } from '@bailiwick/kernel/config'

const words = z.string().transform((text) => text.split(/[\s,]+/).filter((word) => word !== ''))
const DoorUrl = z.string().regex(/^http:\/\/[\w.-]+:\d{1,5}$/, 'is not http://host:port')

const Settings = z.object({
  BAILIWICK_LISTEN: HostPort,
  BAILIWICK_KEYS_DIR: z.string().min(1),
  BAILIWICK_POLICY_URL: DoorUrl,
  BAILIWICK_STEWARD_URL: DoorUrl,
  /** What agents type: scheme, host and port, no path. `/mcp` hangs off it and is the audience of every token. */
  BAILIWICK_PUBLIC_URL: z
    .string()
    .regex(/^https:\/\/[^\s/?#@]+$/, 'is not https://host[:port] without a path')
    .transform((text) => new URL(text)),
  /** Further host names that may be asked for (loopback names for tools on the same machine). */
  BAILIWICK_LOCAL_NAMES: words.prefault('localhost 127.0.0.1 [::1]'),
  /** The authorization server that issues tokens for `/mcp`. Without one there are personal tokens only. */
  BAILIWICK_ISSUER: z
    .string()
    .regex(/^https:\/\/[^\s?#@]+$/, 'is not https://host[:port]/path')
    .optional(),
  /** Where to report a vulnerability: makes /.well-known/security.txt (RFC 9116). */
  BAILIWICK_SECURITY_CONTACT: z
    .string()
    .regex(/^(mailto:[^\s@]+@[^\s@]+|https:\/\/\S+)$/, 'is neither mailto:... nor https://...')
    .optional(),
  /** Addresses of the edge: only from them is X-Forwarded-For believed. */
  BAILIWICK_TRUSTED_HOPS: words
    .prefault('127.0.0.1 ::1')
    .refine((hops) => hops.every((hop) => isIP(hop) !== 0), 'holds something that is not an address'),
  /** As many as a door's client has sockets (door.ts): beyond, calls would queue unseen in front of the steward. */
  BAILIWICK_MAX_IN_FLIGHT: z.coerce.number().int().min(1).max(10_000).default(128),
  /** Streams of subscriptions/listen. Each waits on a socket of its own at policy, and a door's client has 128. */
  BAILIWICK_MAX_STREAMS: z.coerce.number().int().min(0).max(128).default(100),
})

export type Config = z.infer<typeof Settings>

export const loadConfig = (env: NodeJS.ProcessEnv = process.env): Config => readConfig(Settings, env)

export function trustHops(hops: readonly string[]): BlockList {
  const list = new BlockList()
  for (const hop of hops) list.addAddress(hop, isIPv6(hop) ? 'ipv6' : 'ipv4')
  return list
}
