// The program as the supervisor runs it.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { TOKEN } from './gateway.ts'

const folder = mkdtempSync(`${tmpdir()}/bailiwick-gateway-`)
for (const callee of ['policy', 'steward'])
  writeFileSync(`${folder}/gateway-${callee}.key`, randomBytes(32).toString('hex'))
afterAll(() => rmSync(folder, { recursive: true }))

const GOOD = {
  BAILIWICK_LISTEN: '127.0.0.1:0',
  BAILIWICK_KEYS_DIR: folder,
  // Nobody listens there: the gateway must start all the same.
  BAILIWICK_POLICY_URL: 'http://127.0.0.1:1',
  BAILIWICK_STEWARD_URL: 'http://127.0.0.1:1',
  BAILIWICK_PUBLIC_URL: 'https://localhost:8443',
}

const start = (env: Record<string, string>): ChildProcess =>
  spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })

const exitOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once('exit', (code) => resolve(code)))

test('it starts without policy and steward, says 503 meanwhile, and ends cleanly on SIGTERM', async () => {
  const child = start(GOOD)
  const port = await new Promise<number>((resolve) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      const event = JSON.parse(chunk.toString().split('\n')[0]!) as { event: string; port: number }
      if (event.event === 'listening') resolve(event.port)
    })
  })
  expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200)
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/tools/whoami`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([503, 'POLICY_UNAVAILABLE'])
  child.kill('SIGTERM')
  expect(await exitOf(child)).toBe(0)
})

test.each([
  ['BAILIWICK_PUBLIC_URL', 'http://localhost:8443'],
  ['BAILIWICK_PUBLIC_URL', 'https://localhost:8443/mcp'],
  ['BAILIWICK_POLICY_URL', 'https://policy.example'],
  ['BAILIWICK_TRUSTED_HOPS', 'everybody'],
  ['BAILIWICK_LISTEN', '8401'],
])('a bad %s (%s) stops the start with 78 and names the setting', async (name, value) => {
  const child = start({ ...GOOD, [name]: value })
  let errors = ''
  child.stderr!.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  expect(await exitOf(child)).toBe(78)
  expect(errors).toContain(name)
  expect(errors).not.toContain(value)
})

test('a missing arrow key stops the start with 78', async () => {
  expect(await exitOf(start({ ...GOOD, BAILIWICK_KEYS_DIR: '/nonexistent' }))).toBe(78)
})
