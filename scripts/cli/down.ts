// ./bailiwick down: stops exactly what `up` started, and waits until it is gone.
import { setTimeout as wait } from 'node:timers/promises'
import { readLayout } from '../embedded/config.ts'
import { runningSupervisor } from '../embedded/control-socket.ts'
import { endLeftovers } from '../embedded/leftovers.ts'
import { requireRoot } from '../embedded/preflight.ts'
import { isAlive } from '../embedded/processes.ts'
import { removeMountFolder } from '../embedded/reachable.ts'
import { print, readOptions, type Command } from './command.ts'

const STOP_WITHIN_MS = 120_000

export const down: Command = {
  summary: 'stops everything that up started; the state stays',
  help: `
usage: ./bailiwick down

Stops the embedded stack in reverse order and waits until every process is gone. Nothing is deleted: the next
./bailiwick up goes on where this one ended.
`,
  async run(args) {
    readOptions('down', args, {})
    requireRoot('down')
    const layout = readLayout()
    const running = runningSupervisor(layout)
    if (running) {
      print('· stopping')
      process.kill(running.pid, 'SIGTERM')
      const deadline = Date.now() + STOP_WITHIN_MS
      while (isAlive(running) && Date.now() < deadline) await wait(50)
      // It waits for each part at most its own time; beyond the sum of them it hangs.
      if (isAlive(running)) process.kill(running.pid, 'SIGKILL')
    }
    const left = await endLeftovers(layout.state, (line) => print(`· ${line}`))
    removeMountFolder(layout.state)
    print(running || left.length > 0 ? 'Bailiwick is stopped.' : 'Bailiwick was not running.')
    return 0
  },
}
