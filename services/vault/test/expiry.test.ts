import { existsSync } from 'node:fs'
import type { StoredRestorePoint } from '@bailiwick/contracts/doors/vault'
import { neededBecause } from '../src/expiry.ts'
import { freshVault, newAccount, type FreshVault } from './helpers.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2026, 5, 1)
const account = newAccount()
const point = (kind: StoredRestorePoint['kind'], name: string, daysOld: number): StoredRestorePoint => ({
  account_id: account,
  kind,
  name,
  sha256: '0'.repeat(64),
  size_bytes: 1,
  created_at: NOW - daysOld * DAY,
})

describe('what recovery still needs', () => {
  const base = (daysOld: number) => point('base', `b${daysOld}`, daysOld)
  test.each([
    ['the only base, however old', base(400), [base(400)], true],
    ['the newest of two old bases', base(60), [base(60), base(90)], true],
    ['an older base that a covering one follows', base(90), [base(60), base(90)], false],
    ['an old base when the next one is too young to begin the window', base(40), [base(40), base(10)], true],
    ['an old base when the next one is exactly as old as the window', base(40), [base(40), base(30)], true],
    ['an old base when the next one covers window and copying', base(40), [base(40), base(31)], false],
    ['WAL after the oldest kept base', point('wal', 'w', 50), [base(60)], true],
    ['WAL from while the oldest kept base was copied', point('wal', 'w', 60.5), [base(60)], true],
    ['WAL from before every kept base', point('wal', 'w', 62), [base(60)], false],
    ['WAL of an account without a base', point('wal', 'w', 400), [], true],
    ['timeline history', point('wal', '00000002.history', 400), [base(60)], true],
    ['timeline history of a named cluster', point('wal', '00000002.history.7411', 400), [base(60)], true],
    ['a snapshot', point('snapshot', 'op.x', 31), [], false],
  ] as const)('%s', (_, item, bases, needed) => {
    expect(neededBecause(item, bases, NOW) !== null).toBe(needed)
  })
})

describe('the second door', () => {
  let vault: FreshVault
  beforeAll(async () => {
    vault = await freshVault(NOW)
  })
  afterAll(() => vault.close())

  test('expires a snapshot at 30 days by the vault’s own record, not a millisecond before', async () => {
    const ref = await vault.put({ account_id: account, kind: 'snapshot', name: 'op.a' }, 'a')
    vault.clock.advance(30 * DAY - 1)
    await expect(vault.reaper.expire(ref)).rejects.toMatchObject({ code: 'TOO_YOUNG' })
    expect(existsSync(vault.pathOf(ref))).toBe(true)
    vault.clock.advance(1)
    expect(await vault.reaper.expire(ref)).toEqual({ expired: true })
    expect(existsSync(vault.pathOf(ref))).toBe(false)
    expect(await vault.reaper.expire(ref)).toEqual({ expired: false })
    expect(await vault.keeper.list({ account_id: account, kind: 'snapshot' })).toEqual({ items: [] })
  })
  test('of two bases asked for at once, the one that covers the window stays, and its WAL with it', async () => {
    const owner = newAccount()
    const wal0 = await vault.put({ account_id: owner, kind: 'wal', name: 'w0' }, 'w0')
    vault.clock.advance(2 * DAY)
    const first = await vault.put({ account_id: owner, kind: 'base', name: 'b1' }, 'b1')
    vault.clock.advance(5 * DAY)
    const second = await vault.put({ account_id: owner, kind: 'base', name: 'b2' }, 'b2')
    const wal1 = await vault.put({ account_id: owner, kind: 'wal', name: 'w1' }, 'w1')
    vault.clock.advance(100 * DAY)
    const outcomes = await Promise.allSettled([vault.reaper.expire(second), vault.reaper.expire(first)])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(await vault.reaper.expire(wal0)).toEqual({ expired: true })
    await expect(vault.reaper.expire(second)).rejects.toMatchObject({ code: 'STILL_NEEDED' })
    await expect(vault.reaper.expire(wal1)).rejects.toMatchObject({ code: 'STILL_NEEDED' })
  })
  test('lists everything, once each, over pages', async () => {
    const before = await listAll(vault)
    const owners = [newAccount(), newAccount()]
    for (const owner of owners)
      await Promise.all(
        Array.from({ length: 300 }, (_, index) =>
          vault.put({ account_id: owner, kind: index % 2 ? 'wal' : 'snapshot', name: `n${index}` }, `${index}`),
        ),
      )
    const all = await listAll(vault)
    expect(new Set(all).size).toBe(all.length)
    expect(all.length - before.length).toBe(600)
  }, 60_000)
})

async function listAll(vault: FreshVault): Promise<string[]> {
  const names: string[] = []
  for (let after: string | null = null, first = true; first || after !== null; first = false) {
    const page: { items: StoredRestorePoint[]; next: string | null } = await vault.reaper.list_all({ after })
    names.push(...page.items.map(({ account_id, kind, name }) => `${account_id}/${kind}/${name}`))
    after = page.next
  }
  return names
}
