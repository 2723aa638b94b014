// Reading settings. A missing, default or weak one stops the start: exit 78 (EX_CONFIG), naming the setting, never its value.
import { readFileSync } from 'node:fs'
import { z } from 'zod'

export const EXIT_CONFIG = 78

export class ConfigError extends Error {
  constructor(setting: string, problem: string) {
    super(`setting ${setting}: ${problem}`)
    this.name = 'ConfigError'
  }
}

/** Parses `env` with `schema` (its keys are the settings' names). Throws ConfigError naming the first bad setting. */
export function readConfig<T extends z.ZodType>(schema: T, env: NodeJS.ProcessEnv): z.infer<T> {
  const parsed = schema.safeParse(env)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  throw new ConfigError(issue.path.join('.'), env[String(issue.path[0])] === undefined ? 'is missing' : issue.message)
}

const KEY = /^[0-9a-f]{64}$/

/** A key of at least 32 random bytes, in hex. Constant or repeating keys are refused: they are somebody's placeholder. */
export function requireStrongKey(setting: string, hex: string | undefined): Buffer {
  if (hex === undefined || hex === '') throw new ConfigError(setting, 'is missing')
  if (!KEY.test(hex)) throw new ConfigError(setting, 'is not 64 hex digits')
  if (new Set(hex.match(/../g)).size < 12) throw new ConfigError(setting, 'is not random')
  return Buffer.from(hex, 'hex')
}

/** The key of one arrow: `<dir>/<caller>-<callee>.key`, readable by those two services only. */
export function readArrowKey(dir: string, caller: string, callee: string): Buffer {
  const name = `${caller}-${callee}.key`
  let text: string
  try {
    text = readFileSync(`${dir}/${name}`, 'utf8').trim()
  } catch {
    throw new ConfigError(`arrow key ${name}`, 'cannot be read')
  }
  return requireStrongKey(`arrow key ${name}`, text)
}

/** `127.0.0.1:8402` -> { host, port }. */
export const HostPort = z
  .string()
  .regex(/^[\w.-]+:\d{1,5}$/, 'is not host:port')
  .transform((text) => ({
    host: text.slice(0, text.lastIndexOf(':')),
    port: Number(text.slice(text.lastIndexOf(':') + 1)),
  }))

/** A server's address with the password in it: with a connection string, pg does not look at a password beside it. */
export function withPassword(url: string, password: string): string {
  const address = new URL(url)
  address.password = encodeURIComponent(password)
  return address.href
}

/** Runs a service's `main`; a ConfigError ends the process with 78, anything else with 1. */
export async function runMain(service: string, main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    const config = error instanceof ConfigError
    process.stderr.write(
      `${service}: ${error instanceof Error ? (config ? error.message : error.stack) : String(error)}\n`,
    )
    process.exit(config ? EXIT_CONFIG : 1)
  }
}
