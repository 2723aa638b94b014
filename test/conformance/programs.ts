// The two programs under test are not ours and not part of the project's packages: they are installed beside it, at exactly the
// versions of programs/package-lock.json, when somebody runs these suites.
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const FOLDER = new URL('programs', import.meta.url).pathname
const DONE = `${FOLDER}/node_modules/.installed`

/** Installs what is missing or older than the lock file. No script of any package runs. */
export function installPrograms(): void {
  const wanted = createHash('sha256')
    .update(readFileSync(`${FOLDER}/package-lock.json`))
    .digest('hex')
  if (existsSync(DONE) && readFileSync(DONE, 'utf8') === wanted) return
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: FOLDER,
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 600_000,
  })
  writeFileSync(DONE, wanted)
}

/** Runs a JavaScript program with this Node, in a folder that is its home too, to its end. */
export function runProgram(
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: folder, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out, err }))
  })
}
