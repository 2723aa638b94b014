// How a restore point lies on the disk: an authenticated header, then AES-256-GCM chunks in the manner of STREAM (Hoang et al. 2015).
// Each object has a key of its own, derived from its identity and its creation time, so that a file renamed, back-dated,
// cut, extended or re-ordered by whoever reaches the disk does not open. What that attacker can still do is destroy it.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { Fault } from '@bailiwick/kernel/result'

export const CHUNK_BYTES = 64 * 1024
const TAG_BYTES = 16
const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
const MAGIC = Buffer.from('BWVAULT1')
const SALT_BYTES = 32
const MAC_BYTES = 32
export const HEADER_BYTES = MAGIC.length + 8 + SALT_BYTES + MAC_BYTES

export type Header = { readonly createdAt: number; readonly objectKey: Buffer }

const damaged = (identity: string, why: string): Fault => new Fault('RESTORE_POINT_DAMAGED', `${identity}: ${why}`)

function deriveKey(atRestKey: Buffer, identity: string, front: Buffer): Buffer {
  const salt = front.subarray(MAGIC.length + 8)
  const time = front.subarray(MAGIC.length, MAGIC.length + 8)
  const info = Buffer.concat([Buffer.from(`bailiwick vault object v1\n${identity}\n`), time])
  return Buffer.from(hkdfSync('sha256', atRestKey, salt, info, 32))
}

const macOf = (objectKey: Buffer, front: Buffer): Buffer => createHmac('sha256', objectKey).update(front).digest()

/** A fresh header for the object `identity` (`<account>/<kind>/<name>.<sha256>`), created at `createdAt` (ms). */
export function makeHeader(
  atRestKey: Buffer,
  identity: string,
  createdAt: number,
): { bytes: Buffer; objectKey: Buffer } {
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(BigInt(createdAt))
  const front = Buffer.concat([MAGIC, time, randomBytes(SALT_BYTES)])
  const objectKey = deriveKey(atRestKey, identity, front)
  return { bytes: Buffer.concat([front, macOf(objectKey, front)]), objectKey }
}

/** Reads and authenticates a header. Not this object's, or changed in any bit: Fault RESTORE_POINT_DAMAGED. */
export function openHeader(atRestKey: Buffer, identity: string, bytes: Buffer): Header {
  if (bytes.length !== HEADER_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw damaged(identity, 'no header')
  const front = bytes.subarray(0, HEADER_BYTES - MAC_BYTES)
  const objectKey = deriveKey(atRestKey, identity, front)
  if (!timingSafeEqual(macOf(objectKey, front), bytes.subarray(HEADER_BYTES - MAC_BYTES)))
    throw damaged(identity, 'header is not authentic')
  return { createdAt: Number(front.readBigUInt64BE(MAGIC.length)), objectKey }
}

// The key is used for one object only, so counting is enough for uniqueness; position and finality are in the nonce,
// so a chunk opens at its own place only and the last one only as the last.
function nonce(index: number, final: boolean): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUIntBE(index, 5, 6)
  bytes[11] = final ? 1 : 0
  return bytes
}

export type Sealer = {
  /** Takes plaintext of any length; returns the sealed chunks that became certain not to be the last. */
  push(data: Buffer): Buffer[]
  /** The last chunk; it may be empty. */
  end(): Buffer
}

/** Cuts plaintext into sealed chunks, holding at most one chunk in memory. */
export function createSealer(objectKey: Buffer): Sealer {
  const waiting = Buffer.allocUnsafe(CHUNK_BYTES)
  let filled = 0
  let index = 0
  const seal = (final: boolean): Buffer => {
    const cipher = createCipheriv('aes-256-gcm', objectKey, nonce(index, final))
    const body = cipher.update(waiting.subarray(0, filled))
    cipher.final()
    index += 1
    filled = 0
    return Buffer.concat([body, cipher.getAuthTag()])
  }
  return {
    push(data) {
      const sealed: Buffer[] = []
      for (let at = 0; at < data.length;) {
        if (filled === CHUNK_BYTES) sealed.push(seal(false))
        const taken = data.copy(waiting, filled, at, at + CHUNK_BYTES - filled)
        filled += taken
        at += taken
      }
      return sealed
    },
    end: () => seal(true),
  }
}

const chunkCount = (bodyBytes: number): number => Math.max(1, Math.ceil(bodyBytes / SEALED_CHUNK_BYTES))

/** The plaintext's size, from the file's. */
export const plainSize = (fileBytes: number): number =>
  fileBytes - HEADER_BYTES - chunkCount(fileBytes - HEADER_BYTES) * TAG_BYTES

/** Yields the plaintext, chunk by chunk, each one authenticated before it is handed out. */
export async function* openChunks(
  file: FileHandle,
  identity: string,
  objectKey: Buffer,
  fileBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  const bodyBytes = fileBytes - HEADER_BYTES
  const count = chunkCount(bodyBytes)
  for (let index = 0; index < count; index += 1) {
    const start = index * SEALED_CHUNK_BYTES
    const length = Math.min(SEALED_CHUNK_BYTES, bodyBytes - start)
    if (length < TAG_BYTES) throw damaged(identity, 'cut short')
    const sealed = await readExactly(file, HEADER_BYTES + start, length, identity)
    const decipher = createDecipheriv('aes-256-gcm', objectKey, nonce(index, index === count - 1))
    decipher.setAuthTag(sealed.subarray(length - TAG_BYTES))
    const plain = decipher.update(sealed.subarray(0, length - TAG_BYTES))
    try {
      decipher.final()
    } catch {
      throw damaged(identity, `chunk ${index} is not authentic`)
    }
    yield plain
  }
}

/** Reads `length` bytes at `position`; fewer: Fault RESTORE_POINT_DAMAGED. */
export async function readExactly(
  file: FileHandle,
  position: number,
  length: number,
  identity: string,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done)
    if (bytesRead === 0) throw damaged(identity, 'cut short')
    done += bytesRead
  }
  return bytes
}
