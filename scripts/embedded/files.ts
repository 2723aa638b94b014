// Files that are whole or absent: written beside, flushed, renamed. A crash in between leaves only a `.new` that nobody reads.
import {
  chownSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  chmodSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'

export type Owner = { readonly uid: number; readonly gid: number }
export const ROOT_OWNER: Owner = { uid: 0, gid: 0 }

export function writeWhole(file: string, text: string, mode: number, owner: Owner = ROOT_OWNER): void {
  const temporary = `${file}.new`
  const descriptor = openSync(temporary, 'w', 0o600)
  writeSync(descriptor, text)
  fchmodSync(descriptor, mode)
  fsyncSync(descriptor)
  closeSync(descriptor)
  chownSync(temporary, owner.uid, owner.gid)
  renameSync(temporary, file)
  syncFolder(dirname(file))
}

export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

/** Makes the folder, or sets its mode and owner anew: an upgrade may have changed them. */
export function makeFolder(folder: string, mode: number, owner: Owner = ROOT_OWNER): void {
  mkdirSync(folder, { recursive: true, mode })
  chmodSync(folder, mode)
  chownSync(folder, owner.uid, owner.gid)
}

/** A file of the supervisor's own; null when it is absent or cut off. */
export function readJson(file: string): unknown {
  if (!existsSync(file)) return null
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return null
  }
}
