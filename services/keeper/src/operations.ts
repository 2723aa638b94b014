// The keeper's memory of what it was told to do: one append-only file, a line per fact, durable before and after each act.
// Trusted for "was this begun, and what was answered"; whether a begun act reached its target only the target can tell.
import {
  closeSync,
  existsSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  write,
  writeFileSync,
} from 'node:fs'
import { promisify } from 'node:util'
import type { Json } from '@bailiwick/kernel/canonical'
import { systemClock, type Clock } from '@bailiwick/kernel/clock'
import { Fault } from '@bailiwick/kernel/result'
import { Refusal } from './refusal.ts'

export type StepKey = {
  readonly operation_id: string
  readonly account_id: string
  readonly verb: string
  /** `<resource id>` or `<resource id>/<what in it>`; steps on one resource wait for each other. */
  readonly target: string
  readonly input_hash: string
}
export type Probed<T> = { state: 'done'; result: T } | { state: 'not_done' } | { state: 'unknown' }
export type Step<T> = { probe: () => Promise<Probed<T>>; act: () => Promise<T> }
export type StepState = { verb: string; target: string; state: 'done' | 'not_done' | 'unknown' }
/** Where a test may let the process "die". */
export type Failpoint = (point: 'before_act' | 'after_act', key: StepKey) => void
/** Tells from the key alone whether a step that was begun before a restart reached its target. */
export type Prober = (key: StepKey) => Promise<Probed<Json>>

export type Operations = {
  /**
   * Acts once per operation, verb and target; the same key again gets the first answer. A step that was begun and has no
   * answer is probed on its real target; what cannot be known is refused with OUTCOME_UNKNOWN and never repeated.
   */
  once<T extends Json>(key: StepKey, step: Step<T>): Promise<T>
  steps(accountId: string, operationId: string): Promise<StepState[]>
  /** For `steps` after a restart, when the closures of `once` are gone. Verbs without one are `unknown` then. */
  registerProber(verb: string, prober: Prober): void
  close(): Promise<void>
}

type Line = { at: number; fact: 'begun' | 'done' | 'given_up'; key: StepKey; result?: Json }
type Known = { key: StepKey; at: number; state: 'begun' | 'done'; result?: Json; probe?: () => Promise<Probed<Json>> }

/** Answers are kept for longer than any undo window, so that a late retry still gets its first answer. */
const KEPT_MS = 120 * 24 * 3600 * 1000

const idOf = (key: StepKey): string => `${key.account_id} ${key.operation_id} ${key.verb} ${key.target}`
const resourceOf = (key: StepKey): string => `${key.account_id} ${key.target.split('/')[0]}`

export function openOperations(options: {
  /** The log; its folder must exist. */
  file: string
  clock?: Clock
  failpoint?: Failpoint
}): Operations {
  const { file, clock = systemClock, failpoint } = options
  const known = replay(file)
  compact(file, known, clock.now() - KEPT_MS)
  const log = openLog(file)
  const queues = new Map<string, Promise<unknown>>()
  const probers = new Map<string, Prober>()

  const record = (fact: Line['fact'], key: StepKey, result?: Json): Promise<void> =>
    log.append({ at: clock.now(), fact, key, ...(result === undefined ? {} : { result }) })

  const firstAnswer = (key: StepKey): Known | undefined => {
    const before = known.get(idOf(key))
    if (before && before.key.input_hash !== key.input_hash)
      throw new Fault('OPERATION_REUSED', `${key.verb} of operation ${key.operation_id} came with another input`)
    return before
  }

  const finish = async <T extends Json>(key: StepKey, result: T): Promise<T> => {
    // Dying before this line is durable leaves a begun step: the retry probes the target and finds the effect there.
    await record('done', key, result)
    known.set(idOf(key), { key, at: clock.now(), state: 'done', result })
    return result
  }

  const run = async <T extends Json>(key: StepKey, step: Step<T>): Promise<T> => {
    const before = firstAnswer(key)
    if (before?.state === 'done') return before.result as T
    if (before) {
      const probed = await step.probe()
      if (probed.state === 'done') return finish(key, probed.result)
      if (probed.state === 'unknown')
        throw new Refusal('OUTCOME_UNKNOWN', 'the backend cannot tell whether this was done')
    } else {
      await record('begun', key)
    }
    known.set(idOf(key), { key, at: clock.now(), state: 'begun', probe: step.probe })
    failpoint?.('before_act', key)
    let result: T
    try {
      result = await step.act()
    } catch (error) {
      // A refusal means that nothing was changed: the same step may be tried again. Anything else may have reached the
      // target, so the step stays begun and the next attempt probes.
      if (error instanceof Refusal) {
        await record('given_up', key)
        known.delete(idOf(key))
      }
      throw error
    }
    failpoint?.('after_act', key)
    return finish(key, result)
  }

  return {
    once: (key, step) => {
      const resource = resourceOf(key)
      const mine = (queues.get(resource) ?? Promise.resolve()).then(
        () => run(key, step),
        () => run(key, step),
      )
      queues.set(resource, mine)
      const leave = (): void => {
        if (queues.get(resource) === mine) queues.delete(resource)
      }
      mine.then(leave, leave)
      return mine
    },
    steps: async (accountId, operationId) => {
      const mine = [...known.values()].filter(
        ({ key }) => key.account_id === accountId && key.operation_id === operationId,
      )
      return Promise.all(
        mine.map(async ({ key, state, probe }) => {
          const ask = probe ?? (probers.has(key.verb) ? () => probers.get(key.verb)!(key) : undefined)
          const reached = state === 'done' ? 'done' : ask ? (await ask()).state : 'unknown'
          return { verb: key.verb, target: key.target, state: reached }
        }),
      )
    },
    registerProber: (verb, prober) => void probers.set(verb, prober),
    close: async () => {
      await Promise.allSettled(queues.values())
      await log.close()
    },
  }
}

/** Reads the log. A last line that was cut by a crash was never acknowledged, so it is no fact; a broken one before it is damage. */
function replay(file: string): Map<string, Known> {
  const known = new Map<string, Known>()
  if (!existsSync(file)) return known
  const lines = readFileSync(file, 'utf8').split('\n')
  lines.forEach((text, index) => {
    if (text === '') return
    let line: Line
    try {
      line = JSON.parse(text) as Line
    } catch (cause) {
      if (index === lines.length - 1) return
      throw new Fault('INTERNAL', `operation log is damaged at line ${index + 1}`, { cause })
    }
    if (line.fact === 'given_up') known.delete(idOf(line.key))
    else if (line.fact === 'begun') known.set(idOf(line.key), { key: line.key, at: line.at, state: 'begun' })
    else known.set(idOf(line.key), { key: line.key, at: line.at, state: 'done', result: line.result ?? null })
  })
  return known
}

/** Rewrites the log with one line per step; begun steps stay whatever their age, because nobody knows their end yet. */
function compact(file: string, known: Map<string, Known>, oldestDone: number): void {
  for (const [id, { state, at }] of known) if (state === 'done' && at < oldestDone) known.delete(id)
  const text = [...known.values()]
    .map(({ key, at, state, result }) =>
      JSON.stringify({ at, fact: state, key, ...(state === 'done' ? { result } : {}) } satisfies Line),
    )
    .map((line) => `${line}\n`)
    .join('')
  const descriptor = openSync(`${file}.new`, 'w', 0o600)
  writeFileSync(descriptor, text)
  fsyncSync(descriptor)
  closeSync(descriptor)
  renameSync(`${file}.new`, file)
  const folder = openSync(file.slice(0, file.lastIndexOf('/')), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

const writeAt = promisify(write)
const sync = promisify(fdatasync)

/** Appends with group commit: lines that arrive while the disk is busy share the next sync. */
function openLog(file: string): { append(line: Line): Promise<void>; close(): Promise<void> } {
  const descriptor = openSync(file, 'r+')
  let size = readFileSync(file).length
  let waiting: { text: string; resolve: () => void; reject: (error: unknown) => void }[] = []
  let flushing: Promise<void> | null = null

  const flush = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        const bytes = Buffer.from(batch.map(({ text }) => text).join(''))
        for (let at = 0; at < bytes.length;)
          at += (await writeAt(descriptor, bytes, at, bytes.length - at, size + at)).bytesWritten
        await sync(descriptor)
        size += bytes.length
        for (const { resolve } of batch) resolve()
      } catch (cause) {
        // A full disk: cut off what was half written, so that the next line does not grow onto a torn one.
        ftruncateSync(descriptor, size)
        for (const { reject } of batch)
          reject(new Fault('BACKEND_UNAVAILABLE', 'the operation log cannot be written', { cause }))
      }
    }
    flushing = null
  }

  return {
    append: (line) =>
      new Promise((resolve, reject) => {
        waiting.push({ text: `${JSON.stringify(line)}\n`, resolve, reject })
        flushing ??= flush()
      }),
    close: async () => {
      await flushing
      closeSync(descriptor)
    },
  }
}
