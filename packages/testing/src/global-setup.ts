// jest's global set-up: one real PostgreSQL and one real Valkey (or Redis) for the whole run, on free ports, in a folder that
// global-teardown removes.
import { spawn, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import pg from 'pg'
import { prepareControlDatabase } from '@bailiwick/kernel/control-database'
import { initCluster, startCluster } from '@bailiwick/kernel/postgres-cluster'

export type TestServers = { folder: string; children: ChildProcess[] }
declare global {
  var bailiwickTestServers: TestServers | undefined
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

// Servers refuse to run as root; any unused number will do.
const user = process.getuid!() === 0 ? { uid: 61900, gid: 61900 } : null

export default async function globalSetup(): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/bailiwick-jest-`)
  if (user) chownSync(folder, user.uid, user.gid)
  const root = new URL('../../..', import.meta.url).pathname.replace(/\/$/, '')
  const [postgresPort, valkeyPort] = [await freePort(), await freePort()]
  await initCluster({ dataDir: `${folder}/postgres`, superuser: 'postgres', password: 'test', user })
  const postgres = await startCluster({
    dataDir: `${folder}/postgres`,
    port: postgresPort,
    user,
    settings: ['max_connections=200', 'shared_buffers=64MB'],
  })
  const admin = `postgres://postgres:test@127.0.0.1:${postgresPort}`
  const client = new pg.Client({ connectionString: `${admin}/postgres` })
  await client.connect()
  await client.query('CREATE DATABASE bailiwick_template')
  await client.end()
  await prepareControlDatabase({
    url: `${admin}/bailiwick_template`,
    root,
    passwords: { policy: 'test', steward: 'test', audit: 'test', anomaly: 'test' },
  })
  mkdirSync(`${folder}/valkey`)
  if (user) chownSync(`${folder}/valkey`, user.uid, user.gid)
  const valkeyServer = ['/usr/bin/valkey-server', '/usr/bin/redis-server'].find((path) => existsSync(path))
  if (!valkeyServer) throw new Error('Valkey or Redis is not installed: run ./bailiwick test, which installs it')
  const identity = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : []
  const valkey = spawn(
    'setpriv',
    [
      ...identity,
      '--pdeathsig=KILL',
      valkeyServer,
      '--port',
      String(valkeyPort),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--dir',
      `${folder}/valkey`,
    ],
    { stdio: 'ignore' },
  )
  globalThis.bailiwickTestServers = { folder, children: [postgres, valkey] }
  process.env['TEST_POSTGRES_URL'] = admin
  process.env['TEST_VALKEY_URL'] = `redis://127.0.0.1:${valkeyPort}`
}
