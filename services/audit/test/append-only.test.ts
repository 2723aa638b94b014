import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { entry, framed, makeFixture, operation, type Fixture } from './helpers.ts'

let log: Fixture
beforeAll(async () => {
  log = await makeFixture()
  const writer = log.writer()
  const id = operation()
  await writer.write(entry(), randomUUID())
  await writer.write(framed('intent', id))
  await writer.write(framed('outcome', id))
})
afterAll(() => log.close())

const TABLES = ['audit.leaves', 'audit.openings', 'audit.partitions', 'audit.events', 'audit.head']
const CHANGES: Record<string, string[]> = {
  'audit.leaves': ["UPDATE audit.leaves SET leaf = '{}'", 'UPDATE audit.leaves SET account = NULL WHERE false'],
  'audit.openings': ["UPDATE audit.openings SET sealed = ''"],
  'audit.partitions': ["UPDATE audit.partitions SET key_check = ''"],
  'audit.events': ['UPDATE audit.events SET index = 0'],
  'audit.head': [
    'UPDATE audit.head SET next_index = 0',
    'UPDATE audit.head SET next_index = next_index - 1',
    'UPDATE audit.head SET epoch = epoch - 1',
  ],
}
const attacks = TABLES.flatMap((table) => [...CHANGES[table]!, `DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`])
const partitionAttacks = (partition: string): string[] => [
  `UPDATE ${partition} SET sealed = ''`,
  `DELETE FROM ${partition}`,
  `TRUNCATE ${partition}`,
]

const outcomeOf = async (client: Client, sql: string): Promise<string> => {
  try {
    await client.query('BEGIN')
    await client.query(sql)
    return 'allowed'
  } catch (error) {
    return (error as { code: string }).code
  } finally {
    await client.query('ROLLBACK')
  }
}

const partitionNames = async (): Promise<string[]> => {
  const { rows } = await log.root.query<{ name: string }>(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'audit.openings'::regclass`,
  )
  expect(rows.length).toBeGreaterThan(0)
  return rows.map(({ name }) => name)
}

test('the owner and the superuser are refused every UPDATE, DELETE and TRUNCATE, on tables and on partitions', async () => {
  for (const identity of ['RESET ROLE', 'SET ROLE bailiwick_owner', 'SET session_replication_role = replica']) {
    await log.root.query(identity)
    for (const sql of [...attacks, ...(await partitionNames()).flatMap(partitionAttacks)])
      expect([identity, sql, await outcomeOf(log.root, sql)]).toEqual([identity, sql, '42501'])
    await log.root.query('RESET ROLE; RESET session_replication_role')
  }
  expect(await log.leaves()).toHaveLength(3)
})

test.each(['audit', 'policy', 'steward', 'anomaly'] as const)('the role %s cannot change the log', async (role) => {
  const client = new Client({ connectionString: log.database.as(role) })
  await client.connect()
  try {
    const inserts = [
      `INSERT INTO audit.leaves (index, time_ms, leaf, leaf_hash, kind, partition) VALUES (99, 0, '{}', sha256('\\x007b7d'), 'call', 'x')`,
      `INSERT INTO audit.openings VALUES ('standard-2026-11', 99, '')`,
      `INSERT INTO audit.partitions VALUES ('standard-2031-01', sha256(''))`,
      'INSERT INTO audit.head DEFAULT VALUES',
    ]
    const owning = [
      'DROP TABLE audit.leaves',
      'ALTER TABLE audit.leaves DISABLE TRIGGER ALL',
      'ALTER TABLE audit.leaves NO FORCE ROW LEVEL SECURITY',
      'CREATE TABLE audit.mine ()',
      'CREATE OR REPLACE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE sql AS $$ SELECT NULL $$',
      `SELECT audit.protect('audit.leaves')`,
      'SET ROLE bailiwick_owner',
      'SET ROLE bailiwick_resolver',
      'SET session_replication_role = replica',
    ]
    const partitions = await partitionNames()
    const direct = partitions.flatMap((name) => [
      ...partitionAttacks(name),
      `SELECT * FROM ${name}`,
      `DROP TABLE ${name}`,
    ])
    for (const sql of [...attacks, ...inserts, ...owning, ...direct])
      expect([sql, await outcomeOf(client, sql)]).not.toEqual([sql, 'allowed'])
    if (role !== 'audit')
      for (const sql of [
        'SELECT * FROM audit.leaves',
        `SELECT * FROM audit.claim('0f6d7b1c-8d43-4f0e-9d6a-0a3a5f2b9c11', true)`,
        `SELECT * FROM audit.entries_of('acc-1', NULL, 1, NULL, NULL)`,
        `SELECT * FROM audit.intent_of('0f6d7b1c-8d43-4f0e-9d6a-0a3a5f2b9c11')`,
        `SELECT audit.create_partition('standard-2031-01', sha256(''))`,
      ])
        expect([sql, await outcomeOf(client, sql)]).toEqual([sql, '42501'])
  } finally {
    await client.end()
  }
})

test('the audit role owns nothing', async () => {
  const { rows } = await log.root.query(
    `SELECT relname FROM pg_class WHERE relowner = 'audit'::regrole UNION ALL SELECT proname FROM pg_proc WHERE proowner = 'audit'::regrole`,
  )
  expect(rows).toEqual([])
})

test('without the account setting the audit role reads no row; with it, that account alone', async () => {
  const client = new Client({ connectionString: log.database.as('audit') })
  await client.connect()
  try {
    expect((await client.query('SELECT 1 FROM audit.leaves')).rowCount).toBe(0)
    expect((await client.query('SELECT 1 FROM audit.openings')).rowCount).toBe(0)
    await client.query(`BEGIN; SET LOCAL bailiwick.account = 'acc-2'`)
    expect((await client.query('SELECT 1 FROM audit.leaves')).rowCount).toBe(0)
    expect((await client.query('SELECT 1 FROM audit.openings')).rowCount).toBe(0)
    await client.query(`SET LOCAL bailiwick.account = 'acc-1'`)
    expect((await client.query('SELECT 1 FROM audit.leaves')).rowCount).toBe(3)
    expect((await client.query('SELECT 1 FROM audit.openings')).rowCount).toBe(3)
    await client.query('COMMIT')
  } finally {
    await client.end()
  }
})

test('a leaf whose hash is not its own is refused by the table itself', async () => {
  await log.root.query('SET ROLE bailiwick_owner')
  expect(
    await outcomeOf(
      log.root,
      `INSERT INTO audit.leaves (index, time_ms, leaf, leaf_hash, kind, partition) VALUES (99, 0, '{}', sha256('{}'), 'call', 'x')`,
    ),
  ).toBe('23514')
  await log.root.query('RESET ROLE')
})

test('a partition has no other name than a class and a month', async () => {
  const client = new Client({ connectionString: log.database.as('audit') })
  await client.connect()
  for (const name of ['standard-2026-13', 'x', 'standard-2026-11; DROP TABLE audit.leaves', 'short-2026-11'])
    expect(await outcomeOf(client, `SELECT audit.create_partition('${name}', sha256(''))`)).toBe('23514')
  await client.end()
})
