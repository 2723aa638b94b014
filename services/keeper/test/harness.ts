// A keeper on real clusters and a real vault, in a folder that is removed at the end. It can be "killed" and opened again.
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { Client } from 'pg'
import { vaultDoor } from '@bailiwick/contracts/doors/vault'
import { systemClock, type Clock } from '@bailiwick/kernel/clock'
import { connectDoor } from '@bailiwick/kernel/door'
import { uuidv7, type AccountId, type OperationId, type ResourceId } from '@bailiwick/kernel/ids'
import { silentLogger } from '@bailiwick/kernel/logger'
import { openSealedFile, writeSealedFile } from '@bailiwick/kernel/secrets'
import { startVault } from '../../vault/src/service.ts'
import { startBaseBackups } from '../src/base-backups.ts'
import { openClusters } from '../src/clusters.ts'
import type { Hands } from '../src/databases/step.ts'
import { createHandlers } from '../src/http.ts'
import { openOperations, type Failpoint } from '../src/operations.ts'
import { createPurge } from '../src/purge.ts'
import { createZoneVerbs } from '../src/zones/zones.ts'

// Servers refuse to run as root; any unused number will do.
export const runAs = process.getuid!() === 0 ? { uid: 61902, gid: 61902 } : null
export const newAccount = (): AccountId => uuidv7() as AccountId
export const newDatabase = (): ResourceId => uuidv7() as ResourceId
export const newOperation = (): OperationId => uuidv7() as OperationId

export class Crash extends Error {}

/** Dies before it acted: begun, no effect. */
export const failsBeforeAct =
  (verb: string): Failpoint =>
  (point, key) => {
    if (point === 'before_act' && key.verb === verb) throw new Crash(verb)
  }
/** Dies after the effect, before it could write that down. */
export const failsAfterEffect =
  (verb: string): Failpoint =>
  (point, key) => {
    if (point === 'after_act' && key.verb === verb) throw new Crash(verb)
  }

let nextPorts = 20_000 + Math.floor(Math.random() * 200) * 50

export async function startBench() {
  const folder = mkdtempSync(`${tmpdir()}/bailiwick-keeper-`)
  chmodSync(folder, 0o711)
  const stateDir = `${folder}/keeper`
  mkdirSync(stateDir, { mode: 0o711 })
  mkdirSync(`${folder}/vault`, { mode: 0o700 })
  const vaultKey = randomBytes(32)
  const vaultService = await startVault({
    stateDir: `${folder}/vault`,
    atRestKey: randomBytes(32),
    keys: { keeper: vaultKey, steward: randomBytes(32), reaper: randomBytes(32) },
    listen: { host: '127.0.0.1', port: 0 },
    listenSecond: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    logger: silentLogger,
  })
  const vaultUrl = `http://127.0.0.1:${vaultService.port}`
  const vault = connectDoor({ door: vaultDoor, url: vaultUrl, caller: 'keeper', key: vaultKey, timeoutMs: 60_000 })
  const unsealKey = randomBytes(32)
  writeSealedFile(`${folder}/secrets`, unsealKey, {})
  const ports = { first: nextPorts, last: nextPorts + 49 }
  nextPorts += 50
  const scratchDir = `${stateDir}/scratch`

  /** The keeper as main.ts builds it, in this process. */
  const open = async (options: { failpoint?: Failpoint; clock?: Clock } = {}) => {
    const { failpoint, clock = systemClock } = options
    let bases: ReturnType<typeof startBaseBackups> | undefined
    const clusters = await openClusters({
      stateDir,
      secrets: openSealedFile(`${folder}/secrets`, unsealKey),
      ports,
      host: '127.0.0.1',
      runAs,
      vault: { url: vaultUrl, key: vaultKey },
      logger: silentLogger,
      onReady: (cluster) => bases?.want(cluster),
    })
    bases = startBaseBackups({ vault, clusters: clusters.all, scratchDir, clock: systemClock, logger: silentLogger })
    const hands: Hands = { clusters, vault, scratchDir, runAs, clock, logger: silentLogger }
    let operations = openOperations({ file: `${stateDir}/operations.log`, ...(failpoint ? { failpoint } : {}) })
    const build = () => {
      const zones = createZoneVerbs({
        powerdnsUrl: 'http://127.0.0.1:1',
        apiKey: 'none',
        vault,
        operations,
        resolver: null,
        egress: 'http://127.0.0.1:1',
        stateDir,
        logger: silentLogger,
        clock,
      })
      const handlers = createHandlers(hands, operations, zones)
      return { handlers, purge: createPurge(hands, operations, { ...zones, listQuarantined: async () => [] }) }
    }
    let built = build()
    const call = { caller: 'steward' }
    type Verbs = typeof built.handlers
    /** Calls a verb of the first door; a refusal is thrown as its code. */
    const verb = async <V extends keyof Verbs>(
      name: V,
      input: Parameters<Verbs[V]>[0],
    ): Promise<Extract<Awaited<ReturnType<Verbs[V]>>, { ok: true }>> => {
      const answer = await (built.handlers[name] as (input: unknown, call: object) => Promise<{ ok: boolean }>)(
        input,
        call,
      )
      if (!answer.ok) throw Object.assign(new Error((answer as { code?: string }).code), answer)
      return answer as never
    }
    return {
      clusters,
      hands,
      bases,
      verb,
      purge: () => built.purge,
      /** As after a SIGKILL of the keeper: what was in memory is gone, the log is read again. */
      reopenOperations: async (next: { failpoint?: Failpoint } = {}) => {
        await operations.close()
        operations = openOperations({ file: `${stateDir}/operations.log`, ...next })
        built = build()
      },
      close: async () => {
        await operations.close()
        await bases.close()
        await clusters.close()
      },
    }
  }

  return {
    folder,
    stateDir,
    vault,
    vaultService,
    open,
    close: async () => {
      vault.close()
      await vaultService.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
export type Bench = Awaited<ReturnType<typeof startBench>>
export type Keeper = Awaited<ReturnType<Bench['open']>>

/** Runs `work` in a session of its own and ends it. */
export async function withSession<T>(
  connection: { host: string; port: number; database: string; username: string },
  password: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { host, port, database, username: user } = connection
  const client = new Client({ host, port, database, user, password })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Everything that a user of the database could tell apart: tables, columns, rows, sequences, grants, owners, constraints, extensions. */
export async function fingerprint(keeper: Keeper, accountId: string, database: string): Promise<unknown> {
  const cluster = keeper.clusters.find(accountId)!
  const connections = await cluster.connections()
  return connections.use(database, 'keeper', async (sql) => {
    const all = async (text: string): Promise<unknown[]> => (await sql.query(text)).rows
    const tables = (await all(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`,
    )) as { name: string }[]
    const rows: Record<string, unknown> = {}
    for (const { name } of tables)
      rows[name] = await all(`SELECT to_jsonb(t)::text AS row FROM public."${name}" t ORDER BY 1`)
    return {
      rows,
      relations: await all(
        `SELECT relname, relkind, pg_get_userbyid(relowner) AS owner, relacl::text AS grants, relrowsecurity
          FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1`,
      ),
      columns: await all(
        `SELECT attrelid::regclass::text AS of, attname, format_type(atttypid, atttypmod) AS type, attnotnull, attidentity,
            attgenerated, attacl::text AS grants, pg_get_expr(adbin, adrelid) AS default
          FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
          WHERE attnum > 0 AND NOT attisdropped
            AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) ORDER BY 1, attnum`,
      ),
      constraints: await all(
        `SELECT conname, conrelid::regclass::text AS of, pg_get_constraintdef(oid) AS text FROM pg_constraint
          WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2`,
      ),
      triggers: await all(
        `SELECT tgname, tgrelid::regclass::text AS of, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2`,
      ),
      functions: await all(
        `SELECT proname, pg_get_userbyid(proowner) AS owner, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 3, 2`,
      ),
      sequences: await all(
        `SELECT sequencename, last_value, start_value, increment_by FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1`,
      ),
      extensions: await all(`SELECT extname, extversion FROM pg_extension ORDER BY 1`),
    }
  })
}
