// A Keycloak of a test's own, as the stack runs it (built distribution, realm, settings, user), without the stack: with another
// way out, and with certificate authorities of the test's.
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { startCluster, initCluster, stopCluster } from '@bailiwick/kernel/postgres-cluster'
import { ensureKeycloakDatabase } from '../../scripts/embedded/keycloak/database.ts'
import { ensureDistribution } from '../../scripts/embedded/keycloak/distribution.ts'
import { keycloakCommand } from '../../scripts/embedded/keycloak/part.ts'
import { RealmAdmin } from '../../scripts/embedded/keycloak/realm-admin.ts'
import { prepareRealms, settleRealm } from '../../scripts/embedded/keycloak/realms.ts'
import { layoutOf, USERS } from '../../scripts/embedded/layout.ts'
import { ensureState } from '../../scripts/embedded/state.ts'
import { eventually, ROOT } from './support.ts'

export type OwnKeycloak = {
  readonly issuer: string
  readonly admin: RealmAdmin
  close(): Promise<void>
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** `egressPort`: of the proxy on this machine. `trustFile`: certificates (PEM) that it trusts besides the world's. */
export async function startKeycloak(egressPort: number, trustFile: string): Promise<OwnKeycloak> {
  const folder = mkdtempSync(`${tmpdir()}/bailiwick-keycloak-`)
  chmodSync(folder, 0o711)
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).reverse()) await one()
  }
  try {
    const state = await ensureState(folder)
    const planned = layoutOf({ root: ROOT, state: folder, portBase: 1 })
    const [postgres, keycloak, keycloakManagement] = [await freePort(), await freePort(), await freePort()]
    const ports = { ...planned.ports, postgres, keycloak, keycloakManagement, egress: egressPort }
    // Nobody stands before it: it is its own public address.
    const layout = { ...planned, ports, publicUrl: `http://127.0.0.1:${keycloak}` }
    const secrets = state.secretsOf('supervisor')
    const superuser = await secrets.get('superuser_password')

    const cluster = { dataDir: `${folder}/pg`, port: postgres, user: { uid: USERS.postgres, gid: USERS.postgres } }
    await initCluster({ ...cluster, superuser: 'postgres', password: superuser })
    const database = await startCluster({ ...cluster, settings: ['fsync=off'] })
    closers.push(() => stopCluster(database))
    const server = `postgres://postgres:${superuser}@127.0.0.1:${postgres}`
    const password = await secrets.get('keycloak_database_password')
    await ensureKeycloakDatabase(server, password)
    await prepareRealms(layout, state, server)

    const owner = { uid: USERS.keycloak, gid: USERS.keycloak }
    // Where it gathers whom it trusts; in the stack there is nobody to be added, and the folder is root's.
    chownSync(`${folder}/keycloak/data`, owner.uid, owner.gid)
    const distribution = await ensureDistribution(ROOT, () => undefined)
    const [command, args] = keycloakCommand(layout, owner, distribution, password)()
    const child = spawn(command, [...args, `--truststore-paths=${trustFile}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' },
    })
    closers.push(() => ended(child))
    let log = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (log = (log + chunk.toString('utf8')).slice(-4000)))
    const isUp = async (): Promise<boolean> => {
      if (child.exitCode !== null) return true
      return (await fetch(`http://127.0.0.1:${keycloakManagement}/health/ready`)).ok
    }
    await eventually('Keycloak is up', isUp, 120_000).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${log}`)
    })
    if (child.exitCode !== null) throw new Error(`Keycloak ended (${child.exitCode}): ${log}`)
    await settleRealm(layout, state, () => undefined)
    return {
      issuer: `${layout.publicUrl}/realms/bailiwick`,
      admin: new RealmAdmin({ url: layout.publicUrl, secret: await secrets.get('keycloak_operator_secret') }),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await gone
}
