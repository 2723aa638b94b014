// What /proc says: is this still the process that we started, who belongs to it, how much memory it takes, who holds a port.
// A process is named by its pid and start time together: a pid alone may be somebody else's by now.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'

export type ProcessName = { readonly pid: number; readonly startTime: string }
type Stat = { state: string; parent: number; session: number; startTime: string }

function readStat(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command's name stands in parentheses and may itself hold spaces and parentheses.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0]!, parent: Number(fields[1]), session: Number(fields[3]), startTime: fields[19]! }
  } catch {
    return null
  }
}

const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

export function nameOf(pid: number): ProcessName | null {
  const stat = readStat(pid)
  return stat && { pid, startTime: `${bootId}/${stat.startTime}` }
}

/** A zombie is dead: it runs nothing, whatever `kill -0` says. */
export function isAlive(name: ProcessName): boolean {
  const stat = readStat(name.pid)
  return stat !== null && !'ZX'.includes(stat.state) && `${bootId}/${stat.startTime}` === name.startTime
}

const allPids = (): number[] =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)

function userOf(pid: number): number | null {
  try {
    return Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return null
  }
}

/**
 * The living processes of the session that `leader` began, as `uid`. A session's id cannot be given to a new process while the
 * session has members, so members without their leader are its own; a leader with another start time is a stranger.
 */
export function sessionMembers(leader: ProcessName, uid: number): number[] {
  const now = nameOf(leader.pid)
  if (now && now.startTime !== leader.startTime) return []
  if (!leader.startTime.startsWith(bootId)) return []
  return allPids().filter((pid) => {
    const stat = readStat(pid)
    return stat !== null && stat.session === leader.pid && !'ZX'.includes(stat.state) && userOf(pid) === uid
  })
}

/** Memory of `pid` and all its descendants in MB; shared pages are counted once (PSS). */
export function memoryMb(pid: number): number {
  const children = new Map<number, number[]>()
  for (const each of allPids()) {
    const parent = readStat(each)?.parent
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), each])
  }
  const sum = (each: number): number =>
    pssKb(each) + (children.get(each) ?? []).reduce((total, child) => total + sum(child), 0)
  return Math.round(sum(pid) / 1024)
}

function pssKb(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** Who listens on a TCP port, in words; `null` when it cannot be found out (another container's, say). */
export function portHolder(port: number): string | null {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const inodes = new Set<string>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readLines(table)) {
      const fields = line.trim().split(/\s+/)
      if (fields[1]?.endsWith(`:${hex}`) && fields[3] === '0A') inodes.add(`socket:[${fields[9]}]`)
    }
  }
  if (inodes.size === 0) return null
  const holder = allPids().find((pid) => openFiles(pid).some((file) => inodes.has(file)))
  if (holder === undefined) return null
  return `${readLines(`/proc/${holder}/comm`)[0] ?? 'a process'}, pid ${holder}`
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n')
  } catch {
    return []
  }
}

function openFiles(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((descriptor) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${descriptor}`)
      } catch {
        return ''
      }
    })
  } catch {
    return []
  }
}
