// The writer's one connection to the log, under an epoch that it claimed. All of its statements are SQL functions of sql/.
// What was sent over a connection that broke may have landed: the next session's `next` and `lastHash` tell for certain.
import { Client, type ClientConfig } from 'pg'

/** One entry as it goes into the tables. */
export type Row = {
  readonly index: number
  readonly time: number
  readonly leaf: string
  readonly hash: Buffer
  readonly kind: string
  readonly account: string | null
  readonly tool: string | null
  readonly operationId: string | null
  /** An event of another system, which the log takes once. */
  readonly eventId: string | null
  readonly partition: string
  readonly sealed: Buffer
}

/** Why a row of a batch cannot stand; the whole batch was then not written. `position` counts from 0. */
export type Verdict =
  | { readonly position: number; readonly verdict: 'repeated'; readonly index: number; readonly hash: Buffer }
  | { readonly position: number; readonly verdict: 'conflict' | 'event_conflict' | 'intent_missing' }

export type LogSession = {
  /** The index that the next entry gets. Moved on by the writer, after its batch is in. */
  next: number
  /** The leaf hash of the entry before it, as it stood when this session began. */
  readonly lastHash: Buffer | null
  /** Durable when it resolves with no verdicts; nothing written when it resolves with some. */
  append(rows: readonly Row[]): Promise<Verdict[]>
  partitionCheck(partition: string): Promise<Buffer | null>
  /** Resolves with the registered check, which is another key's if somebody was faster. */
  createPartition(partition: string, check: Buffer): Promise<Buffer>
  readonly isBroken: boolean
  close(): Promise<void>
}

/** SQLSTATE: the head names another writer. */
export const TAKEN_OVER = 'BW001'
const CONNECT_TIMEOUT_MS = 2_000

/** The server gives up first (and says so); the client only when the server does not answer at all. */
export const clientOptions = (url: string): ClientConfig => ({
  connectionString: url,
  connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  query_timeout: 5_000,
  // An acknowledgement means "on the disk", whatever this server's or role's default says.
  options: '-c synchronous_commit=on -c jit=off -c statement_timeout=4000 -c lock_timeout=3000 -c timezone=UTC',
  application_name: 'audit',
})

/** Connects and claims the log as `writer`. Throws what pg throws; code BW001 when another writer holds it and `takeOver` is false. */
export async function openSession(options: { url: string; writer: string; takeOver: boolean }): Promise<LogSession> {
  const client = new Client(clientOptions(options.url))
  let isBroken = false
  // Without this listener a connection that dies while idle would end the process.
  client.on('error', () => {
    isBroken = true
  })
  client.on('end', () => {
    isBroken = true
  })
  const close = async (): Promise<void> => {
    isBroken = true
    await client.end().catch(() => undefined)
  }
  type Claim = { claimed_epoch: string; claimed_next: string; last_hash: Buffer | null }
  let claim: Claim
  try {
    await client.connect()
    const claimed = await client.query<Claim>('SELECT * FROM audit.claim($1, $2)', [options.writer, options.takeOver])
    claim = claimed.rows[0]!
  } catch (error) {
    await close()
    throw error
  }

  return {
    next: Number(claim.claimed_next),
    lastHash: claim.last_hash,
    get isBroken() {
      return isBroken
    },
    close,
    async append(rows) {
      const { rows: verdicts } = await client.query<{
        slot: number
        verdict: Verdict['verdict']
        first_index: string
        first_hash: Buffer
      }>({
        name: 'append',
        text: 'SELECT * FROM audit.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)',
        values: [
          claim.claimed_epoch,
          rows[0]!.index,
          rows.map((row) => row.time),
          rows.map((row) => row.leaf),
          rows.map((row) => row.hash),
          rows.map((row) => row.kind),
          rows.map((row) => row.account),
          rows.map((row) => row.tool),
          rows.map((row) => row.operationId),
          rows.map((row) => row.partition),
          rows.map((row) => row.sealed),
          rows.map((row) => row.eventId),
        ],
      })
      return verdicts.map(({ slot, verdict, first_index, first_hash }) =>
        verdict === 'repeated'
          ? { position: slot - 1, verdict, index: Number(first_index), hash: first_hash }
          : { position: slot - 1, verdict },
      )
    },
    async partitionCheck(partition) {
      const { rows } = await client.query<{ key_check: Buffer }>(
        'SELECT key_check FROM audit.partitions WHERE name = $1',
        [partition],
      )
      return rows[0]?.key_check ?? null
    },
    async createPartition(partition, check) {
      const { rows } = await client.query<{ registered: Buffer }>(
        'SELECT audit.create_partition($1, $2) AS registered',
        [partition, check],
      )
      return rows[0]!.registered
    },
  }
}
