// Ends what a supervisor left that was killed: exactly the sessions that it recorded, each known by pid and start time.
import { setTimeout as wait } from 'node:timers/promises'
import { rmSync } from 'node:fs'
import { readJson } from './control-socket.ts'
import { inState } from './layout.ts'
import { sessionMembers, type ProcessName } from './processes.ts'

type Recorded = { name: string; uid: number; process: ProcessName }

/** Their parent's death has told them to stop (pdeathsig); they get some seconds for it. Returns the names of those that were left. */
export async function endLeftovers(state: string, say: (line: string) => void, graceMs = 10_000): Promise<string[]> {
  const recorded = readJson<Recorded[]>(inState.children(state)) ?? []
  const alive = (): { name: string; pids: number[] }[] =>
    recorded
      .map(({ name, uid, process }) => ({ name, pids: sessionMembers(process, uid) }))
      .filter(({ pids }) => pids.length > 0)
  const left = alive().map(({ name }) => name)
  if (left.length > 0) say(`waiting for what an earlier run left: ${left.join(', ')}`)
  const start = Date.now()
  for (let rest = alive(); rest.length > 0; rest = alive()) {
    const signal = Date.now() - start > graceMs ? 'SIGKILL' : Date.now() - start > graceMs / 2 ? 'SIGTERM' : null
    for (const pid of rest.flatMap(({ pids }) => pids)) {
      try {
        if (signal) process.kill(pid, signal)
      } catch {
        // Gone meanwhile.
      }
    }
    await wait(100)
  }
  rmSync(inState.children(state), { force: true })
  return left
}
