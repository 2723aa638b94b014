// Runs PostgreSQL's client programs. Passwords go by environment (readable by our own user only), never by arguments.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { asUser } from '@bailiwick/kernel/postgres-cluster'
import { Fault } from '@bailiwick/kernel/result'

/** Runs to the end with its output in `file`, durable. A failure's Fault carries the end of its stderr, for the log only. */
export async function runToFile(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  file: string,
): Promise<void> {
  const [command, all] = asUser(null, program, args, 'KILL')
  const child = spawn(command, all, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C', ...env },
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString('utf8')).slice(-2000)))
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code))
  })
  try {
    const [, code] = await Promise.all([
      pipeline(child.stdout, createWriteStream(file, { mode: 0o600, flush: true })),
      ended,
    ])
    if (code !== 0) throw new Error(`ended with ${code}: ${errors}`)
  } catch (cause) {
    child.kill('SIGKILL')
    throw new Fault('BACKEND_UNAVAILABLE', `${program.slice(program.lastIndexOf('/') + 1)}: ${String(cause)}`, {
      cause,
    })
  }
}

/** SHA-256 of a file, in hex. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
