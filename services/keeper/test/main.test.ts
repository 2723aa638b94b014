// The real keeper as a process of its own, unprivileged, killed and started again.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { keeperDoor, keeperPurgeDoor } from '@bailiwick/contracts/doors/keeper'
import { systemClock } from '@bailiwick/kernel/clock'
import { connectDoor } from '@bailiwick/kernel/door'
import { silentLogger } from '@bailiwick/kernel/logger'
import { writeSealedFile } from '@bailiwick/kernel/secrets'
import { startVault } from '../../vault/src/service.ts'
import { newAccount, newDatabase, newOperation, runAs, withSession } from './harness.ts'
import { freePort } from './zones-helpers.ts'

const MAIN = new URL('../src/main.ts', import.meta.url).pathname
const folder = mkdtempSync(`${tmpdir()}/bailiwick-keeper-main-`)
const unsealKey = randomBytes(32)
const keys = { steward: randomBytes(32), reaper: randomBytes(32), vault: randomBytes(32) }
const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'] }
let vault: Awaited<ReturnType<typeof startVault>>
let keeper: ChildProcess

beforeAll(async () => {
  chmodSync(folder, 0o755)
  mkdirSync(`${folder}/vault`, { mode: 0o700 })
  for (const name of ['state', 'keys']) mkdirSync(`${folder}/${name}`, { mode: 0o700 })
  vault = await startVault({
    stateDir: `${folder}/vault`,
    atRestKey: randomBytes(32),
    keys: { keeper: keys.vault, steward: randomBytes(32), reaper: randomBytes(32) },
    listen: { host: '127.0.0.1', port: 0 },
    listenSecond: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    logger: silentLogger,
  })
  writeFileSync(`${folder}/keys/steward-keeper.key`, keys.steward.toString('hex'))
  writeFileSync(`${folder}/keys/reaper-keeper-purge.key`, keys.reaper.toString('hex'))
  writeFileSync(`${folder}/keys/keeper-vault.key`, keys.vault.toString('hex'))
  writeSealedFile(`${folder}/state/secrets`, unsealKey, { powerdns_api_key: randomBytes(32).toString('hex') })
  const files = [
    'state',
    'state/secrets',
    'keys',
    ...['steward-keeper', 'reaper-keeper-purge', 'keeper-vault'].map((name) => `keys/${name}.key`),
  ]
  if (runAs) for (const file of files) chownSync(`${folder}/${file}`, runAs.uid, runAs.gid)
  const first = 30_000 + Math.floor(Math.random() * 2000)
  Object.assign(env, {
    BAILIWICK_LISTEN: `127.0.0.1:${await freePort()}`,
    BAILIWICK_LISTEN_SECOND: `127.0.0.1:${await freePort()}`,
    BAILIWICK_KEYS_DIR: `${folder}/keys`,
    BAILIWICK_STATE_DIR: `${folder}/state`,
    BAILIWICK_SECRETS_FILE: `${folder}/state/secrets`,
    BAILIWICK_UNSEAL_FD: '3',
    BAILIWICK_VAULT_URL: `http://127.0.0.1:${vault.port}`,
    // Nothing listens there: a peer that is down keeps no keeper from starting.
    BAILIWICK_POWERDNS_URL: 'http://127.0.0.1:1',
    BAILIWICK_EGRESS_URL: 'http://127.0.0.1:1',
    BAILIWICK_CLUSTER_PORTS: `${first}-${first + 9}`,
  })
})
afterAll(async () => {
  keeper?.kill('SIGKILL')
  await vault.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Starts main.ts; resolves when it says that it is ready. `until` resolves with the first line of that event. */
async function start(): Promise<{ until(event: string): Promise<void>; ended: Promise<number | null> }> {
  const identity = runAs ? [`--reuid=${runAs.uid}`, `--regid=${runAs.gid}`, '--clear-groups'] : []
  const child = spawn('setpriv', [...identity, '--pdeathsig=KILL', process.execPath, MAIN], {
    env,
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  })
  keeper = child
  ;(child.stdio[3] as Writable).end(unsealKey.toString('hex'))
  const waiting = new Map<string, () => void>()
  const seen = new Set<string>()
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const { event } = JSON.parse(line) as { event: string }
    seen.add(event)
    waiting.get(event)?.()
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const until = (event: string): Promise<void> =>
    new Promise((resolve, reject) => {
      if (seen.has(event)) return resolve()
      waiting.set(event, resolve)
      void ended.then((code) => reject(new Error(`keeper ended with ${code}`)))
    })
  await until('keeper_ready')
  return { until, ended }
}
const steward = () =>
  connectDoor({
    door: keeperDoor,
    url: `http://${env['BAILIWICK_LISTEN']}`,
    caller: 'steward',
    key: keys.steward,
    timeoutMs: 60_000,
  })

test('a keeper that is killed comes back with its clusters, and so does a cluster that is killed', async () => {
  const account_id = newAccount()
  const database_id = newDatabase()
  const of = () => ({ account_id, database_id, operation_id: newOperation() })
  let life = await start()
  let door = steward()
  expect(await door.create_database(of())).toMatchObject({ ok: true })
  await door.create_table({
    ...of(),
    table: 't',
    columns: [{ name: 'id', type: 'integer' }],
    primary_key: ['id'],
  })
  const insert = { ...of(), table: 't', rows: [{ id: 1 }] }
  expect(await door.insert_rows(insert)).toMatchObject({ ok: true })
  const pidFile = `${folder}/state/clusters/${account_id}/data/postmaster.pid`
  const pid = (): number => Number(readFileSync(pidFile, 'utf8').split('\n')[0])
  const pids = [pid()]

  for (let round = 0; round < 3; round += 1) {
    keeper.kill('SIGKILL')
    await life.ended
    life = await start()
    door = steward()
    expect(await door.insert_rows(insert)).toEqual({ ok: true, keys: [{ id: 1 }] })
    expect(await door.describe_database({ account_id, database_id })).toMatchObject({
      state: 'active',
      tables: [{ name: 't', rows: 1 }],
    })
    expect(pids).not.toContain(pid())
    pids.push(pid())
  }

  process.kill(pid(), 'SIGKILL')
  await life.until('cluster_died')
  expect(await door.describe_database({ account_id, database_id })).toMatchObject({ state: 'active' })
  const issued = await door.issue_password({ account_id, database_id })
  if (!issued.ok) throw new Error(issued.code)
  await withSession(issued.connection, issued.password, (client) => client.query('SELECT * FROM t'))

  keeper.kill('SIGTERM')
  expect(await life.ended).toBe(0)
  expect(existsSync(pidFile)).toBe(false)
}, 120_000)

test('only the arrow’s own key opens a door, and each door knows only its own caller', async () => {
  const life = await start()
  const [url, second] = [`http://${env['BAILIWICK_LISTEN']}`, `http://${env['BAILIWICK_LISTEN_SECOND']}`]
  const purge = (at: string, caller: string, key: Buffer) =>
    connectDoor({ door: keeperPurgeDoor, url: at, caller, key }).list_quarantined({})
  await expect(purge(second, 'reaper', randomBytes(32))).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
  await expect(purge(second, 'steward', keys.steward)).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
  await expect(purge(url, 'steward', keys.steward)).rejects.toMatchObject({ code: 'ROUTE_UNKNOWN' })
  keeper.kill('SIGTERM')
  expect(await life.ended).toBe(0)
}, 60_000)

test('a missing setting stops the start with 78 and its name', async () => {
  const child = spawn(process.execPath, [MAIN], {
    env: { ...env, BAILIWICK_VAULT_URL: undefined },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')))
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(78)
  expect(errors).toContain('BAILIWICK_VAULT_URL')
})
