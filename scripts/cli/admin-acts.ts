// The operator's acts, one row each: what it takes, what it asks policy, what it prints. Every act is in the audit log before
// it takes effect; that is policy's work, not this file's.
import { ResourceId } from '@bailiwick/kernel/ids'
import {
  nameScopes,
  readId,
  readNumber,
  readOneOf,
  readReason,
  readScopes,
  readTime,
  readTimeZone,
  readTokenId,
  showDay,
  showTime,
  type Act,
  type Given,
  type Shown,
} from './admin-options.ts'
import { PEOPLE_ACTS } from './admin-people.ts'
import { table, usageError } from './command.ts'
import { restoreDatabase } from './restore-database.ts'

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

export const ACTS: Readonly<Record<string, Act>> = {
  'accounts list': {
    takes: [],
    async run({ admin }) {
      const data = await admin.accounts_list({})
      const rows = data.accounts.map((row) => [
        row.id,
        row.name,
        row.tier,
        showDay(row.tier_since),
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
      return { data, lines: [data.on ? `on since ${showTime(data.since)}: ${data.reason ?? ''}` : 'off'] }
    },
  },
  'freeze on': { takes: ['account', 'resource', 'reason'], run: setFreeze(true) },
  'freeze off': { takes: ['account', 'resource', 'reason'], run: setFreeze(false) },
  'freeze list': {
    takes: [],
    async run({ admin }) {
      const data = await admin.freezes_list({})
      const rows = data.freezes.map((row) => [
        row.account,
        row.resource ?? 'all of it',
        showTime(row.since),
        row.reason,
      ])
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
        scopes: readScopes(find('scopes') ?? 'standard'),
        expires_in_days: readNumber('--days', find('days') ?? '90', 1, 366),
        addresses,
      })
      return {
        data,
        lines: [`token ${data.id}, valid until ${showDay(data.expires_at)}; it is shown only now:`, '', data.token],
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
        row.last_used_at === null ? 'never' : showTime(row.last_used_at),
        showDay(row.expires_at),
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
  ...PEOPLE_ACTS,
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
        showTime(row.created_at),
        showTime(row.undo_until),
        row.account,
      ])
      return { data, lines: table([['operation', 'tool', 'at', 'undo until', 'account'], ...rows]) }
    },
  },
  'restore-database': { takes: ['account', 'database', 'to', 'name', 'reason'], run: restoreDatabase },
}
