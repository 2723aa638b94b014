// CPU time of the stack's parts, from /proc: what a call costs is counted there, not guessed from latencies.
import { readFileSync, readdirSync } from 'node:fs'

/** Linux counts in ticks of 10 ms (USER_HZ is 100 on every architecture that Node runs on). */
const MS_PER_TICK = 10

type Process = { pid: number; parent: number; ticks: number }

function readProcesses(): Map<number, Process> {
  const found = new Map<number, Process>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8')
      // The name in parentheses may hold spaces: fields are counted from after it (proc_pid_stat(5)).
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      found.set(Number(entry), {
        pid: Number(entry),
        parent: Number(fields[1]),
        ticks: Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]),
      })
    } catch {
      // Gone since the listing.
    }
  }
  return found
}

/** CPU milliseconds used so far by each named process with all its descendants. */
export function readCpu(pids: ReadonlyMap<string, number>): Map<string, number> {
  const processes = readProcesses()
  const children = Map.groupBy(processes.values(), ({ parent }) => parent)
  const sum = (pid: number): number =>
    (processes.get(pid)?.ticks ?? 0) + (children.get(pid) ?? []).reduce((total, child) => total + sum(child.pid), 0)
  return new Map([...pids].map(([name, pid]) => [name, sum(pid) * MS_PER_TICK]))
}
