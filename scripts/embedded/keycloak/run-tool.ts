// Runs a tool of the build to its end, quietly; when it fails, its last lines are the operator's to read.
import { spawn } from 'node:child_process'
import { basename } from 'node:path'
import { PlainError } from '../plain-error.ts'

const KEPT_CHARACTERS = 4_000

export function runTool(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? '/',
      env: options.env ?? { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-KEPT_CHARACTERS)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', (error) => reject(new PlainError(`${basename(command)} could not be run: ${error.message}`)))
    child.on('close', (code) => {
      if (code === 0) return resolve()
      const lines = output
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '')
      const errors = lines.filter((line) => /error/i.test(line))
      reject(new PlainError(`${basename(command)} failed: ${(errors.length ? errors : lines).slice(-4).join(' / ')}`))
    })
  })
}
