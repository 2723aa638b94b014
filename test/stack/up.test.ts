// The command itself, on stacks of its own: start, second start, deaths, stop, and every sentence it owes the operator.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { inState, portsFrom, USERS, type PartName } from '../../scripts/embedded/layout.ts'
import { isAlive, sessionMembers, type ProcessName } from '../../scripts/embedded/processes.ts'
import { bailiwick, eventually, ROOT, Stack } from './support.ts'

const PORT_BASE = Number(process.env['TEST_STACK_PORT_BASE'] ?? 18400) + 2000
const stack = new Stack(PORT_BASE)
afterAll(async () => {
  await stack.destroy()
})

type Part = { name: string; pid: number; health: string; restarts: number; last_lines?: string[] }
const part = async (name: string): Promise<Part> =>
  ((await stack.status()) as unknown as Part[]).find((each) => each.name === name)!
const recorded = (): { name: string; uid: number; process: ProcessName }[] =>
  JSON.parse(readFileSync(inState.children(stack.state), 'utf8')) as {
    name: string
    uid: number
    process: ProcessName
  }[]
const supervisor = (): ProcessName =>
  JSON.parse(readFileSync(inState.supervisorRecord(stack.state), 'utf8')) as ProcessName

/** What is in the folder: names, modes, owners, and of small files the content. */
function fingerprint(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => !/^(logs|run)(\/|$)/.test(name))
    .sort()
    .map((name) => {
      const { mode, uid, size } = statSync(`${folder}/${name}`)
      const isSmallFile = (mode & 0o170000) === 0o100000 && size < 10_000
      return `${name} ${mode} ${uid} ${
        isSmallFile
          ? createHash('sha256')
              .update(readFileSync(`${folder}/${name}`))
              .digest('hex')
          : ''
      }`
    })
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

let token = ''

test('the first up shows the endpoint, the CA and a token that works', async () => {
  const { out } = await stack.up()
  expect(out).toContain(`https://localhost:${PORT_BASE + 43}/mcp`)
  expect(out).toContain(stack.caFile)
  token = /mpt_[0-9a-f]{64}/.exec(out)![0]
  expect(await stack.must(token, 'whoami', {})).toMatchObject({ tier: 'beta' })
})

test('a second up says that it is running, where, and shows no token', async () => {
  const { code, out } = await stack.up()
  expect(code).toBe(0)
  expect(out).toMatch(/already running/)
  expect(out).toContain(`https://localhost:${PORT_BASE + 43}/mcp`)
  expect(out).not.toContain('mpt_')
})

test('the token stands in no file of the state folder and in no log', () => {
  const found = spawnSync('grep', ['-r', '-l', '-a', '-F', token, stack.state], { encoding: 'utf8' })
  expect(found.stdout).toBe('')
})

test('each part runs as its own user, with no right beyond that and nothing inherited', async () => {
  for (const { name, pid, health } of (await stack.status()) as unknown as Part[]) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const uid = USERS[name as PartName]
    expect([name, health, /^Uid:\s+(.*)$/m.exec(status)![1]]).toEqual([name, 'up', [uid, uid, uid, uid].join('\t')])
    expect([name, /^Groups:[ \t]*(.*)$/m.exec(status)![1]!.trim(), /^CapEff:\s+(.*)$/m.exec(status)![1]]).toEqual([
      name,
      '',
      '0000000000000000',
    ])
    expect([name, /^NoNewPrivs:\s+(.*)$/m.exec(status)![1]]).toEqual([name, '1'])
    // nginx and PostgreSQL write their titles over what /proc shows as their environment.
    if (name === 'edge' || name === 'postgres') continue
    const names = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .filter((line) => line !== '')
      .map((line) => line.split('=')[0]!)
    expect(names.filter((each) => !/^(BAILIWICK_\w+|PATH|LC_ALL|NODE_ENV)$/.test(each))).toEqual([])
  }
})

test('no service can read another’s keys, secrets or state', () => {
  const asUser = (uid: number, path: string): boolean =>
    spawnSync('setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'cat', path], { stdio: 'ignore' })
      .status === 0
  const own: Readonly<Record<string, number[]>> = {
    'keys/gateway-policy.key': [USERS.gateway, USERS.policy],
    'keys/reaper-keeper-purge.key': [USERS.keeper, USERS.reaper],
    'keys/admin-policy.key': [USERS.policy],
    'secrets/policy/policy.sealed': [USERS.policy],
    'edge/tls/server.key': [USERS.edge],
    'edge/tls/ca.key': [],
    'seal.key': [],
    'valkey/valkey.conf': [USERS.valkey],
    'powerdns/pdns.conf': [USERS.powerdns],
    'keycloak/conf/keycloak.conf': [USERS.keycloak],
  }
  for (const [file, readers] of Object.entries(own)) {
    const may = Object.values(USERS).filter((uid) => asUser(uid, `${stack.state}/${file}`))
    expect([file, may]).toEqual([file, readers])
  }
})

test('a part that is killed is started again', async () => {
  const before = await part('gateway')
  process.kill(before.pid, 'SIGKILL')
  await eventually('the gateway is back', async () => {
    const now = await part('gateway')
    return now.health === 'up' && now.pid !== before.pid && now.restarts === before.restarts + 1
  })
  expect(await stack.must(token, 'whoami', {})).toMatchObject({ tier: 'beta' })
})

test('nginx and PostgreSQL come back too, although their children outlive them', async () => {
  for (const name of ['edge', 'postgres']) {
    const before = await part(name)
    process.kill(before.pid, 'SIGKILL')
    await eventually(`${name} is back`, async () => {
      const now = await part(name)
      return now.health === 'up' && now.pid !== before.pid
    })
  }
  await eventually('calls are served', async () => (await stack.call(token, 'whoami', {})).status === 200)
})

test('a crash loop is named in the status and the supervisor’s log, with the part’s last log lines', async () => {
  const file = inState.secrets(stack.state, 'vault')
  renameSync(file, `${file}.away`)
  process.kill((await part('vault')).pid, 'SIGKILL')
  try {
    await eventually('the crash loop is seen', async () => (await part('vault')).health === 'crash loop')
  } finally {
    renameSync(`${file}.away`, file)
  }
  expect((await part('vault')).last_lines!.join('\n')).toMatch(/vault/)
  const { code, out } = await bailiwick(stack.env, ['status'])
  expect(code).toBe(1)
  expect(out).toMatch(/vault is in a crash loop \(exit 78\)/)
  expect(readFileSync(inState.log(stack.state, 'supervisor'), 'utf8')).toMatch(
    /vault is in a crash loop \(exit 78\); its last log lines:/,
  )
  // It is still tried, every 30 s.
  await eventually('the vault runs again', async () => (await part('vault')).pid !== null, 45_000)
})

test('logs shows a part’s log, and says which there are', async () => {
  expect((await bailiwick(stack.env, ['logs', 'policy', '-n', '1'])).out.trim().split('\n')).toHaveLength(1)
  const { code, err } = await bailiwick(stack.env, ['logs', 'nothing'])
  expect(code).toBe(1)
  expect(err).toMatch(/there is no log "nothing"; there are: .*policy/)
})

test('a killed supervisor takes everything with it, and the next up goes on', async () => {
  const children = recorded()
  process.kill(supervisor().pid, 'SIGKILL')
  await eventually('the parts end', async () =>
    children.filter(({ name }) => name !== 'edge').every(({ process: each }) => !isAlive(each)),
  )
  expect((await bailiwick(stack.env, ['status'])).code).toBe(3)
  const { out } = await stack.up()
  expect(out).not.toMatch(/mpt_[0-9a-f]{64}/)
  expect(await stack.must(token, 'whoami', {})).toMatchObject({ tier: 'beta' })
})

test('down leaves no process, no port and no socket', async () => {
  const [children, own] = [recorded(), supervisor()]
  expect(children.length).toBe(Object.keys(USERS).length)
  const { code, out } = await stack.down()
  expect([code, out]).toEqual([0, expect.stringMatching(/Bailiwick is stopped/)])
  expect(isAlive(own)).toBe(false)
  expect(children.flatMap(({ process: each, uid }) => sessionMembers(each, uid))).toEqual([])
  const ports = Object.entries(portsFrom(PORT_BASE)).filter(([name]) => !name.endsWith('Cluster'))
  for (const [name, port] of ports) expect([name, await isOpen(port)]).toEqual([name, false])
  expect(readdirSync(`${stack.state}/run`)).toEqual([])
  expect((await stack.down()).out).toMatch(/was not running/)
})

test('a damaged state folder is one sentence, and nothing in it is changed', async () => {
  const file = `${stack.state}/keys/gateway-policy.key`
  renameSync(file, `${stack.state}.key`)
  const before = fingerprint(stack.state)
  const { code, out, err } = await bailiwick(stack.env, ['up'])
  expect(code).toBe(1)
  expect(err.trim().split('\n')).toHaveLength(1)
  expect(err).toContain(
    `the state folder ${stack.state} is damaged: keys/gateway-policy.key is missing. Nothing was changed.`,
  )
  expect(out + err).not.toMatch(/\n\s+at /)
  expect(fingerprint(stack.state)).toEqual(before)
  renameSync(`${stack.state}.key`, file)
})

test('a taken port is one sentence that names the port, who has it, and another way', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(PORT_BASE + 43, '127.0.0.1', resolve))
  try {
    const { code, err } = await bailiwick(stack.env, ['up'])
    expect(code).toBe(1)
    expect(err.trim().split('\n')).toHaveLength(1)
    expect(err).toMatch(new RegExp(`port ${PORT_BASE + 43} .* is taken by .*pid ${process.pid}.*BAILIWICK_PORT_BASE=`))
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
})

test('after all that, up starts again and the token still works', async () => {
  await stack.up()
  expect(await stack.must(token, 'whoami', {})).toMatchObject({ tier: 'beta' })
  await stack.down()
})

test('a folder that holds something else is not made a state folder', async () => {
  const folder = mkdtempSync(`${tmpdir()}/bailiwick-other-`)
  try {
    writeFileSync(`${folder}/letter.txt`, 'dear')
    chmodSync(folder, 0o755)
    const { code, err } = await bailiwick({ ...stack.env, BAILIWICK_STATE: folder }, ['up'])
    expect([code, err]).toEqual([1, expect.stringMatching(/not a state folder/)])
    expect(readdirSync(folder)).toEqual(['letter.txt'])
    expect(statSync(folder).mode & 0o777).toBe(0o755)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('without root, up is one sentence', () => {
  const { status, stderr } = spawnSync(
    'setpriv',
    ['--reuid=61999', '--regid=61999', '--clear-groups', `${ROOT}/bailiwick`, 'up'],
    {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...stack.env },
    },
  )
  expect([status, stderr.trim().split('\n').length, stderr]).toEqual([
    1,
    1,
    expect.stringMatching(/needs root.*sudo \.\/bailiwick up/),
  ])
})

test('an unknown command shows the help and exits 64; a wrong option names the help; it works from any folder', () => {
  const run = (...args: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(`${ROOT}/bailiwick`, args, {
      encoding: 'utf8',
      cwd: '/',
      env: { PATH: process.env['PATH'], ...stack.env },
    })
  const unknown = run('destroy')
  expect([unknown.status, unknown.stderr, unknown.stdout]).toEqual([
    64,
    expect.stringMatching(/no command "destroy"/),
    expect.stringMatching(/usage: \.\/bailiwick COMMAND/),
  ])
  const option = run('status', '--yaml')
  expect([option.status, option.stderr]).toEqual([64, expect.stringMatching(/--yaml.*\.\/bailiwick help status/)])
  expect(run('help', 'admin').status).toBe(0)
})

test('a state path that is too long for sockets is one sentence', async () => {
  const { code, err } = await bailiwick({ ...stack.env, BAILIWICK_STATE: `/tmp/${'x'.repeat(90)}` }, ['up'])
  expect([code, err]).toEqual([1, expect.stringMatching(/too long for the sockets.*BAILIWICK_STATE/)])
  expect(existsSync(`/tmp/${'x'.repeat(90)}`)).toBe(false)
})
