// ./bailiwick admin: the operator's acts, one row each: what it reads, what it asks policy, what it prints.
// Every act is in the audit log before it takes effect; that is policy's work, not this file's.
import { PRESETS, SCOPES } from '@bailiwick/contracts/scopes'
import { AccountId, ResourceId } from '@bailiwick/kernel/ids'
import { readLayout } from '../embedded/config.ts'
import type { Layout } from '../embedded/layout.ts'
import { PlainError } from '../embedded/plain-error.ts'
import { connectAdmin, explainFault, type Admin } from './admin-client.ts'
import { readOptions, print, table, usageError, type Command } from './command.ts'
import { restoreDatabase } from './restore-database.ts'

const HELP = `
usage: ./bailiwick admin ACT [OPTIONS] [--json]

  accounts list
  accounts create --name NAME [--time-zone ZONE]
  accounts tier --account ACCOUNT --tier none|sandbox|beta|full --reason WHY
  kill on|off --reason WHY                the kill switch: on, every call is refused at once
  kill status
  freeze on|off --account ACCOUNT [--resource ID] --reason WHY      read-only: one account, or one resource of it
  freeze list
  tokens create --account ACCOUNT --name NAME [--scopes read|standard|admin|SCOPE,SCOPE...] [--days 90] [--address CIDR]...
  tokens list [--account ACCOUNT]
  tokens pause|resume|revoke ID --reason WHY
  tokens revoke --seen-since TIME [--account ACCOUNT] --reason WHY  all that were used since a break-in
  operations [--account ACCOUNT] [--limit 50]
  restore-database --account ACCOUNT --database ID --to TIME --name NEW-NAME --reason WHY
                                          as it was at that second, into a new database; the old one is not touched

ACCOUNT is an account's id or its name. TIME is ISO 8601 with an offset, such as 2026-03-01T14:30:00Z.
The acts go to policy over a socket that only root can open, and are recorded in the audit log before they take effect.
`

const OPTIONS = {
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
} as const

type OptionName = keyof typeof OPTIONS
export type Given = {
  readonly layout: Layout
  readonly admin: Admin
  /** The positional after the act's own words: a token's id. */
  readonly id: string | undefined
  /** Throws a sentence that names the option when it is missing. */
  need(name: Exclude<OptionName, 'json' | 'address'>): string
  find(name: Exclude<OptionName, 'json' | 'address'>): string | undefined
  account(): Promise<AccountId>
  accountIfGiven(): Promise<AccountId | null>
  readonly addresses: string[]
}
/** What is printed: `--json` prints `data`. */
type Shown = { data: unknown; lines: readonly string[] }
type Act = { readonly takes: readonly OptionName[]; readonly takesId?: boolean; run(given: Given): Promise<Shown> }

const receiptLine = ({ receipt }: { receipt: number }, what: string): string => `${what} (entry ${receipt} of the log)`

const setKill =
  (on: boolean) =>
  async ({ admin, need }: Given): Promise<Shown> => {
    const data = await admin.kill({ on, reason: readReason(need) })
    return { data, lines: [receiptLine(data, `the kill switch is ${on ? 'on: every call is refused' : 'off'}`)] }
  }

const setFreeze =
  (on: boolean) =>
  async ({ admin, need, find, account }: Given): Promise<Shown> => {
    const resource = find('resource') === undefined ? null : readId(ResourceId, '--resource', need('resource'))
    const data = await admin.freeze({ account: await account(), resource, on, reason: readReason(need) })
    const what = resource ?? `account ${need('account')}`
    return {
      data,
      lines: [receiptLine(data, `${what} is ${on ? 'frozen: it can be read, not changed' : 'no longer frozen'}`)],
    }
  }

const setToken =
  (verb: 'pause' | 'resume') =>
  async ({ admin, need, id }: Given): Promise<Shown> => {
    const data = await admin[`tokens_${verb}`]({ id: readTokenId(id), reason: readReason(need) })
    return { data, lines: [receiptLine(data, `token ${id} is ${verb === 'pause' ? 'paused' : 'active again'}`)] }
  }

const ACTS: Readonly<Record<string, Act>> = {
  'accounts list': {
    takes: [],
    async run({ admin }) {
      const data = await admin.accounts_list({})
      const rows = data.accounts.map((row) => [
        row.id,
        row.name,
        row.tier,
        day(row.tier_since),
        row.frozen ? 'frozen' : '',
      ])
      return { data, lines: table([['account', 'name', 'tier', 'since', ''], ...rows]) }
    },
  },
  'accounts create': {
    takes: ['name', 'time-zone'],
    async run({ admin, need, find }) {
      const data = await admin.accounts_create({
        name: need('name'),
        time_zone: readTimeZone(find('time-zone') ?? 'UTC'),
      })
      return { data, lines: [`account ${data.id} ("${data.name}") is at tier ${data.tier}`] }
    },
  },
  'accounts tier': {
    takes: ['account', 'tier', 'reason'],
    async run({ admin, need, account }) {
      const tier = readOneOf('--tier', need('tier'), ['none', 'sandbox', 'beta', 'full'] as const)
      const data = await admin.accounts_tier({ account: await account(), tier, reason: readReason(need) })
      return { data, lines: [receiptLine(data, `account ${need('account')} is at tier ${tier}`)] }
    },
  },
  'kill on': { takes: ['reason'], run: setKill(true) },
  'kill off': { takes: ['reason'], run: setKill(false) },
  'kill status': {
    takes: [],
    async run({ admin }) {
      const data = await admin.kill_status({})
      return { data, lines: [data.on ? `on since ${time(data.since)}: ${data.reason ?? ''}` : 'off'] }
    },
  },
  'freeze on': { takes: ['account', 'resource', 'reason'], run: setFreeze(true) },
  'freeze off': { takes: ['account', 'resource', 'reason'], run: setFreeze(false) },
  'freeze list': {
    takes: [],
    async run({ admin }) {
      const data = await admin.freezes_list({})
      const rows = data.freezes.map((row) => [row.account, row.resource ?? 'all of it', time(row.since), row.reason])
      return {
        data,
        lines: rows.length > 0 ? table([['account', 'resource', 'since', 'reason'], ...rows]) : ['nothing is frozen'],
      }
    },
  },
  'tokens create': {
    takes: ['account', 'name', 'scopes', 'days', 'address'],
    async run({ admin, need, find, account, addresses }) {
      const data = await admin.tokens_create({
        account: await account(),
        name: need('name'),
        scopes: readScopes(find('scopes') ?? 'admin'),
        expires_in_days: readNumber('--days', find('days') ?? '90', 1, 366),
        addresses,
      })
      return {
        data,
        lines: [`token ${data.id}, valid until ${day(data.expires_at)}; it is shown only now:`, '', data.token],
      }
    },
  },
  'tokens list': {
    takes: ['account'],
    async run({ admin, accountIfGiven }) {
      const data = await admin.tokens_list({ account: await accountIfGiven() })
      const rows = data.tokens.map((row) => [
        row.id,
        row.name,
        row.state,
        row.last_used_at === null ? 'never' : time(row.last_used_at),
        day(row.expires_at),
        nameScopes(row.scopes),
      ])
      return { data, lines: table([['token', 'name', 'state', 'last used', 'expires', 'scopes'], ...rows]) }
    },
  },
  'tokens pause': { takes: ['reason'], takesId: true, run: setToken('pause') },
  'tokens resume': { takes: ['reason'], takesId: true, run: setToken('resume') },
  'tokens revoke': {
    takes: ['reason', 'seen-since', 'account'],
    takesId: true,
    async run({ admin, need, find, id, accountIfGiven }) {
      const since = find('seen-since')
      if ((since === undefined) === (id === undefined))
        throw usageError('tokens revoke takes either a token’s ID or --seen-since TIME')
      if (since === undefined) {
        const data = await admin.tokens_revoke({ id: readTokenId(id), reason: readReason(need) })
        return { data, lines: [receiptLine(data, `token ${id} is revoked`)] }
      }
      const seen_since = readTime('--seen-since', since)
      const data = await admin.tokens_revoke_seen_since({
        seen_since,
        account: await accountIfGiven(),
        reason: readReason(need),
      })
      return { data, lines: [receiptLine(data, `${data.revoked.length} tokens are revoked`), ...data.revoked] }
    },
  },
  operations: {
    takes: ['account', 'limit'],
    async run({ admin, find, accountIfGiven }) {
      const data = await admin.operations({
        account: await accountIfGiven(),
        limit: readNumber('--limit', find('limit') ?? '50', 1, 100),
      })
      const rows = data.operations.map((row) => [
        row.id,
        row.tool,
        time(row.created_at),
        time(row.undo_until),
        row.account,
      ])
      return { data, lines: table([['operation', 'tool', 'at', 'undo until', 'account'], ...rows]) }
    },
  },
  'restore-database': { takes: ['account', 'database', 'to', 'name', 'reason'], run: restoreDatabase },
}

export const admin: Command = {
  summary: 'accounts, tiers, kill switch, freeze, tokens, restore a database',
  help: HELP,
  async run(args) {
    const { values, positionals } = readOptions('admin', args, OPTIONS)
    const words = [positionals.slice(0, 2).join(' '), positionals[0] ?? ''].find((text) => Object.hasOwn(ACTS, text))
    if (words === undefined)
      throw usageError(
        positionals.length === 0
          ? 'admin needs to be told what to do: ./bailiwick help admin'
          : `there is no act "${positionals.join(' ')}": ./bailiwick help admin`,
      )
    const act = ACTS[words]!
    const [id, ...more] = positionals.slice(words.split(' ').length)
    if (more.length > 0 || (id !== undefined && act.takesId !== true))
      throw usageError(`"${more[0] ?? id}" is one word too many: ./bailiwick help admin`)
    const strange = (Object.keys(values) as OptionName[]).find((name) => name !== 'json' && !act.takes.includes(name))
    if (strange) throw usageError(`"${words}" takes no --${strange}: ./bailiwick help admin`)

    const layout = readLayout()
    const client = connectAdmin(layout)
    const find = (name: Exclude<OptionName, 'json' | 'address'>): string | undefined => values[name]
    const need = (name: Exclude<OptionName, 'json' | 'address'>): string => {
      const value = find(name)
      if (value === undefined) throw usageError(`"${words}" needs --${name}: ./bailiwick help admin`)
      return value
    }
    const account = (): Promise<AccountId> => findAccount(client, need('account'))
    try {
      const shown = await act.run({
        ...{ layout, admin: client, id, find, need, account, addresses: values.address ?? [] },
        accountIfGiven: async () => (values.account === undefined ? null : account()),
      })
      if (values.json) print(JSON.stringify(shown.data, null, 2))
      else for (const line of shown.lines) print(line)
      return 0
    } catch (error) {
      throw explainFault(error)
    } finally {
      client.close()
    }
  },
}

async function findAccount(client: Admin, text: string): Promise<AccountId> {
  const byId = AccountId.safeParse(text)
  if (byId.success) return byId.data
  const named = (await client.accounts_list({})).accounts.filter(({ name }) => name === text)
  if (named.length === 1) return named[0]!.id
  throw new PlainError(
    named.length === 0
      ? `there is no account "${text}": ./bailiwick admin accounts list`
      : `${named.length} accounts are called "${text}": use the id`,
  )
}

function readReason(need: Given['need']): string {
  const reason = need('reason')
  if (reason.trim().length < 3 || reason.length > 500)
    throw usageError('--reason must be 3 to 500 characters: it goes into the audit log')
  return reason
}

function readScopes(text: string): string[] {
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
function nameScopes(scopes: readonly string[]): string {
  const preset = Object.entries(PRESETS).find(
    ([, all]) => all.length === scopes.length && all.every((scope) => scopes.includes(scope)),
  )
  return preset?.[0] ?? scopes.join(',')
}

function readNumber(option: string, text: string, least: number, most: number): number {
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

function readTimeZone(text: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone
  } catch {
    throw usageError(`--time-zone: "${text}" is no time zone; one such as Europe/Berlin`)
  }
}

function readOneOf<T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((each) => each === text)
  if (found === undefined) throw usageError(`${option} must be one of ${known.join(', ')}, not "${text}"`)
  return found
}

function readTokenId(text: string | undefined): string {
  if (text === undefined) throw usageError('this needs a token’s ID: ./bailiwick admin tokens list')
  if (!/^[0-9a-f-]{36}$/.test(text))
    throw usageError(`"${text}" is no token’s ID (it is not the token itself): ./bailiwick admin tokens list`)
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

const time = (ms: number | null): string => (ms === null ? '-' : `${new Date(ms).toISOString().slice(0, 19)}Z`)
const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
