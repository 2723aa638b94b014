// Who calls and what was done: own data only.
import type { OpenedEntry } from '@bailiwick/contracts/doors/audit'
import getProfile from '../../../src/tools/profile/get_profile.ts'
import listMyActivity from '../../../src/tools/profile/list_my_activity.ts'
import whoami from '../../../src/tools/profile/whoami.ts'
import { openWorkshop } from '../harness.ts'

test('whoami gives effective scopes, tier, expiry and what is left of the day', async () => {
  const workshop = openWorkshop()
  const { output } = await workshop.call(whoami, {})
  expect(output).toEqual({
    account: { id: workshop.account, name: 'Demo' },
    tier: 'beta',
    scopes: ['databases:read', 'databases:write'],
    token: {
      name: 'laptop',
      principal: workshop.permit.principal,
      expires_at: '2027-01-15T08:00:00.000Z',
      last_used_at: null,
    },
    limits: { changes_today: 3, changes_per_day: 500, changes_left_today: 497 },
  })
})

test('get_profile gives the account', async () => {
  const { output } = await openWorkshop().call(getProfile, {})
  expect(output).toMatchObject({ name: 'Demo', tier: 'beta', time_zone: 'UTC', created_at: '1970-01-01T00:00:00.000Z' })
})

const entry = (index: number, principal: string): OpenedEntry => ({
  index,
  time: index * 1000,
  leaf_hash: 'x',
  leaf: { kind: 'call', tool: 'whoami', decision: 'allow', code: null, status: 200, operation_id: null },
  personal: {
    principal,
    user: 'a person',
    token: 'a token hash',
    address: '192.0.2.9',
    agent: 'agent\u001b[31m',
    input: { name: 'shop', sql: { sha256: 'ab' } },
    why: 'a secret reason',
  },
})

test('activity shows address, agent and redacted input of the caller’s own entries, and of nobody else', async () => {
  const workshop = openWorkshop()
  const context = {
    ...workshop.context(),
    activity: async () => ({
      entries: [entry(9, workshop.permit.principal), entry(8, 'pat:other')],
      next_before: null,
    }),
  }
  const { entries } = await listMyActivity.handle(context, { limit: 50 })
  expect(entries[0]).toMatchObject({
    index: 9,
    by_me: true,
    address: '192.0.2.9',
    agent: 'agent',
    input: { name: 'shop', sql: { sha256: 'ab' } },
  })
  expect(entries[1]).toMatchObject({ index: 8, by_me: false, address: null, agent: null, input: null })
  for (const personal of ['a person', 'a token hash', 'a secret reason', 'pat:other'])
    expect(JSON.stringify(entries)).not.toContain(personal)
})

test('an entry whose opening was destroyed still shows what the leaf says', async () => {
  const context = {
    ...openWorkshop().context(),
    activity: async () => ({ entries: [{ ...entry(1, 'x'), personal: null }], next_before: null }),
  }
  const { entries } = await listMyActivity.handle(context, { limit: 50 })
  expect(entries).toMatchObject([{ index: 1, tool: 'whoami', input: null, address: null }])
})

test('pages of activity join, and the tool filter is handed on', async () => {
  const workshop = openWorkshop()
  const asked: unknown[] = []
  const context = {
    ...workshop.context(),
    activity: async (query: { before: number | null; limit: number; tool: string | null }) => {
      asked.push(query)
      const from = (query.before ?? 5) - 1
      const page = Array.from({ length: Math.min(query.limit, from) }, (_, n) => entry(from - n, 'x'))
      const last = page.at(-1)!.index
      return { entries: page, next_before: last > 1 ? last : null }
    },
  }
  const seen: number[] = []
  let cursor: string | null = null
  do {
    const page: { entries: { index: number }[]; next_cursor: string | null } = await listMyActivity.handle(context, {
      limit: 2,
      tool: 'whoami',
      ...(cursor ? { cursor } : {}),
    })
    seen.push(...page.entries.map(({ index }) => index))
    cursor = page.next_cursor
  } while (cursor)
  expect(seen).toEqual([4, 3, 2, 1])
  expect(asked[0]).toEqual({ before: null, limit: 2, tool: 'whoami' })
})
