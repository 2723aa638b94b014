import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'

const home = mkdtempSync(`${tmpdir()}/bailiwick-reaper-main-`)
mkdirSync(`${home}/state`)
for (const callee of ['keeper-purge', 'vault-expiry', 'audit'])
  writeFileSync(`${home}/reaper-${callee}.key`, randomBytes(32).toString('hex'))
const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(home, { recursive: true, force: true })
})

function start(changes: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      BAILIWICK_KEYS_DIR: home,
      BAILIWICK_STATE_DIR: `${home}/state`,
      BAILIWICK_KEEPER_PURGE_URL: 'http://127.0.0.1:1',
      BAILIWICK_VAULT_EXPIRY_URL: 'http://127.0.0.1:1',
      BAILIWICK_AUDIT_URL: 'http://127.0.0.1:1',
      ...changes,
    },
  })
  children.push(child)
  let output = ''
  const waiting: { text: string; resolve: () => void }[] = []
  const take = (chunk: Buffer): void => {
    output += chunk.toString()
    for (const { text, resolve } of waiting) if (output.includes(text)) resolve()
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  return {
    pid: child.pid!,
    says: (text: string) =>
      new Promise<void>((resolve) => (output.includes(text) ? resolve() : waiting.push({ text, resolve }))),
    exited: new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code))),
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    output: () => output,
  }
}

describe('the reaper’s process', () => {
  test('listens to nobody, outlives peers that are down, and ends at SIGTERM', async () => {
    const reaper = start()
    await reaper.says('round_failed')
    expect(listeningSockets(reaper.pid)).toEqual([])
    reaper.kill('SIGTERM')
    expect(await reaper.exited).toBe(0)
  })
  test.each([
    ['BAILIWICK_AUDIT_URL', { BAILIWICK_AUDIT_URL: undefined }],
    ['BAILIWICK_WINDOW_DAYS', { BAILIWICK_WINDOW_DAYS: '1' }],
    ['BAILIWICK_INTERVAL_SECONDS', { BAILIWICK_INTERVAL_SECONDS: '0' }],
    ['arrow key reaper-keeper-purge.key', { BAILIWICK_KEYS_DIR: '/nonexistent' }],
  ])('stops with 78 naming %s when it is bad', async (setting, change) => {
    const reaper = start(change)
    expect(await reaper.exited).toBe(78)
    expect(reaper.output()).toContain(setting)
  })
})

/** Sockets of this process in state LISTEN, by the kernel's tables. */
function listeningSockets(pid: number): string[] {
  const inodes = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
    } catch {
      return []
    }
  })
  const listening = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[3] === '0A')
      .map((columns) => columns[9]!),
  )
  return inodes.filter((inode) => listening.includes(inode))
}
