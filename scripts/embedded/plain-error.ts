// What is told to the operator in one clear sentence, without a stack: the situation is expected, and the sentence says how to mend it.

/** EX_USAGE of sysexits.h. */
export const EXIT_USAGE = 64

export class PlainError extends Error {
  readonly exitCode: number
  constructor(message: string, exitCode = 1) {
    super(message)
    this.name = 'PlainError'
    this.exitCode = exitCode
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
