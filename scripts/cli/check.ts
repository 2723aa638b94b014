// ./bailiwick check: everything that can be said about the code without running it, in well under 30 seconds.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { ROOT } from '../embedded/config.ts'
import { installMissing } from '../embedded/packages.ts'
import { print, readOptions, type Command } from './command.ts'

type Check = { name: string; command: string; args: readonly string[]; env?: NodeJS.ProcessEnv; needs?: string }

const bin = (name: string): string => `${ROOT}/node_modules/.bin/${name}`
// Pure tests: no servers are started for them.
const BOUNDARIES = JSON.stringify({
  rootDir: ROOT,
  testMatch: ['<rootDir>/test/boundaries/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/scripts/strip-types.js' },
})

const CHECKS: readonly Check[] = [
  // The slowest first.
  {
    name: 'format',
    command: bin('prettier'),
    args: ['--check', '--log-level', 'warn', '--cache', '.'],
  },
  { name: 'types', command: bin('tsc'), args: ['-p', '.'] },
  {
    name: 'lint',
    command: bin('oxlint'),
    args: ['--type-aware', '--quiet', 'packages', 'services', 'scripts', 'test'],
  },
  {
    name: 'generated documents',
    command: process.execPath,
    args: ['scripts/docs/generate.ts', '--check'],
    needs: 'scripts/docs/generate.ts',
  },
  {
    name: 'boundaries',
    command: process.execPath,
    args: [bin('jest'), '--config', BOUNDARIES],
    env: { NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning' },
  },
  { name: 'shell scripts', command: 'shellcheck', args: ['bailiwick', '.ci/run'] },
]

const SHELLCHECK = {
  what: 'shellcheck',
  isThere: () => existsSync('/usr/bin/shellcheck'),
  packages: ['shellcheck'],
  units: [],
}

export const check: Command = {
  summary: 'format, types, lint, generated documents, boundaries, shell scripts',
  help: `
usage: ./bailiwick check

Each line says ok or failed, with its time; what a failed one printed follows. Changes nothing.
`,
  async run(args) {
    readOptions('check', args, {})
    await installMissing((line) => print(`· ${line}`), [SHELLCHECK])
    const startedAt = Date.now()
    const queue = CHECKS.filter(({ needs }) => needs === undefined || existsSync(`${ROOT}/${needs}`))
    let failed = 0
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next; next = queue.shift()) if (!(await runCheck(next))) failed += 1
    }
    await Promise.all(Array.from({ length: Math.max(2, Math.min(4, availableParallelism())) }, worker))
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1)
    print(failed === 0 ? `\nall ok (${seconds} s)` : `\n${failed} failed (${seconds} s)`)
    return failed === 0 ? 0 : 1
  },
}

function runCheck({ name, command, args, env }: Check): Promise<boolean> {
  const startedAt = Date.now()
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', ...env },
    })
    let output = ''
    const keep = (chunk: Buffer): void => void (output += chunk.toString('utf8'))
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const end = (isOk: boolean, more = ''): void => {
      print(`${isOk ? 'ok    ' : 'failed'}  ${name.padEnd(20)} ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
      if (!isOk) for (const line of shorten(`${output.trim()}${more}`)) print(`        ${line}`)
      resolve(isOk)
    }
    child.once('error', (error) => end(false, error.message))
    child.once('close', (code) => end(code === 0))
  })
}

const SHOWN_LINES = 80

/** The first is what one mends first; all of it is a command away. */
function shorten(text: string): string[] {
  const lines = text.split('\n')
  if (lines.length <= SHOWN_LINES) return lines
  return [...lines.slice(0, SHOWN_LINES), `... and ${lines.length - SHOWN_LINES} more lines`]
}
