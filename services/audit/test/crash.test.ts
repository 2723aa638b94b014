import { randomUUID } from 'node:crypto'
import { createServer } from 'node:net'
import { Client } from 'pg'
import { Fault } from '@bailiwick/kernel/result'
import type { Receipt } from '@bailiwick/contracts/doors/audit'
import type { Commit } from '../src/writer.ts'
import { entry, gone, makeFixture, readLeaves, spawnAudit, type Fixture } from './helpers.ts'
import { ownPostgres } from './own-postgres.ts'

let log: Fixture
beforeEach(async () => {
  log = await makeFixture()
})
afterEach(() => log.close())

type Acknowledged = Map<string, Receipt>
type Write = (requestId: string) => Promise<Receipt>

/** `clients` that write as fast as they are answered, until told to stop; what was acknowledged is kept. */
function load(clients: number, write: () => Write, acknowledged: Acknowledged) {
  const over = new AbortController()
  const refusals: unknown[] = []
  const running = Array.from({ length: clients }, async () => {
    while (!over.signal.aborted) {
      const requestId = randomUUID()
      try {
        acknowledged.set(requestId, await write()(requestId))
      } catch (error) {
        refusals.push(error)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  })
  const atLeast = async (count: number): Promise<void> => {
    while (acknowledged.size < count) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return {
    refusals,
    /** Until `more` further entries were acknowledged. */
    progress: (more: number) => atLeast(acknowledged.size + more),
    stop: async () => {
      over.abort()
      await Promise.all(running)
    },
  }
}

/** How many acknowledged entries do not stand, at their index, with their hash. The log itself must be gapless and single. */
async function countLost(acknowledged: Acknowledged, readLeaves = log.leaves): Promise<number> {
  const leaves = await readLeaves()
  expect(leaves.map(({ index }) => index)).toEqual(leaves.map((_, position) => position))
  const byRequest = Map.groupBy(leaves, ({ leaf }) => leaf['request_id'])
  expect([...byRequest.values()].filter(({ length }) => length > 1)).toEqual([])
  let lost = 0
  for (const [requestId, receipt] of acknowledged) {
    const found = byRequest.get(requestId)?.[0]
    if (found?.index !== receipt.index || found.leaf_hash.toString('hex') !== receipt.leaf_hash) lost += 1
  }
  return lost
}

describe('a batch whose fate is unknown', () => {
  /** The connection breaks at the first batch of `size`, before or after it landed. */
  const failing =
    (when: 'before' | 'after', times = 1): Commit =>
    async (session, rows) => {
      if (times-- <= 0) return session.append(rows)
      if (when === 'after') await session.append(rows)
      await session.close()
      throw new Fault('CONNECTION_LOST', 'as when the cable is pulled')
    }

  test('is acknowledged, not repeated, when it had landed', async () => {
    const writer = log.writer({ commit: failing('after') })
    const receipts = await Promise.all(['a', 'b', 'c'].map((request_id) => writer.write(entry({ request_id }))))
    expect(receipts.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(await log.leaves()).toHaveLength(3)
    expect(await writer.write(entry())).toMatchObject({ index: 3 })
  })

  test('is written again when it had not', async () => {
    const writer = log.writer({ commit: failing('before') })
    const receipts = await Promise.all(['a', 'b', 'c'].map((request_id) => writer.write(entry({ request_id }))))
    expect(receipts.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(await log.leaves()).toHaveLength(3)
  })

  test('is refused when it fails twice, and the log goes on', async () => {
    const writer = log.writer({ commit: failing('before', 2) })
    await expect(writer.write(entry())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
    expect(await writer.write(entry())).toMatchObject({ index: 0 })
  })
})

test('connections killed 25 times under load: every acknowledged entry stands once', async () => {
  const writer = log.writer()
  const acknowledged: Acknowledged = new Map()
  const clients = load(16, () => (request_id) => writer.write(entry({ request_id })), acknowledged)
  let cuts = 0
  while (cuts < 25) {
    await clients.progress(40)
    cuts += await log.cut()
  }
  await clients.progress(40)
  await clients.stop()
  expect(acknowledged.size).toBeGreaterThan(1000)
  for (const refusal of clients.refusals) expect(refusal).toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
  expect(await countLost(acknowledged)).toBe(0)
})

test('a log that cannot be reached is refused within 3 seconds, also by a server that does not answer', async () => {
  const silent = createServer()
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as { port: number }
  const writer = log.writer({ url: `postgres://audit:x@127.0.0.1:${port}/x` })
  const began = performance.now()
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => writer.write(entry())))
  expect(performance.now() - began).toBeLessThan(3_000)
  for (const result of results) expect(result).toMatchObject({ reason: { code: 'AUDIT_UNAVAILABLE' } })
  silent.close()
})

test('a read-only or full database refuses cleanly, and is written again when it recovers', async () => {
  const writer = log.writer()
  await writer.write(entry())
  await log.root.query(`ALTER ROLE audit IN DATABASE ${log.database.name} SET default_transaction_read_only = on`)
  await log.cut()
  await expect(writer.write(entry())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
  await log.root.query(`ALTER ROLE audit IN DATABASE ${log.database.name} RESET default_transaction_read_only`)
  expect(await writer.write(entry())).toMatchObject({ index: 1 })

  await log.root.query(`
    CREATE FUNCTION pg_temp.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no space left' USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON audit.leaves FOR EACH ROW EXECUTE FUNCTION pg_temp.full_disk()`)
  await expect(writer.write(entry())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
  await log.root.query('DROP TRIGGER full_disk ON audit.leaves')
  expect(await writer.write(entry())).toMatchObject({ index: 2 })
})

test('PostgreSQL killed with SIGKILL under load: refusals meanwhile, no acknowledged entry lost, and it goes on by itself', async () => {
  const server = await ownPostgres()
  try {
    const writer = log.writer({ url: server.audit })
    const acknowledged: Acknowledged = new Map()
    const clients = load(16, () => (request_id) => writer.write(entry({ request_id })), acknowledged)
    for (let round = 0; round < 3; round += 1) {
      await clients.progress(200)
      await server.kill()
      await expect(writer.write(entry())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
      await server.start()
    }
    await clients.progress(200)
    await clients.stop()
    await writer.close()
    const root = new Client({ connectionString: server.superuser })
    await root.connect()
    expect(await countLost(acknowledged, () => readLeaves(root))).toBe(0)
    await root.end()
  } finally {
    await server.remove()
  }
})

describe('the writer process killed with SIGKILL under load', () => {
  const killRounds = async (main: string, rounds: number): Promise<{ acknowledged: number; lost: number }> => {
    const acknowledged: Acknowledged = new Map()
    for (let round = 0; round < rounds; round += 1) {
      const audit = await spawnAudit({ folder: log.folder, databaseUrl: log.database.as('audit'), main })
      const policy = audit.as('policy')
      const clients = load(16, () => (request_id) => policy.append(entry({ request_id })), acknowledged)
      await clients.progress(100 + Math.floor(Math.random() * 200))
      audit.child.kill('SIGKILL')
      await gone(audit.child)
      await clients.stop()
      policy.close()
    }
    return { acknowledged: acknowledged.size, lost: await countLost(acknowledged) }
  }

  test('no acknowledged entry is lost', async () => {
    const { acknowledged, lost } = await killRounds('src/main.ts', 4)
    expect(acknowledged).toBeGreaterThan(400)
    expect(lost).toBe(0)
  })

  test('an event whose receipt was lost with the writer is told again and stands once', async () => {
    const events = Array.from({ length: 300 }, () => randomUUID())
    const receipts = new Map<string, Receipt>()
    for (let round = 0; round < 3; round += 1) {
      const audit = await spawnAudit({ folder: log.folder, databaseUrl: log.database.as('audit') })
      const policy = audit.as('policy')
      const telling = events.map(async (event_id) => {
        const receipt = await policy.append({ ...entry({ request_id: event_id }), event_id })
        // Whoever was answered before hears the same again.
        expect(receipts.get(event_id) ?? receipt).toEqual(receipt)
        receipts.set(event_id, receipt)
      })
      const over = Promise.allSettled(telling)
      // Killed while the answers come in; in the last round all are answered.
      if (round < 2) await Promise.race([over, Promise.any(telling)])
      else await over
      audit.child.kill('SIGKILL')
      await gone(audit.child)
      const results = await over
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
      policy.close()
    }
    expect(receipts.size).toBe(events.length)
    expect(await countLost(receipts)).toBe(0)
    expect(await log.leaves()).toHaveLength(events.length)
  })

  test('the same test catches a writer that acknowledges before it commits', async () => {
    const { lost } = await killRounds('test/mutant-main.ts', 1)
    expect(lost).toBeGreaterThan(0)
  })
})
