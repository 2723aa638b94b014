// One part's log: appended as it comes, rotated by size. `name.log` is the newest, then `name.log.1` .. `.3`.
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'

export const MAX_LOG_BYTES = 10 * 1024 * 1024
const KEEP = 3
const KEEP_DAYS = 30

export type LogFile = { write(chunk: Uint8Array | string): void; close(): void }

export function openLog(file: string, maxBytes = MAX_LOG_BYTES): LogFile {
  let descriptor = openSync(file, 'a', 0o600)
  let size = fstatSync(descriptor).size
  let closed = false
  return {
    write(chunk) {
      if (closed) return
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      if (size > 0 && size + bytes.length > maxBytes) {
        closeSync(descriptor)
        rotate(file)
        descriptor = openSync(file, 'a', 0o600)
        size = 0
      }
      try {
        writeSync(descriptor, bytes)
        size += bytes.length
      } catch {
        // A full disk costs log lines; it must not cost the part that wrote them.
      }
    },
    close() {
      if (closed) return
      closed = true
      closeSync(descriptor)
    },
  }
}

export function rotate(file: string): void {
  for (let index = KEEP - 1; index >= 1; index -= 1) {
    if (existsSync(`${file}.${index}`)) renameSync(`${file}.${index}`, `${file}.${index + 1}`)
  }
  if (existsSync(file)) renameSync(file, `${file}.1`)
}

/** Operational logs are kept 30 days (mechanisms.md §10). */
export function removeOldLogs(folder: string, now = Date.now()): void {
  for (const name of readdirSync(folder)) {
    const file = `${folder}/${name}`
    if (/\.log\.\d$/.test(name) && now - statSync(file).mtimeMs > KEEP_DAYS * 86_400_000) rmSync(file)
  }
}

/** The last `count` lines of a log; none when there is none. */
export function lastLines(file: string, count: number): string[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .slice(-256 * 1024)
    .trimEnd()
    .split('\n')
    .filter(Boolean)
    .slice(-count)
}
