import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { connectDoor, serveDoor, type Door } from '@bailiwick/kernel/door'
import { silentLogger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'

const door = {
  service: 'echo',
  unavailable: 'BACKEND_UNAVAILABLE',
  routes: {
    echo: {
      kind: 'json',
      callers: ['friend'],
      input: z.strictObject({ word: z.string() }),
      output: z.strictObject({ word: z.string() }),
    },
    secret: { kind: 'json', callers: ['other'], input: z.strictObject({}), output: z.strictObject({}) },
    up: {
      kind: 'upload',
      callers: ['friend'],
      input: z.strictObject({ name: z.string() }),
      output: z.strictObject({ size: z.number() }),
    },
    down: { kind: 'download', callers: ['friend'], input: z.strictObject({}), output: z.unknown() },
  },
} as const satisfies Door

describe('a door', () => {
  const key = randomBytes(32)
  let server: Awaited<ReturnType<typeof serveDoor>>
  const connect = (caller: string, arrowKey: Buffer) =>
    connectDoor({ door, url: `http://127.0.0.1:${server.port}`, caller, key: arrowKey, timeoutMs: 2000 })
  const waiting = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  const clients: { close(): void }[] = []
  const client = (caller = 'friend', arrowKey = key) => {
    const made = connect(caller, arrowKey)
    clients.push(made)
    return made
  }
  beforeAll(async () => {
    server = await serveDoor({
      door,
      listen: { host: '127.0.0.1', port: 0 },
      keys: { friend: key, other: randomBytes(32) },
      logger: silentLogger,
      handlers: {
        echo: async ({ word }, { signal }) => {
          if (word === 'fault') throw new Fault('SNAPSHOT_FAILED', 'no space')
          if (word === 'wait') {
            waiting.resolve()
            await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
            gone.resolve()
          }
          return { word }
        },
        secret: async () => ({}),
        up: async (_, { body }) => ({ size: (await text(body)).length }),
        down: async () => Readable.from(['one ', 'two']),
      },
    })
  })
  afterAll(async () => {
    for (const each of clients) each.close()
    await server.close()
  })

  test('answers a caller who proves its arrow', async () => {
    expect(await client().echo({ word: 'yes' })).toEqual({ word: 'yes' })
  })
  test('refuses a wrong key, and another caller’s route', async () => {
    await expect(client('friend', randomBytes(32)).echo({ word: 'x' })).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
    await expect(client().secret({})).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
    await expect(client('__proto__').echo({ word: 'x' })).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
  })
  test('refuses a message that does not fit, and passes a fault’s code on', async () => {
    await expect(client().echo({ word: 1 } as never)).rejects.toMatchObject({ code: 'MESSAGE_INVALID' })
    await expect(client().echo({ word: 'fault' })).rejects.toMatchObject({ code: 'SNAPSHOT_FAILED' })
  })
  test('a caller that hangs up ends the wait on both sides', async () => {
    const hangUp = new AbortController()
    const answer = client().echo({ word: 'wait' }, { signal: hangUp.signal })
    await waiting.promise
    hangUp.abort()
    await expect(answer).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
    await gone.promise
  })
  test('streams bytes both ways', async () => {
    expect(await client().up({ name: 'a' }, Readable.from([Buffer.from('12345')]))).toEqual({ size: 5 })
    expect(await text(await client().down({}))).toBe('one two')
  })
  test('listens on a unix socket that only its owner may open, also where a killed predecessor left one', async () => {
    const folder = mkdtempSync(`${tmpdir()}/door-`)
    const path = `${folder}/admin.sock`
    writeFileSync(path, '')
    const echo = { door, keys: { friend: key }, logger: silentLogger }
    const local = await serveDoor({
      ...echo,
      listen: { path },
      handlers: {
        echo: async ({ word }) => ({ word }),
        secret: async () => ({}),
        up: async () => ({ size: 0 }),
        down: async () => Readable.from([]),
      },
    })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const friend = connectDoor({ door, url: `unix:${path}`, caller: 'friend', key })
    expect(await friend.echo({ word: 'local' })).toEqual({ word: 'local' })
    const stranger = connectDoor({ door, url: `unix:${path}`, caller: 'friend', key: randomBytes(32) })
    await expect(stranger.echo({ word: 'x' })).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
    friend.close()
    stranger.close()
    await local.close()
    rmSync(folder, { recursive: true })
  })
  test('names itself unavailable when nobody listens', async () => {
    const nobody = connectDoor({ door, url: 'http://127.0.0.1:1', caller: 'friend', key })
    await expect(nobody.echo({ word: 'x' })).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
    nobody.close()
  })
})
