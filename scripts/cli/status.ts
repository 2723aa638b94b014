// ./bailiwick status: each part, its ports, health, pid, memory, restarts.
import { readLayout } from '../embedded/config.ts'
import { askStatus, runningSupervisor, type StackStatus } from '../embedded/control-socket.ts'
import { PlainError } from '../embedded/plain-error.ts'
import { requireRoot } from '../embedded/preflight.ts'
import { print, readOptions, table, type Command } from './command.ts'

/** As `systemctl status` says it: the program is not running. */
const EXIT_NOT_RUNNING = 3

export const status: Command = {
  summary: 'shows each part: port, health, memory',
  help: `
usage: ./bailiwick status [--json]

Exit code 0: everything is up. 1: something is not. 3: Bailiwick is not running.
`,
  async run(args) {
    const { values } = readOptions('status', args, { json: { type: 'boolean' } })
    requireRoot('status')
    const layout = readLayout()
    if (!runningSupervisor(layout)) {
      print(values.json ? JSON.stringify({ running: false }) : 'Bailiwick is not running: ./bailiwick up')
      return EXIT_NOT_RUNNING
    }
    const found = await askStatus(layout.state)
    if (!found) throw new PlainError('the supervisor runs but does not answer: ./bailiwick logs supervisor')
    const isWell = found.phase === 'ready' && found.parts.every((part) => part.health === 'up')
    if (values.json) print(JSON.stringify({ running: true, ...found }, null, 2))
    else show(found)
    return isWell ? 0 : 1
  },
}

function show(found: StackStatus): void {
  const rows = found.parts.map((part) => [
    part.name,
    part.ports.join(', ') || '-',
    part.health,
    String(part.pid ?? '-'),
    String(part.memory_mb ?? '-'),
    part.restarts === 0 ? '0' : `${part.restarts} (${part.last_exit})`,
  ])
  for (const line of table([['part', 'port', 'health', 'pid', 'MB', 'restarts'], ...rows])) print(line)
  const total = found.parts.reduce((sum, part) => sum + (part.memory_mb ?? 0), 0)
  print(
    `\n${found.phase}, for ${describe(Date.now() - found.started_at)}, ${total} MB in all; agents connect to ${found.endpoint}`,
  )
  for (const part of found.parts) {
    if (!part.last_lines) continue
    print(`\n${part.name} is in a crash loop (${part.last_exit}); its last log lines:`)
    for (const line of part.last_lines) print(`  ${line}`)
  }
}

function describe(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 1) return `${Math.round(ms / 1000)} s`
  if (minutes < 120) return `${minutes} min`
  return `${Math.floor(minutes / 60)} h`
}
