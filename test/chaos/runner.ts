// Kills processes at random under load and counts what must be zero: lost entries, double effects, effects without an intent.
// Every call is sent twice at once with one idempotency key and repeated until it has a definite answer.
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { adminDoor } from '@bailiwick/contracts/doors/policy'
import { connectDoor } from '@bailiwick/kernel/door'
import { idHex, type AccountId } from '@bailiwick/kernel/ids'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import { inState } from '../../scripts/embedded/layout.ts'
import { clusterSuperuser, controlDatabase, type ClusterLogin } from '../stack/backends.ts'
import { eventually, type Reply, type Stack } from '../stack/support.ts'
import { TokenPool } from './token-pool.ts'

export type Victim = 'gateway' | 'policy' | 'steward' | 'keeper' | 'vault' | 'audit' | 'postgres'
export const VICTIMS: readonly Victim[] = ['gateway', 'policy', 'steward', 'keeper', 'vault', 'audit', 'postgres']

export type Figures = {
  rounds: number
  kills: Record<string, number>
  calls: number
  acknowledged: number
  /** Must be zero, each of them. */
  acknowledgedEntriesLost: number
  acknowledgedEffectsLost: number
  doubleEffects: number
  effectsWithoutIntent: number
  wrongRefusals: number
  brokenLog: number
  /** Operations that are still under way although everything has recovered, and those left to a human. */
  stuckOperations: number
  unknownOperations: number
  logEntries: number
  seconds: number
}

type Client = { account: AccountId; databaseId: string; domainId: string; login: ClusterLogin }
type Acknowledged = { marker: string | null; operationId: string; receipt: number; databaseId: string }

const CALLS_NOT_FINAL = new Set([
  'IDEMPOTENCY_IN_PROGRESS',
  'RESOURCE_BUSY',
  'IN_FLIGHT_LIMIT',
  'OUTCOME_UNKNOWN',
  'RATE_LIMITED',
  'SNAPSHOT_FAILED',
])
const GIVE_UP_MS = 90_000

export async function runChaos(options: {
  stack: Stack
  rounds: number
  clients?: number
  victims?: readonly Victim[]
  roundMs?: number
  random?: () => number
  print?: (line: string) => void
}): Promise<Figures> {
  const {
    stack,
    rounds,
    clients: clientCount = 16,
    victims = VICTIMS,
    roundMs = 3000,
    random = Math.random,
    print = () => undefined,
  } = options
  const started = Date.now()
  const admin = connectDoor({
    door: adminDoor,
    url: `unix:${inState.adminSocket(stack.state)}`,
    caller: 'admin',
    key: stack.key('admin', 'policy'),
  })
  const tokens = new TokenPool(admin)
  const clients = await makeClients(stack, tokens, admin, clientCount)
  const acknowledged: Acknowledged[] = []
  const sentMarkers = new Set<string>()
  const wrong: string[] = []
  let calls = 0
  const stop = new AbortController()

  /** One operation, sent twice at once and again until it has an answer that counts. */
  const settle = async (client: Client, tool: string, input: Record<string, unknown>): Promise<Reply | null> => {
    const key = randomUUID()
    const token = await tokens.take(client.account)
    const deadline = Date.now() + GIVE_UP_MS
    while (Date.now() < deadline) {
      const replies = await Promise.allSettled(
        [0, 1].map(() => stack.call(token.use(), tool, input, { 'idempotency-key': key })),
      )
      calls += 2
      const answers = replies.flatMap((reply) => (reply.status === 'fulfilled' ? [reply.value] : []))
      const good = answers.find((answer) => answer.status === 200)
      if (good) return good
      const final = answers.find((answer) => answer.status < 500 && !CALLS_NOT_FINAL.has(String(answer.body['code'])))
      if (final) {
        wrong.push(`${tool}: ${final.status} ${String(final.body['code'])} ${String(final.body['detail'])}`)
        return final
      }
      await new Promise((resolve) => setTimeout(resolve, 500 + random() * 1000))
      if (token.spent()) break
    }
    return null
  }

  const live = async (client: Client): Promise<void> => {
    while (!stop.signal.aborted) {
      if (random() < 0.85) {
        const marker = randomUUID()
        sentMarkers.add(marker)
        const reply = await settle(client, 'insert_rows', {
          database_id: client.databaseId,
          table: 'marks',
          rows: [{ mark: marker }],
        })
        note(reply, marker, client)
      } else {
        const reply = await settle(client, 'set_dns_records', {
          domain_id: client.domainId,
          name: 'www',
          type: 'A',
          ttl_seconds: 300,
          records: [`192.0.2.${1 + Math.floor(random() * 250)}`],
        })
        note(reply, null, client)
      }
    }
  }
  const note = (reply: Reply | null, marker: string | null, client: Client): void => {
    if (reply?.status !== 200) return
    const undo = reply.body['undo'] as { operation_id: string }
    acknowledged.push({
      marker,
      operationId: undo.operation_id,
      receipt: Number(reply.headers['bailiwick-receipt']),
      databaseId: client.databaseId,
    })
  }

  const running = clients.map(live)
  const kills: Record<string, number> = {}
  let bag: Victim[] = []
  for (let round = 1; round <= rounds; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, roundMs * (0.5 + random())))
    if (bag.length === 0) bag = [...victims].sort(() => random() - 0.5)
    const victim = bag.pop()!
    const pid = (await stack.status()).find((part) => part.name === victim)?.pid
    if (pid) process.kill(pid, 'SIGKILL')
    kills[victim] = (kills[victim] ?? 0) + 1
    print(`round ${round}/${rounds}: killed ${victim}; ${acknowledged.length} acknowledged, ${calls} calls`)
  }
  stop.abort()
  await Promise.all(running)
  await eventually(
    'everything is healthy again',
    async () => (await stack.status()).every((part) => part.health === 'up'),
    // A part that died five times in a minute is tried again every 30 s.
    120_000,
  )
  const stuck = await drained(stack)
  const figures = await count(stack, clients, acknowledged, sentMarkers)
  admin.close()
  for (const line of new Set(wrong)) print(`wrong refusal: ${line}`)
  return {
    rounds,
    kills,
    calls,
    acknowledged: acknowledged.length,
    ...figures,
    ...stuck,
    wrongRefusals: wrong.length,
    seconds: Math.round((Date.now() - started) / 1000),
  }
}

async function makeClients(
  stack: Stack,
  tokens: TokenPool,
  admin: TokenPool['admin'],
  count: number,
): Promise<Client[]> {
  const accounts: AccountId[] = []
  // Four clients an account: with every call sent twice that is the account's bound of 8 in flight.
  for (let at = 0; at < Math.ceil(count / 4); at += 1) {
    const { id } = await admin.accounts_create({ name: `chaos-${Date.now()}-${at}` })
    await admin.accounts_tier({ account: id, tier: 'full', reason: 'chaos' })
    accounts.push(id)
  }
  const clients: Client[] = []
  for (let at = 0; at < count; at += 1) {
    const account = accounts[at % accounts.length]!
    const token = await tokens.take(account)
    const database = await stack.must(token.use(), 'create_database', { name: `chaos-${at}` })
    const databaseId = database['database_id'] as string
    await stack.must(token.use(), 'create_table', {
      database_id: databaseId,
      table: 'marks',
      columns: [
        { name: 'id', type: 'bigint' },
        { name: 'mark', type: 'uuid', nullable: false },
      ],
      primary_key: ['id'],
    })
    const domain = await stack.must(token.use(), 'add_domain', {
      name: `chaos-${at}-${idHex(databaseId).slice(-12)}.example`,
    })
    clients.push({
      account,
      databaseId,
      domainId: domain['domain_id'] as string,
      login: database['secret'] as ClusterLogin,
    })
  }
  // Ids of their own, so that a row inserted twice is two rows and not a refusal.
  for (const client of clients) {
    const superuser = await clusterClient(stack, client)
    await superuser.query(
      `CREATE SEQUENCE marks_id; ALTER TABLE marks ALTER COLUMN id SET DEFAULT nextval('marks_id'); GRANT USAGE ON SEQUENCE marks_id TO PUBLIC`,
    )
    await superuser.end()
  }
  return clients
}

async function clusterClient(stack: Stack, client: Client): Promise<pg.Client> {
  const login = await clusterSuperuser(stack, client.account, client.login)
  const connection = new pg.Client({ ...login, database: `db_${idHex(client.databaseId)}` })
  await connection.connect()
  return connection
}

/** Waits until recovery has brought every operation to its end, or to where it waits for its caller with nothing done. */
async function drained(stack: Stack): Promise<{ stuckOperations: number; unknownOperations: number }> {
  const control = await controlDatabase(stack)
  const inState = async (condition: string): Promise<number> =>
    Number((await control.query(`SELECT count(*) FROM steward.operations WHERE ${condition}`)).rows[0].count)
  const underWay = `state NOT IN ('recorded', 'closed', 'unknown') AND NOT (state IN ('accepted', 'intended') AND lease_until IS NULL)`
  await eventually('no operation is under way', async () => (await inState(underWay)) === 0, 60_000).catch(
    () => undefined,
  )
  const counts = { stuckOperations: await inState(underWay), unknownOperations: await inState(`state = 'unknown'`) }
  await control.end()
  return counts
}

/** Compares what was acknowledged with what the log and the databases hold. */
async function count(
  stack: Stack,
  clients: readonly Client[],
  acknowledged: readonly Acknowledged[],
  sent: ReadonlySet<string>,
) {
  const log = await controlDatabase(stack)
  const { rows: leaves } = await log.query<{ index: string; leaf: string; hash: string }>(
    `SELECT index, leaf, encode(leaf_hash, 'hex') AS hash FROM audit.leaves ORDER BY index`,
  )
  await log.end()
  const intents = new Map<string, number>()
  const outcomes = new Map<string, number>()
  let brokenLog = 0
  leaves.forEach(({ index, leaf, hash }, at) => {
    const parsed = JSON.parse(leaf) as { kind: string; operation_id: string | null }
    if (Number(index) !== at || sha256Hex(Buffer.concat([Buffer.of(0), Buffer.from(leaf)])) !== hash) brokenLog += 1
    const by = parsed.kind === 'intent' ? intents : parsed.kind === 'outcome' ? outcomes : null
    if (!by || !parsed.operation_id) return
    if (by.has(parsed.operation_id)) brokenLog += 1
    by.set(parsed.operation_id, at)
  })

  const lost = acknowledged.filter(
    ({ operationId, receipt }) => outcomes.get(operationId) !== receipt || !intents.has(operationId),
  )
  const present = new Map<string, number>()
  let effectsWithoutIntent = 0
  for (const client of clients) {
    const database = await clusterClient(stack, client)
    for (const { mark } of (await database.query<{ mark: string }>('SELECT mark FROM marks')).rows)
      present.set(mark, (present.get(mark) ?? 0) + 1)
    const stamped = await database.query<{ operation_id: string }>(
      'SELECT DISTINCT operation_id FROM bailiwick.history',
    )
    effectsWithoutIntent += stamped.rows.filter(({ operation_id }) => !intents.has(operation_id)).length
    await database.end()
  }
  return {
    acknowledgedEntriesLost: lost.length,
    acknowledgedEffectsLost: acknowledged.filter(({ marker }) => marker !== null && !present.has(marker)).length,
    doubleEffects: [...present.values()].filter((times) => times > 1).length,
    effectsWithoutIntent: effectsWithoutIntent + [...present.keys()].filter((mark) => !sent.has(mark)).length,
    brokenLog,
    logEntries: leaves.length,
  }
}
