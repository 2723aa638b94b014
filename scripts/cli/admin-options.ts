// The options of ./bailiwick admin and what an act is given of them; each reader throws a sentence that names the option.
import { PRESETS, SCOPES } from '@bailiwick/contracts/scopes'
import type { AccountId } from '@bailiwick/kernel/ids'
import type { Layout } from '../embedded/layout.ts'
import type { Admin } from './admin-client.ts'
import { usageError } from './command.ts'

export const OPTIONS = {
  json: { type: 'boolean' },
  account: { type: 'string' },
  resource: { type: 'string' },
  database: { type: 'string' },
  name: { type: 'string' },
  'time-zone': { type: 'string' },
  tier: { type: 'string' },
  reason: { type: 'string' },
  scopes: { type: 'string' },
  days: { type: 'string' },
  address: { type: 'string', multiple: true },
  limit: { type: 'string' },
  to: { type: 'string' },
  'seen-since': { type: 'string' },
  email: { type: 'string' },
  sub: { type: 'string' },
  role: { type: 'string' },
  app: { type: 'string' },
  client: { type: 'string' },
} as const

export type OptionName = keyof typeof OPTIONS
export type TextOption = Exclude<OptionName, 'json' | 'address'>
export type Given = {
  readonly layout: Layout
  readonly admin: Admin
  /** The positional after the act's own words: a token's id. */
  readonly id: string | undefined
  /** Throws a sentence that names the option when it is missing. */
  need(name: TextOption): string
  find(name: TextOption): string | undefined
  account(): Promise<AccountId>
  accountIfGiven(): Promise<AccountId | null>
  readonly addresses: string[]
}
/** What is printed: `--json` prints `data`. */
export type Shown = { data: unknown; lines: readonly string[] }
export type Act = {
  readonly takes: readonly OptionName[]
  readonly takesId?: boolean
  run(given: Given): Promise<Shown>
}

export function readReason(need: Given['need']): string {
  const reason = need('reason')
  if (reason.trim().length < 3 || reason.length > 500)
    throw usageError('--reason must be 3 to 500 characters: it goes into the audit log')
  return reason
}

export function readScopes(text: string): string[] {
  if (Object.hasOwn(PRESETS, text)) return [...PRESETS[text as keyof typeof PRESETS]]
  const scopes = text.split(/[\s,]+/).filter(Boolean)
  const unknown = scopes.find((scope) => !SCOPES.includes(scope))
  if (unknown !== undefined || scopes.length === 0)
    throw usageError(
      `--scopes: "${unknown ?? text}" is no scope; a preset (${Object.keys(PRESETS).join(', ')}) or a list such as dns:read,dns:write`,
    )
  return scopes
}

/** A preset's name instead of its many scopes. */
export function nameScopes(scopes: readonly string[]): string {
  const preset = Object.entries(PRESETS).find(
    ([, all]) => all.length === scopes.length && all.every((scope) => scopes.includes(scope)),
  )
  return preset?.[0] ?? scopes.join(',')
}

export function readNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw usageError(`${option} must be a number from ${least} to ${most}, not "${text}"`)
  return value
}

export function readTime(option: string, text: string): number {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/.test(text) || Number.isNaN(Date.parse(text)))
    throw usageError(
      `${option} must be a time with an offset, such as ${new Date().toISOString().slice(0, 19)}Z, not "${text}"`,
    )
  return Date.parse(text)
}

export function readTimeZone(text: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone
  } catch {
    throw usageError(`--time-zone: "${text}" is no time zone; one such as Europe/Berlin`)
  }
}

export function readOneOf<T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((each) => each === text)
  if (found === undefined) throw usageError(`${option} must be one of ${known.join(', ')}, not "${text}"`)
  return found
}

export function readTokenId(text: string | undefined): string {
  if (text === undefined) throw usageError('this needs a token’s ID: ./bailiwick admin tokens list')
  if (!/^[0-9a-f-]{36}$/.test(text))
    throw usageError(`"${text}" is no token’s ID (it is not the token itself): ./bailiwick admin tokens list`)
  return text
}

/** As Keycloak keeps it: in small letters. It is also the user name. */
export function readEmail(text: string): string {
  const email = text.trim().toLowerCase()
  if (!/^[^\s@"(),:;<>[\\\]]+@[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(email) || email.length > 254)
    throw usageError(`--email: "${text}" is no e-mail address`)
  return email
}

export function readSub(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text))
    throw usageError(`--sub: "${text}" is no person’s id: ./bailiwick admin members list`)
  return text
}

export function readId<T>(
  parser: { safeParse(text: string): { success: boolean; data?: T } },
  option: string,
  text: string,
): T {
  const parsed = parser.safeParse(text)
  if (!parsed.success) throw usageError(`${option}: "${text}" is no id`)
  return parsed.data!
}

export const showTime = (ms: number | null): string =>
  ms === null ? '-' : `${new Date(ms).toISOString().slice(0, 19)}Z`
export const showDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
