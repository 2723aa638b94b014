import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'

const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

function start(env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  })
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return {
    child,
    output: () => output,
    line: async () => {
      while (!output.includes('\n')) await once(child.stdout, 'data')
      return JSON.parse(output.split('\n')[0]!) as { event: string; port: number }
    },
    exited: new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code))),
  }
}

test('the process refuses what is not public, and SIGTERM ends it and what is open', async () => {
  const egress = start({ BAILIWICK_LISTEN: '127.0.0.1:0' })
  const ready = await egress.line()
  expect(ready).toMatchObject({ event: 'ready' })
  const socket = net.connect(ready.port, '127.0.0.1')
  socket.write('CONNECT 169.254.169.254:443 HTTP/1.1\r\nHost: x\r\n\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 403 /)
  const idle = net.connect(ready.port, '127.0.0.1')
  await once(idle, 'connect')
  const closed = once(idle, 'close')
  egress.child.kill('SIGTERM')
  expect(await egress.exited).toBe(0)
  await closed
})

test('without an address to listen on it stops with 78, naming the setting', async () => {
  const egress = start({})
  expect(await egress.exited).toBe(78)
  expect(egress.output()).toContain('BAILIWICK_LISTEN')
})
