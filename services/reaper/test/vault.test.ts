// The reaper's rounds against a real vault on its second door, with WAL and base backups as they come.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { vaultDoor, vaultExpiryDoor } from '@bailiwick/contracts/doors/vault'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import { fakeClock } from '@bailiwick/kernel/clock'
import { connectDoor } from '@bailiwick/kernel/door'
import { AccountId, uuidv7 } from '@bailiwick/kernel/ids'
import { silentLogger } from '@bailiwick/kernel/logger'
import { startVault } from '../../vault/src/service.ts'
import { DAY, fakeWorld, reaperOn, START } from './helpers.ts'

test('over 100 days the vault keeps every second of the last 30 recoverable, and loses what is older', async () => {
  const stateDir = mkdtempSync(`${tmpdir()}/bailiwick-reaper-vault-`)
  const clock = fakeClock(START)
  const keys = { keeper: randomBytes(32), steward: randomBytes(32), reaper: randomBytes(32) }
  const loopback = { host: '127.0.0.1', port: 0 }
  const vault = await startVault({
    stateDir,
    atRestKey: randomBytes(32),
    keys,
    listen: loopback,
    listenSecond: loopback,
    clock,
    logger: silentLogger,
  })
  const keeper = connectDoor({
    door: vaultDoor,
    url: `http://127.0.0.1:${vault.port}`,
    caller: 'keeper',
    key: keys.keeper,
  })
  const expiry = connectDoor({
    door: vaultExpiryDoor,
    url: `http://127.0.0.1:${vault.secondPort}`,
    caller: 'reaper',
    key: keys.reaper,
  })
  const world = fakeWorld()
  const reaper = reaperOn({ ...world.doors, vault: expiry }, { clock })
  const account = AccountId.parse(uuidv7())
  const put = async (kind: 'snapshot' | 'base' | 'wal', name: string): Promise<void> => {
    await keeper.create({ account_id: account, kind, name, sha256: sha256Hex(name) }, Buffer.from(name))
  }
  const kept = async (kind: 'snapshot' | 'base' | 'wal'): Promise<number[]> => {
    const { items } = await keeper.list({ account_id: account, kind })
    return items.map(({ created_at }) => (created_at - START) / DAY).sort((a, b) => a - b)
  }
  try {
    const operation = uuidv7(START)
    world.intents.set(operation, { time: START, account, tool: 'delete_database' })
    await put('snapshot', `${operation}.db`)
    for (let day = 0; day < 100; day += 1) {
      // A base each week, WAL twice a day.
      if (day % 7 === 0) await put('base', `base${day}`)
      await put('wal', `wal${day}a`)
      await reaper.round()
      reaper.pass(DAY / 2)
      await put('wal', `wal${day}b`)
      expect((await reaper.round()).failed).toBe(0)
      reaper.pass(DAY / 2)

      const bases = await kept('base')
      const wal = await kept('wal')
      const windowStart = Math.max(0, day - 30)
      // The newest base from before the window, and all WAL since: that is what recovery to its first second needs.
      const from = bases.filter((base) => base <= windowStart).at(-1)
      expect(from).toBeDefined()
      const needed = Array.from({ length: 2 * (day + 1) }, (_, half) => half / 2).filter((time) => time >= from!)
      expect(wal).toEqual(expect.arrayContaining(needed))
    }
    expect((await kept('base')).length).toBeLessThanOrEqual(8)
    expect((await kept('wal'))[0]).toBeGreaterThan(45)
    expect(await kept('snapshot')).toEqual([])
    const entries = world.log.filter(({ status }) => status === null)
    expect(entries.every(({ account: of }) => of === account)).toBe(true)
    expect(entries.find(({ personal }) => personal.resource_kind === 'snapshot')).toMatchObject({
      operation_id: operation,
    })
    // Per survey one entry for all WAL, not one for each segment.
    expect(entries.filter(({ personal }) => personal.resource_kind === 'wal').length).toBeLessThan(60)
  } finally {
    keeper.close()
    expiry.close()
    await vault.close()
    reaper.remove()
    rmSync(stateDir, { recursive: true, force: true })
  }
}, 120_000)
