// A PostgreSQL of a test's own, to be killed: the shared one of the test run must live on.
import type { ChildProcess } from 'node:child_process'
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { prepareControlDatabase } from '@bailiwick/kernel/control-database'
import { initCluster, startCluster } from '@bailiwick/kernel/postgres-cluster'
import { freePort } from '@bailiwick/testing/global-setup'
import { gone } from './helpers.ts'

export type OwnPostgres = {
  superuser: string
  audit: string
  pid(): number
  kill(): Promise<void>
  start(): Promise<void>
  remove(): Promise<void>
}

export async function ownPostgres(): Promise<OwnPostgres> {
  const folder = mkdtempSync(`${tmpdir()}/bailiwick-audit-postgres-`)
  const user = process.getuid!() === 0 ? { uid: 61900, gid: 61900 } : null
  if (user) chownSync(folder, user.uid, user.gid)
  const dataDir = `${folder}/data`
  const port = await freePort()
  await initCluster({ dataDir, superuser: 'postgres', password: 'test', user })
  let child: ChildProcess
  const start = async (): Promise<void> => {
    // Backends of a killed server live on until they notice; while they do, the next one refuses to start.
    for (let attempt = 1; ; attempt += 1) {
      try {
        child = await startCluster({ dataDir, port, user })
        return
      } catch (error) {
        if (attempt === 50) throw error
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }
  // With its backends: one that outlives the postmaster can still commit, and acknowledge.
  const kill = async (): Promise<void> => {
    const backends = readFileSync(`/proc/${child.pid!}/task/${child.pid!}/children`, 'utf8').trim().split(' ')
    for (const pid of [child.pid!, ...backends.filter(Boolean).map(Number)])
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended by itself in the meantime.
      }
    await gone(child)
  }
  await start()
  const superuser = `postgres://postgres:test@127.0.0.1:${port}/postgres`
  await prepareControlDatabase({
    url: superuser,
    root: new URL('../../..', import.meta.url).pathname.replace(/\/$/, ''),
    passwords: { audit: 'test' },
  })
  return {
    superuser,
    audit: `postgres://audit:test@127.0.0.1:${port}/postgres`,
    pid: () => child.pid!,
    kill,
    start,
    async remove() {
      await kill()
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    },
  }
}
