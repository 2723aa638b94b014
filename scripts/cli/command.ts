// What a command of ./bailiwick is, and how its options are read.
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { EXIT_USAGE, PlainError } from '../embedded/plain-error.ts'

export type Command = {
  readonly summary: string
  /** The whole help text of `./bailiwick help NAME`. */
  readonly help: string
  /** Resolves with the exit code. */
  run(args: readonly string[]): Promise<number>
}

export const print = (line = ''): void => void process.stdout.write(`${line}\n`)

export const usageError = (message: string): PlainError => new PlainError(message, EXIT_USAGE)

type Options = NonNullable<ParseArgsConfig['options']>

/** Reads options; a wrong one is a sentence that names the help. */
export function readOptions<const O extends Options>(
  command: string,
  args: readonly string[],
  options: O,
): ReturnType<typeof parseArgs<{ options: O; allowPositionals: true; args: string[] }>> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    const first = (error as Error).message.split('. ')[0]!
    throw usageError(`${first}. See: ./bailiwick help ${command}`)
  }
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? []
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
}
