// The archive command as PostgreSQL runs it: zero only when the vault has the segment.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { vaultDoor } from '@bailiwick/contracts/doors/vault'
import { systemClock } from '@bailiwick/kernel/clock'
import { connectDoor } from '@bailiwick/kernel/door'
import { silentLogger } from '@bailiwick/kernel/logger'
import { startVault } from '../../vault/src/service.ts'
import { newAccount } from './harness.ts'

const SCRIPT = new URL('../src/archive-wal.ts', import.meta.url).pathname
const SEGMENT = '000000010000000000000001'
const account_id = newAccount()
const key = randomBytes(32)
const folder = mkdtempSync(`${tmpdir()}/bailiwick-archive-`)
const bytes = Buffer.concat([randomBytes(1000), Buffer.alloc(1_000_000)])
let vault: Awaited<ReturnType<typeof startVault>>

beforeAll(async () => {
  writeFileSync(`${folder}/segment`, bytes)
  vault = await startVault({
    stateDir: `${folder}/vault`,
    atRestKey: randomBytes(32),
    keys: { keeper: key, steward: randomBytes(32), reaper: randomBytes(32) },
    listen: { host: '127.0.0.1', port: 0 },
    listenSecond: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    logger: silentLogger,
  })
})
afterAll(async () => {
  await vault.close()
  rmSync(folder, { recursive: true, force: true })
})

const archive = (more: object = {}): Promise<number | null> => {
  const url = `http://127.0.0.1:${vault.port}`
  writeFileSync(
    `${folder}/archive.json`,
    JSON.stringify({ vault_url: url, key: key.toString('hex'), account_id, system_id: '42', ...more }),
  )
  const child = spawn(process.execPath, [SCRIPT, `${folder}/archive.json`, `${folder}/segment`, SEGMENT], {
    stdio: 'ignore',
  })
  return new Promise((resolve) => child.once('exit', resolve))
}

test('an acknowledged segment is in the vault, once, and a repeat is acknowledged again', async () => {
  expect(await archive()).toBe(0)
  expect(await archive()).toBe(0)
  const door = connectDoor({ door: vaultDoor, url: `http://127.0.0.1:${vault.port}`, caller: 'keeper', key })
  const { items } = await door.list({ account_id, kind: 'wal', prefix: SEGMENT })
  expect(items.map(({ name }) => name)).toEqual([`${SEGMENT}.42`])
  const { name, sha256 } = items[0]!
  expect(gunzipSync(await buffer(await door.read({ account_id, kind: 'wal', name, sha256 })))).toEqual(bytes)
  door.close()
})

test.each([
  ['the vault is away', { vault_url: 'http://127.0.0.1:1' }],
  ['the vault refuses the key', { key: randomBytes(32).toString('hex') }],
  ['the vault refuses the name', { system_id: '../x' }],
])('PostgreSQL keeps the segment when %s', async (_why, more) => {
  expect(await archive(more)).not.toBe(0)
})
