// The writer: callers wait in a queue; a loop takes all that wait, writes them in one commit, and only then answers them.
// One batch is in flight at a time. Whatever breaks, a caller hears either a receipt that stands or a Fault.
import { randomUUID } from 'node:crypto'
import type { Clock } from '@bailiwick/kernel/clock'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import type { Entry, Receipt } from '@bailiwick/contracts/doors/audit'
import { leafHash, leafText, periodOf, prepare, type Prepared } from './leaf.ts'
import { TAKEN_OVER, type LogSession, type Row, type Verdict } from './log-session.ts'
import { sealOpening, type Keyring } from './openings.ts'

/** Makes a batch durable; resolves only after its COMMIT. A parameter, so that a test can prove what a dishonest one breaks. */
export type Commit = (session: LogSession, rows: readonly Row[]) => Promise<Verdict[]>

export type Writer = {
  /** Resolves when the entry is durable. Faults: AUDIT_UNAVAILABLE, INTENT_MISSING, OPERATION_CONFLICT, EVENT_CONFLICT, MESSAGE_INVALID. */
  write(entry: Entry, eventId?: string | null): Promise<Receipt>
  /** Connects, takes the log over, and makes the partitions of this month and the next. Called at start and each hour. */
  tend(): Promise<void>
  /** Writes what waits, then disconnects. */
  close(): Promise<void>
}

type Waiting = {
  readonly prepared: Prepared
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (fault: Fault) => void
}

/** What stands in the log once: the operation that an intent or outcome frames, or an event. Null: the entry stands for itself. */
function onceOf({ kind, operationId, eventId }: Prepared): string | null {
  if (operationId !== null && (kind === 'intent' || kind === 'outcome')) return `operation ${operationId}`
  return eventId === null ? null : `event ${eventId}`
}

export function createWriter(options: {
  /** `takeOver` until the first session stands; afterwards a writer that was replaced must not come back. */
  open: (claim: { writer: string; takeOver: boolean }) => Promise<LogSession>
  keys: Keyring
  clock: Clock
  logger: Logger
  commit?: Commit
  maxQueue?: number
  maxBatch?: number
}): Writer {
  const { open, keys, clock, logger, commit = (session, rows) => session.append(rows) } = options
  const { maxQueue = 4096, maxBatch = 512 } = options
  const writer = randomUUID()
  let queue: Waiting[] = []
  let session: Promise<LogSession> | null = null
  let hasOpened = false
  let isReplaced = false
  let isClosing = false
  let pumping: Promise<void> | null = null

  // One session at a time: a second claim would fence off the first.
  const connect = async (): Promise<LogSession> => {
    const known = session
    if (known && (await known).isBroken) drop(known)
    session ??= begin()
    return session
  }

  const begin = (): Promise<LogSession> => {
    const opening = open({ writer, takeOver: !hasOpened }).then((opened) => {
      hasOpened = true
      return opened
    })
    opening.catch(() => drop(opening))
    return opening
  }

  const drop = (old: Promise<LogSession> | null): void => {
    if (session === old) session = null
    old?.then((opened) => opened.close()).catch(() => undefined)
  }

  /** All that wait, up to `maxBatch`; of one operation or event only one entry, so that the second finds the first in the log. */
  const take = (): Waiting[] => {
    const taken = new Set<string>()
    const batch: Waiting[] = []
    const later: Waiting[] = []
    for (const waiting of queue) {
      const once = onceOf(waiting.prepared)
      const mustWait = once !== null && taken.has(once)
      if (batch.length >= maxBatch || mustWait) later.push(waiting)
      else batch.push(waiting)
      if (once !== null) taken.add(once)
    }
    queue = later
    return batch
  }

  const toRows = (batch: readonly Waiting[], base: number, current: LogSession): Promise<Row[]> =>
    Promise.all(
      batch.map(async ({ prepared }, position) => {
        const { time, kind, account, tool, operationId, eventId, period, opening } = prepared
        const key = await keys.forWriting(period, current)
        const index = base + position
        const leaf = leafText(prepared, index, key.partition)
        const sealed = sealOpening(key, index, opening)
        return {
          index,
          time,
          leaf,
          hash: leafHash(leaf),
          kind,
          account,
          tool,
          operationId,
          eventId,
          partition: key.partition,
          sealed,
        }
      }),
    )

  const writeBatch = async (batch: Waiting[]): Promise<void> => {
    let left = batch
    // Rows that were sent, and of which we do not know whether they landed.
    let uncertain: Row[] | null = null
    let failures = 0
    while (left.length > 0) {
      let current: LogSession | null = null
      try {
        current = await connect()
        if (uncertain && hasLanded(uncertain, current)) return acknowledge(left, uncertain)
        const rows = await toRows(left, current.next, current)
        uncertain = rows
        const verdicts = await commit(current, rows)
        uncertain = null
        if (verdicts.length === 0) {
          current.next += rows.length
          return acknowledge(left, rows)
        }
        left = answerRefused(left, verdicts)
      } catch (error) {
        if (current && isDataError(error)) {
          uncertain = null
          if (left.length === 1) return refuse(left, new Fault('MESSAGE_INVALID', String(error), { cause: error }))
          // One of them is bad: its neighbours must not pay for it.
          const middle = left.length >> 1
          await writeBatch(left.slice(0, middle))
          return writeBatch(left.slice(middle))
        }
        failures += 1
        if (current) drop(session)
        isReplaced ||= !current && codeOf(error) === TAKEN_OVER
        // The second try is for a connection that broke; a server that cannot be reached or refuses twice is down.
        if (!current || failures > 1) return giveUp(left, error)
      }
    }
  }

  // The callers hear "unavailable", and of a batch whose COMMIT was lost on the way that may be too dark a word: an entry
  // without an acknowledgement may stand. The reverse, an acknowledged entry that does not, cannot come from here.
  const giveUp = (batch: readonly Waiting[], error: unknown): void => {
    logger.error(isReplaced ? 'writer_replaced' : 'log_unavailable', { code: codeOf(error) ?? null }, error)
    const waiting = queue
    queue = []
    refuse([...batch, ...waiting], new Fault('AUDIT_UNAVAILABLE', 'the log cannot be written', { cause: error }))
  }

  const pump = async (): Promise<void> => {
    while (queue.length > 0) await writeBatch(take())
    pumping = null
  }

  return {
    async write(entry, eventId = null) {
      if (isClosing || isReplaced) throw new Fault('AUDIT_UNAVAILABLE', 'this writer does not write any more')
      if (queue.length >= maxQueue) throw new Fault('AUDIT_UNAVAILABLE', 'the queue is full')
      const prepared = prepare(entry, clock.now(), eventId)
      return new Promise((resolve, reject) => {
        queue.push({ prepared, resolve, reject })
        // After this round of I/O, so that requests that arrived together share a commit.
        pumping ??= new Promise((begin) => setImmediate(begin)).then(pump)
      })
    },
    async tend() {
      const current = await connect()
      const now = new Date(clock.now())
      const nextMonth = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1)
      for (const time of [clock.now(), nextMonth])
        for (const retention of ['standard', 'long'] as const) await keys.forWriting(periodOf(retention, time), current)
    },
    async close() {
      isClosing = true
      await pumping
      await (await session?.catch(() => null))?.close()
    },
  }
}

/** Under the new claim nothing of the old session can land any more, so the head's answer is final. */
const hasLanded = (rows: readonly Row[], current: LogSession): boolean =>
  current.next === rows[0]!.index + rows.length &&
  current.lastHash !== null &&
  current.lastHash.equals(rows.at(-1)!.hash)

const receiptOf = (index: number, hash: Buffer): Receipt => ({ index, leaf_hash: hash.toString('hex') })

function acknowledge(batch: readonly Waiting[], rows: readonly Row[]): void {
  batch.forEach((waiting, position) => waiting.resolve(receiptOf(rows[position]!.index, rows[position]!.hash)))
}

function refuse(batch: readonly Waiting[], fault: Fault): void {
  for (const waiting of batch) waiting.reject(fault)
}

/** Answers those that have a verdict; returns the others, which are to be written. */
function answerRefused(batch: readonly Waiting[], verdicts: readonly Verdict[]): Waiting[] {
  const answered = new Set<Waiting>()
  for (const verdict of verdicts) {
    const waiting = batch[verdict.position]!
    answered.add(waiting)
    if (verdict.verdict === 'repeated') waiting.resolve(receiptOf(verdict.index, verdict.hash))
    else if (verdict.verdict === 'intent_missing')
      waiting.reject(new Fault('INTENT_MISSING', 'no intent of this operation stands for this account'))
    else if (verdict.verdict === 'event_conflict')
      waiting.reject(new Fault('EVENT_CONFLICT', 'the event is recorded under another kind or account'))
    else waiting.reject(new Fault('OPERATION_CONFLICT', 'the operation is recorded for another account or tool'))
  }
  return batch.filter((waiting) => !answered.has(waiting))
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** SQLSTATE classes 22 (data) and 23 (integrity): the statement was rolled back because of what is in it. */
const isDataError = (error: unknown): boolean => /^2[23][0-9A-Z]{3}$/.test(codeOf(error) ?? '')
