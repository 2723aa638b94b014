// What the audit service's tests share: entries, a real secret store, a writer on a fresh database, the real process.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { Client as PgClient, Pool } from 'pg'
import { readArrowKey } from '@bailiwick/kernel/config'
import { systemClock, type Clock } from '@bailiwick/kernel/clock'
import { connectDoor, type Client } from '@bailiwick/kernel/door'
import { OperationId, uuidv7 } from '@bailiwick/kernel/ids'
import { createLogger } from '@bailiwick/kernel/logger'
import { openSealedFile, writeSealedFile, type SecretStore } from '@bailiwick/kernel/secrets'
import { auditDoor, Entry, type EntryInput } from '@bailiwick/contracts/doors/audit'
import { freshDatabase } from '@bailiwick/testing/database'
import { clientOptions, openSession } from '../src/log-session.ts'
import { createKeyring } from '../src/openings.ts'
import { createReader, type Reader } from '../src/reader.ts'
import { createWriter, type Commit, type Writer } from '../src/writer.ts'

/** Values that must never be found in a leaf. */
export const PERSONAL = {
  user: 'erika.mustermann',
  token: 'a3f1c0ffee'.repeat(6),
  client: 'claude-code-7781',
  address: '203.0.113.77',
  agent: 'Agent/9.1 (Erika)',
  principal: 'pat:0f6d7b1c-8d43-4f0e-9d6a-0a3a5f2b9c11',
  resource_kind: 'mailbox-kind-x',
  resource: '5c8f2d4e-1111-7222-8333-444455556666',
  input: { mailbox: 'erika@example.org', nested: { list: [1, 'ümlaut', null] } },
  why: 'because Erika said so',
}

export const entry = (change: Partial<EntryInput> = {}): Entry =>
  Entry.parse({
    kind: 'call',
    account: 'acc-1',
    door: 'mcp',
    tool: 'list_domains',
    scopes: ['domains:read'],
    risk: 'read',
    decision: 'allow',
    policy_hash: 'p1',
    catalog_hash: 'c1',
    status: 200,
    code: null,
    operation_id: null,
    request_id: 'req-1',
    duration_ms: 12,
    personal: PERSONAL,
    ...change,
  } satisfies EntryInput)

export const framed = (
  kind: 'intent' | 'outcome',
  operationId: Entry['operation_id'],
  change: Partial<EntryInput> = {},
): Entry =>
  entry({
    kind,
    operation_id: operationId,
    tool: 'add_domain',
    risk: 'write',
    ...change,
  })

export const operation = (): OperationId => OperationId.parse(uuidv7())

export type Folder = { path: string; secrets: SecretStore; key: string }

/** A sealed file of secrets and the arrows' keys, in a folder of their own. */
export function makeFolder(): Folder {
  const path = mkdtempSync(`${tmpdir()}/bailiwick-audit-`)
  const key = randomBytes(32).toString('hex')
  writeSealedFile(`${path}/secrets`, Buffer.from(key, 'hex'), { database_password: 'test' })
  writeFileSync(`${path}/unseal`, key, { mode: 0o600 })
  for (const caller of ['policy', 'steward', 'reaper'])
    writeFileSync(`${path}/${caller}-audit.key`, randomBytes(32).toString('hex'))
  return { path, secrets: openSealedFile(`${path}/secrets`, Buffer.from(key, 'hex')), key }
}

export type StoredLeaf = { index: number; leaf: Record<string, unknown>; text: string; leaf_hash: Buffer }

/** The whole log, as the superuser sees it. */
export async function readLeaves(root: PgClient): Promise<StoredLeaf[]> {
  const { rows } = await root.query<{ index: string; leaf: string; leaf_hash: Buffer }>(
    'SELECT index, leaf, leaf_hash FROM audit.leaves ORDER BY index',
  )
  return rows.map(({ index, leaf, leaf_hash }) => ({
    index: Number(index),
    leaf: JSON.parse(leaf) as Record<string, unknown>,
    text: leaf,
    leaf_hash,
  }))
}

export type Fixture = {
  database: Awaited<ReturnType<typeof freshDatabase>>
  folder: Folder
  /** The log of operation: one line each. */
  lines: string[]
  root: PgClient
  writer(options?: { commit?: Commit; clock?: Clock; maxQueue?: number; url?: string }): Writer
  reader(): Reader
  /** As the superuser sees it, who no row-level security stops. */
  leaves(): Promise<StoredLeaf[]>
  /** Ends the writer's server processes. */
  cut(): Promise<number>
  close(): Promise<void>
}

export async function makeFixture(): Promise<Fixture> {
  const database = await freshDatabase()
  const folder = makeFolder()
  const lines: string[] = []
  const logger = createLogger('audit', (line) => void lines.push(line))
  const root = new PgClient({ connectionString: database.superuser })
  await root.connect()
  const pool = new Pool({ ...clientOptions(database.as('audit')), max: 2 })
  pool.on('error', () => undefined)
  const keys = createKeyring(folder.secrets, logger)
  const writers: Writer[] = []
  return {
    database,
    folder,
    lines,
    root,
    writer({ url = database.as('audit'), clock = systemClock, ...options } = {}) {
      const writer = createWriter({ open: (claim) => openSession({ url, ...claim }), keys, clock, logger, ...options })
      writers.push(writer)
      return writer
    },
    reader: () => createReader(pool, keys, logger),
    leaves: () => readLeaves(root),
    async cut() {
      const { rowCount } = await root.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'audit' AND datname = $1`,
        [database.name],
      )
      return rowCount ?? 0
    },
    async close() {
      await Promise.all(writers.map((writer) => writer.close()))
      await pool.end()
      await root.end()
      await database.drop()
      rmSync(folder.path, { recursive: true, force: true })
    },
  }
}

export type Process = {
  child: ChildProcess
  url: string
  as(caller: 'policy' | 'steward' | 'reaper'): Client<typeof auditDoor> & { close(): void }
}

/** The real program, listening. `env` replaces settings; `main` is the file to run. */
export async function spawnAudit(options: { folder: Folder; databaseUrl: string; main?: string }): Promise<Process> {
  const { folder, databaseUrl, main = 'src/main.ts' } = options
  const address = new URL(databaseUrl)
  address.password = ''
  const child = spawn(process.execPath, [new URL(`../${main}`, import.meta.url).pathname], {
    stdio: ['ignore', 'pipe', 'inherit', openSync(`${folder.path}/unseal`, 'r')],
    env: {
      BAILIWICK_LISTEN: '127.0.0.1:0',
      BAILIWICK_KEYS_DIR: folder.path,
      BAILIWICK_SECRETS_FILE: `${folder.path}/secrets`,
      BAILIWICK_UNSEAL_FD: '3',
      BAILIWICK_DATABASE_URL: address.href,
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    let text = ''
    child.once('exit', (code) => reject(new Error(`audit ended with ${code}: ${text}`)))
    child.stdout!.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('utf8')).slice(-10_000)
      const found = /"event":"listening","port":(\d+)/.exec(text)
      if (found) resolve(Number(found[1]))
    })
  })
  const url = `http://127.0.0.1:${port}`
  return {
    child,
    url,
    as: (caller) => connectDoor({ door: auditDoor, url, caller, key: readArrowKey(folder.path, caller, 'audit') }),
  }
}

export const gone = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode)
    else child.once('exit', (code) => resolve(code))
  })
