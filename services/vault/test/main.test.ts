import { createHash, randomBytes } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { vaultDoor } from '@bailiwick/contracts/doors/vault'
import { connectDoor } from '@bailiwick/kernel/door'
import { newAccount, refOf, vaultHome } from './helpers.ts'

const homes: ReturnType<typeof vaultHome>[] = []
const fresh = () => {
  const home = vaultHome()
  homes.push(home)
  return home
}
afterAll(() => homes.forEach((home) => home.remove()))
const connect = (port: number, key: Buffer) =>
  connectDoor({ door: vaultDoor, url: `http://127.0.0.1:${port}`, caller: 'keeper', key, timeoutMs: 60_000 })

describe('the vault’s process', () => {
  test('killed in the middle of an upload leaves no object, cleans up at its next start, and takes the upload then', async () => {
    const home = fresh()
    const first = await home.start()
    const vault = connect(first.ports!.port, home.key)
    const bytes = randomBytes(8_000_000)
    const ref = refOf(newAccount(), 'base', 'label', bytes)
    const kept = refOf(ref.account_id, 'wal', 'kept', 'kept')
    await vault.create(kept, Buffer.from('kept'))
    const half = Readable.from(
      (async function* () {
        yield bytes.subarray(0, 4_000_000)
        // The vault has written a part: now it dies, with the upload open.
        await untilWritten(`${home.stateDir}/incoming`)
        first.child.kill('SIGKILL')
        await first.exited
      })(),
    )
    await expect(vault.create(ref, half)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
    expect(readdirSync(`${home.stateDir}/incoming`)).toHaveLength(1)
    vault.close()

    const second = await home.start()
    const again = connect(second.ports!.port, home.key)
    expect(readdirSync(`${home.stateDir}/incoming`)).toEqual([])
    await expect(again.read(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_ABSENT' })
    expect(await again.verify(kept)).toEqual({ ok: true })
    expect(await again.create(ref, bytes)).toMatchObject({ created: true })
    expect(await again.verify(ref)).toEqual({ ok: true })
    again.close()
    second.child.kill('SIGTERM')
    expect(await second.exited).toBe(0)
  })

  test('streams 200 MB in and out with bounded memory', async () => {
    const home = fresh()
    const { child, ports } = await home.start()
    const vault = connect(ports!.port, home.key)
    const part = randomBytes(1_000_000)
    const hash = createHash('sha256')
    for (let index = 0; index < 200; index += 1) hash.update(part)
    const ref = { ...refOf(newAccount(), 'base', 'big', ''), sha256: hash.digest('hex') }
    const source = Readable.from(
      (function* () {
        for (let index = 0; index < 200; index += 1) yield part
      })(),
    )
    const before = peakMemoryBytes(child.pid!)
    expect(await vault.create(ref, source)).toEqual({ created: true, size_bytes: 200_000_000 })
    let size = 0
    for await (const chunk of await vault.read(ref)) size += (chunk as Buffer).length
    expect(size).toBe(200_000_000)
    expect(peakMemoryBytes(child.pid!) - before).toBeLessThan(140_000_000)
    vault.close()
  }, 120_000)

  // A file system of 2 MB that only this child sees and that goes away with it. Needs root; CI has it.
  const smallDisk = (folder: string) => [
    'unshare',
    '--mount',
    'sh',
    '-c',
    `mount -t tmpfs -o size=2m none ${folder} && exec "$@"`,
    'sh',
  ]
  const mayMount = spawnSync('unshare', [...smallDisk('/mnt').slice(1), 'true']).status === 0
  const whenMayMount = mayMount ? test : test.skip
  whenMayMount('answers VAULT_FULL when the disk is full, and leaves nothing half written', async () => {
    const home = fresh()
    const { child, exited, ports } = await home.start({}, smallDisk(home.stateDir))
    const vault = connect(ports!.port, home.key)
    const big = randomBytes(3_000_000)
    const account = newAccount()
    await expect(vault.create(refOf(account, 'base', 'big', big), big)).rejects.toMatchObject({ code: 'VAULT_FULL' })
    const small = randomBytes(1_000_000)
    expect(await vault.create(refOf(account, 'base', 'small', small), small)).toMatchObject({ created: true })
    vault.close()
    child.kill('SIGTERM')
    expect(await exited).toBe(0)
  })

  test.each([
    ['BAILIWICK_LISTEN', { BAILIWICK_LISTEN: undefined }],
    ['BAILIWICK_UNSEAL_FD', { BAILIWICK_UNSEAL_FD: '9' }],
    ['BAILIWICK_STATE_DIR', { BAILIWICK_STATE_DIR: '' }],
    ['arrow key keeper-vault.key', { BAILIWICK_KEYS_DIR: '/nonexistent' }],
  ])('stops with 78 naming %s when it is bad', async (setting, change) => {
    const { exited, output } = await fresh().start(change)
    expect(await exited).toBe(78)
    expect(output()).toContain(setting)
  })
})

/** The most memory that the process ever held, by the kernel's own record. */
function peakMemoryBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) * 1024
}

async function untilWritten(folder: string): Promise<void> {
  // Polling a folder of another process: there is no event to wait for.
  const size = (): number => {
    const listed = spawnSync('du', ['-sb', folder], { encoding: 'utf8' })
    return Number(listed.stdout.split('\t')[0])
  }
  while (size() < 1_000_000) await new Promise((resolve) => setImmediate(resolve))
}
