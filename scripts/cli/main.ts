// ./bailiwick: finds the command, runs it, turns what went wrong into one sentence and an exit code.
import { ConfigError, EXIT_CONFIG } from '@bailiwick/kernel/config'
import { EXIT_USAGE, PlainError } from '../embedded/plain-error.ts'
import { print, type Command } from './command.ts'

/** Loaded when asked for: `status` need not load what `admin` needs. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import('./up.ts')).up,
  down: async () => (await import('./down.ts')).down,
  status: async () => (await import('./status.ts')).status,
  logs: async () => (await import('./logs.ts')).logs,
  demo: async () => (await import('./play.ts')).demo,
  admin: async () => (await import('./admin.ts')).admin,
  test: async () => (await import('./test.ts')).test,
  check: async () => (await import('./check.ts')).check,
  bench: async () => (await import('./bench.ts')).bench,
  generate: async () => (await import('./play.ts')).generate,
}

async function help(name: string | undefined): Promise<number> {
  const load = name === undefined ? undefined : COMMANDS[name]
  if (load) {
    print((await load()).help.trim())
    return 0
  }
  print('Bailiwick: AI agents work on your servers, and nothing they do is irreversible without you.\n')
  print('usage: ./bailiwick COMMAND [OPTIONS]\n')
  for (const [each, command] of Object.entries(COMMANDS)) print(`  ${each.padEnd(9)} ${(await command()).summary}`)
  print('\n./bailiwick help COMMAND tells more about one of them.')
  print(
    'Settings: BAILIWICK_PORT_BASE (8400) and BAILIWICK_STATE (.bailiwick in the checkout); with both, a second stack runs beside.',
  )
  return name === undefined ? 0 : EXIT_USAGE
}

async function main(): Promise<number> {
  process.umask(0o022)
  const [name, ...args] = process.argv.slice(2)
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') return help(args[0])
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!load) {
    process.stderr.write(`bailiwick: there is no command "${name}"\n\n`)
    return help(name)
  }
  const command = await load()
  const own = args.slice(0, args.includes('--') ? args.indexOf('--') : undefined)
  if (own.includes('--help') || own.includes('-h')) {
    print(command.help.trim())
    return 0
  }
  return command.run(args)
}

// A reader that closes early (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

try {
  process.exitCode = await main()
} catch (error) {
  if (error instanceof PlainError) {
    process.stderr.write(`bailiwick: ${error.message}\n`)
    process.exitCode = error.exitCode
  } else if (error instanceof ConfigError) {
    process.stderr.write(`bailiwick: ${error.message}\n`)
    process.exitCode = EXIT_CONFIG
  } else {
    process.stderr.write(`bailiwick: ${error instanceof Error ? error.stack : String(error)}\n`)
    process.exitCode = 1
  }
}
