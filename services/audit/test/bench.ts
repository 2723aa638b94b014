// Bench, run by hand: node services/audit/test/bench.ts [seconds]. The real process, a PostgreSQL of its own with fsync on, load
// from here over the door. Open loop: entries are offered on time, whether or not earlier ones were answered.
import { readFileSync, rmSync } from 'node:fs'
import type { Client as DoorClient } from '@bailiwick/kernel/door'
import type { auditDoor } from '@bailiwick/contracts/doors/audit'
import { entry, gone, makeFolder, spawnAudit } from './helpers.ts'
import { ownPostgres } from './own-postgres.ts'

const seconds = Number(process.argv[2] ?? 10)
const CLOCK_TICKS_PER_SECOND = 100

/** CPU milliseconds that a process has used, user and system. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / CLOCK_TICKS_PER_SECOND
}

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

type Run = { label: string; run: (write: () => Promise<void>) => Promise<void> }

const offered = (perSecond: number): Run => ({
  label: `${perSecond}/s offered`,
  run: async (write) => {
    const began = performance.now()
    const pending: Promise<void>[] = []
    for (let sent = 0; sent < perSecond * seconds; sent += 1) {
      const due = began + (sent * 1000) / perSecond
      const wait = due - performance.now()
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
      pending.push(write())
    }
    await Promise.all(pending)
  },
})

const closed = (clients: number): Run => ({
  label: `${clients} clients, as fast as answered`,
  run: async (write) => {
    const end = performance.now() + seconds * 1000
    await Promise.all(
      Array.from({ length: clients }, async () => {
        while (performance.now() < end) await write()
      }),
    )
  },
})

const postgres = await ownPostgres()
const folder = makeFolder()
const audit = await spawnAudit({ folder, databaseUrl: postgres.audit })
const policy: DoorClient<typeof auditDoor> & { close(): void } = audit.as('policy')
await Promise.all(Array.from({ length: 200 }, () => policy.append(entry())))

for (const { label, run } of [offered(1), offered(64), offered(1000), closed(1), closed(16), closed(64)]) {
  const latencies: number[] = []
  let refused = 0
  const [cpu, began] = [cpuMs(audit.child.pid!), performance.now()]
  await run(async () => {
    const start = performance.now()
    await policy.append(entry()).then(
      () => latencies.push(performance.now() - start),
      () => (refused += 1),
    )
  })
  const elapsed = (performance.now() - began) / 1000
  const used = cpuMs(audit.child.pid!) - cpu
  latencies.sort((a, b) => a - b)
  process.stdout.write(
    `${label.padEnd(32)} ${(latencies.length / elapsed).toFixed(0).padStart(6)} entries/s  p50 ${percentile(latencies, 0.5).toFixed(1)} ms  p99 ${percentile(latencies, 0.99).toFixed(1)} ms  audit CPU ${(used / latencies.length).toFixed(3)} ms per entry  refused ${refused}\n`,
  )
}
policy.close()
audit.child.kill('SIGTERM')
await gone(audit.child)
await postgres.remove()
rmSync(folder.path, { recursive: true, force: true })
