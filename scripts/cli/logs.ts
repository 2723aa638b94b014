// ./bailiwick logs: the operational log of one part.
import { closeSync, existsSync, fstatSync, openSync, readSync, readdirSync, statSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { readLayout } from '../embedded/config.ts'
import { inState } from '../embedded/layout.ts'
import { lastLines } from '../embedded/log-file.ts'
import { PlainError } from '../embedded/plain-error.ts'
import { requireRoot } from '../embedded/preflight.ts'
import { print, readOptions, usageError, type Command } from './command.ts'

export const logs: Command = {
  summary: 'shows the log of one part',
  help: `
usage: ./bailiwick logs NAME [-n LINES] [-f]

Shows the last lines (200 if not said otherwise) of a part's log; -f goes on showing what comes. Without NAME: which there are.
These are operational logs, kept 30 days at most; the audit log is another thing.
`,
  async run(args) {
    const { values, positionals } = readOptions('logs', args, {
      follow: { type: 'boolean', short: 'f' },
      lines: { type: 'string', short: 'n', default: '200' },
    })
    requireRoot('logs')
    const folder = inState.logs(readLayout().state)
    const names = existsSync(folder)
      ? readdirSync(folder)
          .filter((file) => file.endsWith('.log'))
          .map((file) => file.slice(0, -'.log'.length))
      : []
    const [name] = positionals
    if (name === undefined) {
      print(names.length > 0 ? `logs: ${names.join(', ')}` : 'there are no logs yet: ./bailiwick up')
      return 0
    }
    if (!names.includes(name))
      throw new PlainError(`there is no log "${name}"; there are: ${names.join(', ') || 'none yet'}`)
    if (!/^\d{1,6}$/.test(values.lines)) throw usageError(`--lines must be a number, not "${values.lines}"`)
    const file = `${folder}/${name}.log`
    const from = statSync(file).size
    for (const line of lastLines(file, Number(values.lines))) print(line)
    if (values.follow) await follow(file, from)
    return 0
  },
}

/** Ends with Ctrl-C. A rotated file is another file: its name then leads to a new inode. */
async function follow(file: string, from: number): Promise<never> {
  let descriptor = openSync(file, 'r')
  let position = from
  const chunk = Buffer.alloc(64 * 1024)
  for (;;) {
    const length = readSync(descriptor, chunk, 0, chunk.length, position)
    position += length
    if (length > 0) {
      process.stdout.write(chunk.subarray(0, length).toString('utf8'))
      continue
    }
    if (existsSync(file) && statSync(file).ino !== fstatSync(descriptor).ino) {
      closeSync(descriptor)
      descriptor = openSync(file, 'r')
      position = 0
    }
    await wait(200)
  }
}
