import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { requireStrongKey } from '@bailiwick/kernel/config'
import { openSealedFile, writeSealedFile } from '@bailiwick/kernel/secrets'

describe('the sealed file', () => {
  const folder = mkdtempSync(`${tmpdir()}/bailiwick-secrets-`)
  const file = `${folder}/policy.sealed`
  const key = randomBytes(32)
  beforeEach(() => writeSealedFile(file, key, { permit_key: 'ab'.repeat(32), mac: randomBytes(32).toString('hex') }))
  afterAll(() => rmSync(folder, { recursive: true }))

  test('keeps what was put, across a restart, and shows nothing on disk', async () => {
    await openSealedFile(file, key).put('database_password', 'correct horse')
    const store = openSealedFile(file, key)
    expect(await store.get('database_password')).toBe('correct horse')
    expect(readFileSync(file).includes('correct horse')).toBe(false)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })
  test('does not open under another key, nor with one byte changed', () => {
    expect(() => openSealedFile(file, randomBytes(32))).toThrow('does not open')
    const bytes = readFileSync(file)
    bytes[40]! ^= 1
    writeFileSync(file, bytes)
    expect(() => openSealedFile(file, key)).toThrow('does not open')
  })
  test('names an absent secret without a value', async () => {
    await expect(openSealedFile(file, key).get('__proto__')).rejects.toMatchObject({ code: 'SECRETS_UNAVAILABLE' })
  })
  test('wraps under a key made once; another key or a changed byte does not unwrap', async () => {
    const store = openSealedFile(file, key)
    const wrapped = await store.wrap('openings', Buffer.from('secret'))
    expect((await openSealedFile(file, key).unwrap('openings', wrapped)).toString()).toBe('secret')
    await store.wrap('other', Buffer.from('x'))
    await expect(store.unwrap('other', wrapped)).rejects.toMatchObject({ code: 'SECRETS_UNAVAILABLE' })
    wrapped[wrapped.length - 1]! ^= 1
    await expect(store.unwrap('openings', wrapped)).rejects.toMatchObject({ code: 'SECRETS_UNAVAILABLE' })
  })
  test('signs with the same key after a restart', async () => {
    const first = await openSealedFile(file, key).sign('checkpoint', Buffer.from('a'))
    expect(first).toHaveLength(64)
    expect(await openSealedFile(file, key).sign('checkpoint', Buffer.from('a'))).toEqual(first)
  })
  test.each([undefined, '', 'changeme', '00'.repeat(32), 'deadbeef'.repeat(8)])(
    'a weak key (%s) stops the start without showing it',
    (weak) => {
      expect(() => requireStrongKey('permit_key', weak)).toThrow(
        /^setting permit_key: is (missing|not random|not 64 hex digits)$/,
      )
    },
  )
})
