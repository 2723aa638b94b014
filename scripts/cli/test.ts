// ./bailiwick test: the fast suites, on a real PostgreSQL and Valkey of their own.
import { ROOT } from '../embedded/config.ts'
import { installMissing } from '../embedded/packages.ts'
import { print, type Command } from './command.ts'
import { runProgram } from './run-program.ts'

export const test: Command = {
  summary: 'runs the tests',
  help: `
usage: ./bailiwick test [PATTERN] [JEST OPTIONS]

PATTERN is part of a test file's path. What the tests need of the system's packages is installed first (that needs root).
The suites that start a whole stack are run by .ci/run.
`,
  async run(args) {
    await installMissing((line) => print(`· ${line}`))
    return runProgram(
      process.execPath,
      [`${ROOT}/node_modules/.bin/jest`, '--config', `${ROOT}/jest.config.js`, ...args],
      {
        ...process.env,
        NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
      },
    )
  },
}
