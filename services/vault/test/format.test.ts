import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { CHUNK_BYTES, createSealer, HEADER_BYTES, makeHeader, openChunks } from '../src/format.ts'

const folder = mkdtempSync(`${tmpdir()}/bailiwick-format-`)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function countOpened(file: Buffer, objectKey: Buffer): Promise<number> {
  const handle = await open(`${folder}/object`, 'w+')
  let opened = 0
  try {
    await handle.write(file)
    for await (const _ of openChunks(handle, 'id', objectKey, file.length)) opened += 1
    return opened
  } finally {
    await handle.close()
  }
}

// The hash at the end of a read would notice these too, but only after the reader has had all of it.
test('a chunk opens only at its own place, and the last one only as the last', async () => {
  const { bytes: header, objectKey } = makeHeader(randomBytes(32), 'id', 1)
  const sealer = createSealer(objectKey)
  const chunks = [...sealer.push(randomBytes(3 * CHUNK_BYTES)), sealer.end()]
  expect(chunks).toHaveLength(3)
  const file = (...parts: (Buffer | undefined)[]) => Buffer.concat([header, ...parts.map((part) => part!)])
  const [first, second, third] = chunks
  expect(header).toHaveLength(HEADER_BYTES)
  expect(await countOpened(file(first, second, third), objectKey)).toBe(3)
  for (const wrong of [file(first, second), file(first), file(second, first, third), file(first, third), file(third)])
    await expect(countOpened(wrong, objectKey)).rejects.toMatchObject({ code: 'RESTORE_POINT_DAMAGED' })
})
