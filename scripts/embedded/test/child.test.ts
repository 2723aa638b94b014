import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createServer } from 'node:net'
import { superviseChild, type Part, type Supervised } from '../child.ts'
import { endSession } from '../leftovers.ts'
import { fillTemplate } from '../server-configs.ts'
import { openLog, lastLines } from '../log-file.ts'
import { isAlive, nameOf, portHolder, sessionMembers } from '../processes.ts'
import { stopOrder } from '../plan.ts'

const uid = process.getuid!()
let folder: string
let running: Supervised[] = []
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/bailiwick-child-`)
})
afterEach(async () => {
  await Promise.all(running.map((each) => each.stop()))
  running = []
  rmSync(folder, { recursive: true, force: true })
})

const base: Omit<Part, 'command'> = {
  name: 'part',
  uid,
  ports: [],
  health: { kind: 'alive' },
  needs: [],
  env: { PATH: '/usr/bin:/bin' },
  stopSignal: 'SIGTERM',
  stopWithinMs: 2_000,
}

/** Supervises a shell script; `until` resolves when the supervisor has said something that fits. */
function supervise(
  script: string,
  more: Partial<Part> = {},
): { child: Supervised; until: (pattern: RegExp) => Promise<string>; changes: () => number } {
  const said: string[] = []
  let heard: () => void = () => undefined
  let changes = 0
  const child = superviseChild({
    part: { ...base, command: () => ['sh', ['-c', script]], ...more },
    logFile: `${folder}/part.log`,
    say: (line) => {
      said.push(line)
      heard()
    },
    onChange: () => {
      changes += 1
    },
  })
  running.push(child)
  const until = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const found = said.find((line) => pattern.test(line))
      if (found !== undefined) return found
      await new Promise<void>((resolve) => {
        heard = resolve
      })
    }
  }
  return { child, until, changes: () => changes }
}

test('a part that dies is started again', async () => {
  const { child, until } = supervise('exec sleep 1000')
  child.start()
  await child.healthy
  const first = child.status().pid!
  process.kill(first, 'SIGKILL')
  expect(await until(/died/)).toMatch(/killed by SIGKILL.*again in 0.2 s/)
  const deadline = Date.now() + 5_000
  while (child.status().pid === null && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
  expect(child.status()).toMatchObject({ restarts: 1, last_exit: 'killed by SIGKILL' })
  expect(child.status().pid).not.toBe(first)
})

test('a part that dies five times is named a crash loop, with its last log lines', async () => {
  const { child, until } = supervise('echo "cannot open the door"; exit 3')
  child.start()
  expect(await until(/crash loop/)).toMatch(/part is in a crash loop \(exit 3\)/)
  expect(child.status()).toMatchObject({
    health: 'crash loop',
    restarts: 4,
    last_lines: Array(5).fill('cannot open the door'),
  })
}, 15_000)

test('what a dead part left behind is ended before it is started again', async () => {
  const { child, until } = supervise('sleep 1000 & sleep 1001 & exec sleep 1002')
  child.start()
  await child.healthy
  const leader = nameOf(child.status().pid!)!
  const deadline = Date.now() + 5_000
  while (sessionMembers(leader, uid).length < 3 && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 10))
  expect(sessionMembers(leader, uid)).toHaveLength(3)
  process.kill(leader.pid, 'SIGKILL')
  await until(/died/)
  expect(sessionMembers(leader, uid)).toEqual([])
})

test('stopping ends everything that belongs to the part, also what ignores the signal', async () => {
  const { child } = supervise(
    "trap '' TERM; sh -c \"trap '' TERM; while :; do sleep 1; done\" & while :; do sleep 1; done",
    { stopWithinMs: 300 },
  )
  child.start()
  await child.healthy
  const leader = nameOf(child.status().pid!)!
  await child.stop()
  expect(isAlive(leader)).toBe(false)
  expect(sessionMembers(leader, uid)).toEqual([])
  expect(child.status().health).toBe('stopped')
}, 20_000)

test('a stranger that got the pid of a part’s session is not touched', async () => {
  const { child } = supervise('exec sleep 1000')
  child.start()
  await child.healthy
  const pid = child.status().pid!
  const recorded = { pid, startTime: 'another boot/1' }
  expect(isAlive(recorded)).toBe(false)
  await endSession(recorded, uid)
  expect(isAlive(nameOf(pid)!)).toBe(true)
})

test('the unsealing key reaches the part on descriptor 3 and is in neither its environment nor its arguments', async () => {
  const { child } = supervise('read key <&3; echo "got $key"; tr "\\0" "\\n" </proc/self/environ; exec sleep 1000', {
    unsealKey: 'k3y',
  })
  child.start()
  await child.healthy
  const log = `${folder}/part.log`
  const deadline = Date.now() + 5_000
  while (!readFileSync(log, 'utf8').includes('PATH=') && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20))
  expect(lastLines(log, 10).filter((line) => line.includes('k3y'))).toEqual(['got k3y'])
})

test('who holds a port is found', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  expect(portHolder(port)).toMatch(new RegExp(`, pid ${process.pid}$`))
  await new Promise((resolve) => server.close(resolve))
  expect(portHolder(port)).toBeNull()
})

test('a log is rotated by size and three old ones are kept', () => {
  const log = openLog(`${folder}/part.log`, 100)
  for (let index = 0; index < 20; index += 1) log.write(`line ${index} ${'x'.repeat(50)}\n`)
  log.close()
  expect(lastLines(`${folder}/part.log`, 1)[0]).toContain('line 19')
  expect(lastLines(`${folder}/part.log.3`, 1)[0]).toContain('line 16')
  expect(lastLines(`${folder}/part.log.4`, 1)).toEqual([])
})

test('nothing is stopped before what needs it', () => {
  const part = (name: string, ...needs: string[]): Part => ({ ...base, name, needs, command: () => ['true', []] })
  const groups = stopOrder([
    part('postgres'),
    part('audit', 'postgres'),
    part('policy', 'postgres', 'audit'),
    part('valkey'),
  ])
  expect(groups.map((group) => group.map(({ name }) => name))).toEqual([['policy', 'valkey'], ['audit'], ['postgres']])
})

test('a template’s name without a value is refused, and comments are left alone', () => {
  expect(fillTemplate('# @PORT@ here\nlisten @PORT@;', { PORT: 1 })).toBe('# @PORT@ here\nlisten 1;')
  expect(() => fillTemplate('listen @PORT@;', {})).toThrow('@PORT@')
  expect(() => fillTemplate('listen @PORT@;', { PORT: '1;\nevil on' })).toThrow('@PORT@')
})
