import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { entry, framed, gone, makeFixture, operation, PERSONAL, spawnAudit, type Fixture } from './helpers.ts'

let log: Fixture
beforeAll(async () => {
  log = await makeFixture()
})
afterAll(() => log.close())

test('the door records, answers and keeps each arrow to its routes; SIGTERM answers what waits and ends with 0', async () => {
  const audit = await spawnAudit({ folder: log.folder, databaseUrl: log.database.as('audit') })
  const [policy, steward, reaper] = [audit.as('policy'), audit.as('steward'), audit.as('reaper')]
  try {
    const id = operation()
    const intent = framed('intent', id) as Parameters<typeof steward.intend>[0]
    const outcome = framed('outcome', id) as Parameters<typeof steward.outcome>[0]
    await expect(steward.outcome(outcome)).rejects.toMatchObject({ code: 'INTENT_MISSING' })
    const receipt = await steward.intend(intent)
    expect(await steward.intend(intent)).toEqual(receipt)
    expect(await steward.outcome(outcome)).toMatchObject({ index: receipt.index + 1 })
    expect(await reaper.intent_of({ operation_id: id })).toMatchObject({
      intent: { account: 'acc-1', tool: 'add_domain' },
    })
    const { entries } = await steward.query({ account: 'acc-1' })
    expect(entries.map(({ personal }) => personal)).toEqual([PERSONAL, PERSONAL])

    // An intent is the reaper's warrant: nobody but the steward may write one, on whichever route.
    await expect(policy.intend(intent)).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
    await expect(policy.append(framed('intent', operation()))).rejects.toMatchObject({ code: 'MESSAGE_INVALID' })
    await expect(reaper.append(framed('outcome', id))).rejects.toMatchObject({ code: 'MESSAGE_INVALID' })
    await expect(policy.intent_of({ operation_id: id })).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
    await expect(reaper.query({ account: 'acc-1' })).rejects.toMatchObject({ code: 'ARROW_REFUSED' })

    // Events of other systems are policy's to tell: who else could would take an event's place before it comes.
    const event_id = randomUUID()
    for (const other of [steward, reaper])
      await expect(other.append({ ...entry(), event_id })).rejects.toMatchObject({ code: 'MESSAGE_INVALID' })
    const told = await policy.append({ ...entry(), event_id })
    expect(await policy.append({ ...entry(), event_id })).toEqual(told)
    const elsewhere = policy.append({ ...entry({ account: 'acc-2' }), event_id })
    await expect(elsewhere).rejects.toMatchObject({ code: 'EVENT_CONFLICT' })

    const before = (await log.leaves()).length
    const waiting = Array.from({ length: 100 }, () => policy.append(entry()))
    await waiting[0]
    audit.child.kill('SIGTERM')
    const results = await Promise.allSettled(waiting)
    expect(await gone(audit.child)).toBe(0)
    const answered = results.filter(({ status }) => status === 'fulfilled').length
    expect((await log.leaves()).length - before).toBe(answered)
  } finally {
    for (const client of [policy, steward, reaper]) client.close()
    audit.child.kill('SIGKILL')
    await gone(audit.child)
  }
})

test('started before its database, it refuses with AUDIT_UNAVAILABLE and works as soon as that is there', async () => {
  const { superuser, name } = log.database
  const admin = new Client({ connectionString: superuser.replace(name, 'postgres') })
  await admin.connect()
  await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
  const audit = await spawnAudit({ folder: log.folder, databaseUrl: log.database.as('audit') })
  const policy = audit.as('policy')
  try {
    await expect(policy.append(entry())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
    await expect(policy.query({ account: 'acc-1' })).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
    expect(await policy.append(entry())).toMatchObject({ index: expect.any(Number) })
    expect((await policy.query({ account: 'acc-1' })).entries.length).toBeGreaterThan(0)
  } finally {
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
    await admin.end()
    policy.close()
    audit.child.kill('SIGKILL')
    await gone(audit.child)
  }
})

test('a missing setting stops the start with exit code 78, naming it', async () => {
  const child = spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { BAILIWICK_LISTEN: '127.0.0.1:0', BAILIWICK_KEYS_DIR: log.folder.path, BAILIWICK_SECRETS_FILE: 'x' },
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8')
  })
  expect(await gone(child)).toBe(78)
  expect(errors).toContain('BAILIWICK_DATABASE_URL')
})
