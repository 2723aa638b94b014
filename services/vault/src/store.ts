// The append-only half of the vault: create exclusively, read, verify. Nothing here can overwrite or remove an object.
// A new object is written apart (incoming/), fsynced, and only then linked into place under its name; link(2) never replaces.
import { createHash, randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import type { RestorePointRef } from '@bailiwick/contracts/doors/vault'
import type { Clock } from '@bailiwick/kernel/clock'
import { syncFolder } from '@bailiwick/kernel/durable-file'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import { createSealer, makeHeader, openChunks } from './format.ts'
import type { Objects, OpenObject } from './objects.ts'

const MAX_FILE_NAME = 255

export type Store = {
  create(ref: RestorePointRef, body: AsyncIterable<Buffer>): Promise<{ created: boolean; size_bytes: number }>
  read(ref: RestorePointRef): Promise<Readable>
  verify(ref: RestorePointRef): Promise<boolean>
}

/** Prepares the folders and removes what uploads left behind that died half way; none of it was ever acknowledged. */
export async function prepareFolders(root: string, logger: Logger): Promise<void> {
  for (const folder of ['objects', 'incoming']) await mkdir(`${root}/${folder}`, { recursive: true, mode: 0o700 })
  const left = await readdir(`${root}/incoming`)
  for (const file of left) await rm(`${root}/incoming/${file}`)
  if (left.length > 0) logger.warn('unfinished_uploads_removed', { count: left.length })
  await syncFolder(root)
}

export function createStore(objects: Objects, atRestKey: Buffer, clock: Clock): Store {
  const durableFolders = new Set<string>()
  const ensureFolder = async (folder: string): Promise<void> => {
    if (durableFolders.has(folder)) return
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await syncFolder(dirname(folder))
    await syncFolder(dirname(dirname(folder)))
    durableFolders.add(folder)
  }

  async function* plaintext(ref: RestorePointRef, object: OpenObject): AsyncGenerator<Buffer, void, undefined> {
    const hash = createHash('sha256')
    try {
      for await (const chunk of openChunks(object.file, objects.identityOf(ref), object.objectKey, object.fileBytes)) {
        hash.update(chunk)
        yield chunk
      }
    } finally {
      await object.file.close()
    }
    // The chunks were authentic, so a difference here is a bug of ours, not damage; the reader must not believe it either.
    if (hash.digest('hex') !== ref.sha256)
      throw new Fault('RESTORE_POINT_DAMAGED', `${objects.identityOf(ref)}: hash differs`)
  }

  const verify = async (ref: RestorePointRef): Promise<boolean> => {
    try {
      const object = await objects.openObject(ref)
      if (!object) return false
      for await (const _ of plaintext(ref, object));
      return true
    } catch (error) {
      if (error instanceof Fault && error.code === 'RESTORE_POINT_DAMAGED') return false
      throw error
    }
  }

  const writeSealed = async (
    file: Awaited<ReturnType<typeof open>>,
    ref: RestorePointRef,
    body: AsyncIterable<Buffer>,
  ): Promise<number> => {
    const hash = createHash('sha256')
    const { bytes: header, objectKey } = makeHeader(atRestKey, objects.identityOf(ref), clock.now())
    const sealer = createSealer(objectKey)
    let waiting: Buffer[] = [header]
    let sizeBytes = 0
    for await (const data of body) {
      hash.update(data)
      sizeBytes += data.length
      waiting.push(...sealer.push(data))
      if (waiting.length > 1) {
        await file.writeFile(Buffer.concat(waiting))
        waiting = []
      }
    }
    if (hash.digest('hex') !== ref.sha256)
      throw new Fault('HASH_MISMATCH', `${objects.identityOf(ref)}: other bytes arrived`)
    await file.writeFile(Buffer.concat([...waiting, sealer.end()]))
    await file.sync()
    return sizeBytes
  }

  return {
    verify,
    create: async (ref, body) => {
      const path = objects.pathOf(ref)
      if (`${ref.name}.${ref.sha256}`.length > MAX_FILE_NAME)
        throw new Fault('MESSAGE_INVALID', 'the name is too long for a file')
      const temporary = `${objects.root}/incoming/${randomUUID()}`
      try {
        const file = await open(temporary, 'wx', 0o400)
        try {
          const sizeBytes = await writeSealed(file, ref, body)
          await ensureFolder(objects.folderOf(ref))
          const created = await linkExclusively(temporary, path)
          if (!created && !(await verify(ref)))
            // Not replaced, although we hold good bytes: nothing in this file can tell damage from a failing disk.
            throw new Fault('RESTORE_POINT_DAMAGED', `${objects.identityOf(ref)}: the stored object is damaged`)
          // Also when it was there already: another upload may have linked it and not have come this far.
          await syncFolder(objects.folderOf(ref))
          return { created, size_bytes: sizeBytes }
        } finally {
          await file.close()
        }
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'ENOSPC' || code === 'EDQUOT')
          throw new Fault('VAULT_FULL', `no space for ${objects.identityOf(ref)}`, { cause: error })
        throw error
      } finally {
        // Dying before this line leaves a file in incoming/, which the next start removes.
        await rm(temporary, { force: true })
      }
    },
    read: async (ref) => {
      const object = await objects.openObject(ref)
      if (!object) throw new Fault('RESTORE_POINT_ABSENT', objects.identityOf(ref))
      return Readable.from(plaintext(ref, object), { objectMode: false })
    },
  }
}

async function linkExclusively(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}
