// Ends what is left of a part whose first process is gone: exactly the session that was recorded for it, known by pid and start
// time. nginx' workers outlive their master, for one, and would hold its ports.
import { rmSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { readJson } from './files.ts'
import { inState } from './layout.ts'
import { sessionMembers, type ProcessName } from './processes.ts'

const GRACE_MS = 5_000

/** Resolves when nobody of the session is alive. Their parent's death may have told them already (pdeathsig). */
export async function endSession(leader: ProcessName | null, uid: number): Promise<void> {
  if (!leader) return
  const start = Date.now()
  let told = false
  for (let left = sessionMembers(leader, uid); left.length > 0; left = sessionMembers(leader, uid)) {
    const isOver = Date.now() - start > GRACE_MS
    if (!told || isOver) for (const pid of left) signal(pid, isOver ? 'SIGKILL' : 'SIGTERM')
    told = true
    await wait(20)
  }
}

/** After a supervisor was killed. Returns the names of the parts of which something was left. */
export async function endLeftovers(state: string, say: (line: string) => void): Promise<string[]> {
  const recorded = (readJson(inState.children(state)) ?? []) as { name: string; uid: number; process: ProcessName }[]
  const left = recorded.filter(({ process, uid }) => sessionMembers(process, uid).length > 0)
  if (left.length > 0) say(`ending what an earlier run left: ${left.map(({ name }) => name).join(', ')}`)
  await Promise.all(left.map(({ process, uid }) => endSession(process, uid)))
  rmSync(inState.children(state), { force: true })
  return left.map(({ name }) => name)
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // Gone meanwhile.
  }
}
