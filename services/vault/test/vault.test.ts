import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync, chmodSync } from 'node:fs'
import http from 'node:http'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { vaultExpiryDoor, type RestorePointRef } from '@bailiwick/contracts/doors/vault'
import { connectDoor } from '@bailiwick/kernel/door'
import { CHUNK_BYTES, HEADER_BYTES } from '../src/format.ts'
import { freshVault, newAccount, refOf, type FreshVault } from './helpers.ts'

let vault: FreshVault
beforeAll(async () => {
  vault = await freshVault()
})
afterAll(() => vault.close())

const read = async (ref: RestorePointRef): Promise<Buffer> => buffer(await vault.steward.read(ref))
const incoming = (): string[] => readdirSync(`${vault.stateDir}/incoming`)
/** Changes a stored file behind the vault's back. */
function tamper(ref: RestorePointRef, change: (bytes: Buffer) => Buffer): void {
  const path = vault.pathOf(ref)
  const bytes = readFileSync(path)
  chmodSync(path, 0o600)
  writeFileSync(path, change(bytes))
}

describe('a restore point', () => {
  test.each([0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])(
    'of %i bytes comes back byte for byte, with its size and time in the list',
    async (size) => {
      const account = newAccount()
      const bytes = randomBytes(size)
      const ref = refOf(account, 'snapshot', 'op.thing', bytes)
      expect(await vault.keeper.create(ref, bytes)).toEqual({ created: true, size_bytes: size })
      expect((await read(ref)).equals(bytes)).toBe(true)
      expect(await vault.steward.verify(ref)).toEqual({ ok: true })
      expect(await vault.steward.list({ account_id: account, kind: 'snapshot' })).toEqual({
        items: [{ ...ref, size_bytes: size, created_at: vault.clock.now() }],
      })
    },
  )
  test('does not lie on the disk in plain text', async () => {
    const bytes = Buffer.from('a word that must not be found '.repeat(100))
    const ref = refOf(newAccount(), 'snapshot', 'op.plain', bytes)
    await vault.keeper.create(ref, bytes)
    expect(readFileSync(vault.pathOf(ref)).includes('must not be found')).toBe(false)
  })
  test('sent again is the same one: nothing is written, and other bytes under its hash are refused', async () => {
    const ref = refOf(newAccount(), 'wal', '000000010000000000000001', 'segment')
    expect(await vault.keeper.create(ref, Buffer.from('segment'))).toMatchObject({ created: true })
    const before = readFileSync(vault.pathOf(ref))
    expect(await vault.keeper.create(ref, Buffer.from('segment'))).toMatchObject({ created: false })
    await expect(vault.keeper.create(ref, Buffer.from('another'))).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
    expect(readFileSync(vault.pathOf(ref)).equals(before)).toBe(true)
    expect((await read(ref)).toString()).toBe('segment')
  })
  test('that arrives twice at once exists once, and both callers are told the truth', async () => {
    const bytes = randomBytes(500_000)
    const ref = refOf(newAccount(), 'base', 'label', bytes)
    const answers = await Promise.all(Array.from({ length: 4 }, () => vault.keeper.create(ref, bytes)))
    expect(answers.filter(({ created }) => created)).toHaveLength(1)
    expect((await read(ref)).equals(bytes)).toBe(true)
    expect(incoming()).toEqual([])
  })
  test('whose bytes do not hash to its name is refused and leaves nothing', async () => {
    const ref = refOf(newAccount(), 'snapshot', 'op.wrong', 'what was promised')
    await expect(vault.keeper.create(ref, Buffer.from('what came'))).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
    await expect(vault.keeper.read(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_ABSENT' })
    expect(await vault.keeper.verify(ref)).toEqual({ ok: false })
    expect(incoming()).toEqual([])
  })
  test('whose upload breaks off leaves nothing', async () => {
    const ref = refOf(newAccount(), 'base', 'broken', 'never whole')
    const body = Readable.from(
      (function* () {
        yield randomBytes(200_000)
        throw new Error('the caller dies')
      })(),
    )
    await expect(vault.keeper.create(ref, body)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
    // Another call on the same door is answered after the broken one was cleaned up or while it is.
    await vault.put({ account_id: newAccount(), kind: 'wal', name: 'x' }, 'x')
    await expect(vault.keeper.read(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_ABSENT' })
  })
  test('of 1 to 30 kB is stored, durable, in milliseconds', async () => {
    const account = newAccount()
    const bytes = randomBytes(30_000)
    const times: number[] = []
    for (let index = 0; index < 20; index += 1) {
      const start = performance.now()
      await vault.put({ account_id: account, kind: 'wal', name: `segment${index}` }, bytes)
      times.push(performance.now() - start)
    }
    // The median, so that a busy machine does not fail it; a vault that is slow by design does.
    expect(times.sort((a, b) => a - b)[10]).toBeLessThan(50)
  })
})

describe('what was changed on the disk is never handed out', () => {
  const bytes = randomBytes(3 * CHUNK_BYTES + 100)
  const sealedChunk = CHUNK_BYTES + 16
  const fresh = async () => vault.put({ account_id: newAccount(), kind: 'snapshot', name: 'op.db' }, bytes)
  const chunk = (file: Buffer, index: number): Buffer =>
    file.subarray(HEADER_BYTES + index * sealedChunk, HEADER_BYTES + (index + 1) * sealedChunk)
  const header = (file: Buffer): Buffer => file.subarray(0, HEADER_BYTES)
  const flip = (file: Buffer, at: number): Buffer => {
    const changed = Buffer.from(file)
    changed[at]! ^= 1
    return changed
  }
  const cases: [string, (file: Buffer) => Buffer][] = [
    ['one bit of the data', (file) => flip(file, HEADER_BYTES + sealedChunk + 5)],
    ['one bit of the last tag', (file) => flip(file, file.length - 1)],
    ['one bit of the salt', (file) => flip(file, 20)],
    ['the creation time', (file) => flip(file, 12)],
    ['cut in the middle of a chunk', (file) => file.subarray(0, file.length - 50)],
    ['cut exactly between chunks', (file) => file.subarray(0, HEADER_BYTES + 2 * sealedChunk)],
    ['cut to the header', header],
    ['cut to nothing', () => Buffer.alloc(0)],
    ['bytes added', (file) => Buffer.concat([file, Buffer.alloc(30)])],
    [
      'two chunks exchanged',
      (file) => Buffer.concat([header(file), chunk(file, 1), chunk(file, 0), chunk(file, 2), chunk(file, 3)]),
    ],
    [
      'a chunk doubled',
      (file) => Buffer.concat([header(file), chunk(file, 0), chunk(file, 0), chunk(file, 2), chunk(file, 3)]),
    ],
    ['a chunk taken out', (file) => Buffer.concat([header(file), chunk(file, 0), chunk(file, 1), chunk(file, 3)])],
  ]
  test.each(cases)('%s', async (_, change) => {
    const ref = await fresh()
    tamper(ref, change)
    await expect(read(ref)).rejects.toThrow()
    expect(await vault.keeper.verify(ref)).toEqual({ ok: false })
    await expect(vault.keeper.create(ref, bytes)).rejects.toMatchObject({ code: 'RESTORE_POINT_DAMAGED' })
  })
  test('the first chunks before the damage arrive, and then the stream breaks instead of ending', async () => {
    const ref = await fresh()
    tamper(ref, (file) => flip(file, file.length - 1))
    const hash = createHash('sha256')
    let ended = false
    await expect(
      (async () => {
        for await (const part of await vault.steward.read(ref)) hash.update(part as Buffer)
        ended = true
      })(),
    ).rejects.toThrow()
    expect(ended).toBe(false)
  })
  test('another object’s file under this name', async () => {
    const [one, other] = [await fresh(), await fresh()]
    tamper(one, () => readFileSync(vault.pathOf(other)))
    expect(await vault.keeper.verify(one)).toEqual({ ok: false })
  })
})

describe('the first door', () => {
  const send = (
    method: string,
    path: string,
    caller: string,
    key: Buffer,
    params?: object,
    body?: string,
    url?: string,
  ) =>
    new Promise<number>((resolve, reject) => {
      const request = http.request(url ?? vault.url, {
        method,
        path,
        agent: false,
        headers: {
          'x-bailiwick-caller': caller,
          'x-bailiwick-key': key.toString('hex'),
          ...(params ? { 'x-bailiwick-params': Buffer.from(JSON.stringify(params)).toString('base64url') } : {}),
        },
      })
      request.on('error', reject)
      request.on('response', (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode!))
        response.on('error', reject)
      })
      request.end(body)
    })

  test('driven with every method and route that a stolen key could try, neither changes nor removes an object', async () => {
    const ref = await vault.put({ account_id: newAccount(), kind: 'snapshot', name: 'op.target' }, 'precious')
    const before = readFileSync(vault.pathOf(ref))
    const other = JSON.stringify(ref)
    const routes = ['create', 'read', 'list', 'verify', 'expire', 'list_all', 'delete', 'remove', 'purge', 'health']
    const paths = [
      ...routes.map((route) => `/${route}`),
      ...routes.map((route) => `//${route}`),
      `/objects/${ref.account_id}/snapshot/${ref.name}.${ref.sha256}`,
      '/create?overwrite=true',
      '/__proto__',
      '/constructor',
      '/toString',
      '/..%2fobjects',
    ]
    const callers: [string, Buffer][] = [
      ['keeper', vault.keys.keeper],
      ['steward', vault.keys.steward],
      ['reaper', vault.keys.reaper],
      ['reaper', vault.keys.keeper],
      ['__proto__', vault.keys.keeper],
    ]
    for (const [caller, key] of callers)
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'MOVE'])
        for (const path of paths) await send(method, path, caller, key, ref, other)
    expect(readFileSync(vault.pathOf(ref)).equals(before)).toBe(true)
    expect((await read(ref)).toString()).toBe('precious')
  })
  test('has no expiry: the keeper’s and the steward’s keys are refused on the second door', async () => {
    const ref = await vault.put({ account_id: newAccount(), kind: 'wal', name: 'old' }, 'x')
    for (const caller of ['keeper', 'steward'] as const)
      for (const as of [caller, 'reaper']) {
        const client = connectDoor({
          door: vaultExpiryDoor,
          url: vault.secondUrl,
          caller: as,
          key: vault.keys[caller],
        })
        await expect(client.list_all({})).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
        await expect(client.expire(ref)).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
        client.close()
      }
    await expect(vault.reaper.expire(ref)).rejects.toMatchObject({ code: 'TOO_YOUNG' })
  })
  test.each([
    { name: '../../../../etc/passwd' },
    { name: '..' },
    { name: '.hidden' },
    { name: 'a/b' },
    { name: 'a\0b' },
    { name: '' },
    { name: 'a'.repeat(201) },
    { name: 'a'.repeat(195) },
    { kind: '../wal' },
    { kind: 'objects' },
    { account_id: '..' },
    { account_id: '../../00000000-0000-7000-8000-000000000000' },
    { sha256: '../x' },
    { sha256: `${'a'.repeat(63)}/` },
    { extra: true },
  ])('refuses a message with %j', async (change) => {
    const ref = { ...refOf(newAccount(), 'snapshot', 'op.x', 'x'), ...change } as never
    await expect(vault.keeper.create(ref, Buffer.from('x'))).rejects.toMatchObject({ code: 'MESSAGE_INVALID' })
    await expect(vault.keeper.read(ref)).rejects.toMatchObject({
      code: expect.stringMatching(/^(MESSAGE_INVALID|RESTORE_POINT_ABSENT|INTERNAL)$/),
    })
  })
  test('keeps one account’s restore points out of another’s list, and filters by prefix', async () => {
    const [mine, theirs] = [newAccount(), newAccount()]
    await vault.put({ account_id: mine, kind: 'snapshot', name: 'aa.1' }, '1')
    await vault.put({ account_id: mine, kind: 'snapshot', name: 'ab.2' }, '2')
    await vault.put({ account_id: theirs, kind: 'snapshot', name: 'aa.3' }, '3')
    const { items } = await vault.keeper.list({ account_id: mine, kind: 'snapshot', prefix: 'aa' })
    expect(items.map(({ name }) => name)).toEqual(['aa.1'])
  })
  test('files are read-only on the disk, and folders closed to others', async () => {
    const ref = await vault.put({ account_id: newAccount(), kind: 'wal', name: 'mode' }, 'x')
    expect(statSync(vault.pathOf(ref)).mode & 0o777).toBe(0o400)
    expect(statSync(`${vault.stateDir}/objects`).mode & 0o077).toBe(0)
  })
})
