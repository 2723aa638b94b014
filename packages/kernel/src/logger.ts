// Operational log: one JSON line per event on stdout. Not the audit log; kept 30 days; never a secret, never an input.

export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>
export type Logger = {
  info(event: string, fields?: Fields): void
  warn(event: string, fields?: Fields): void
  error(event: string, fields?: Fields, cause?: unknown): void
}

export function createLogger(
  service: string,
  write: (line: string) => void = (line) => void process.stdout.write(line),
): Logger {
  const log = (level: string, event: string, fields: Fields = {}): void =>
    write(`${JSON.stringify({ time: new Date().toISOString(), level, service, event, ...fields })}\n`)
  return {
    info: (event, fields) => log('info', event, fields),
    warn: (event, fields) => log('warn', event, fields),
    error: (event, fields, cause) =>
      log('error', event, {
        ...fields,
        ...(cause instanceof Error ? { error: cause.message, stack: cause.stack } : {}),
      }),
  }
}

export const silentLogger: Logger = { info: () => undefined, warn: () => undefined, error: () => undefined }
