// One round of the reaper: look, remember what was seen, and destroy what due.ts says. The order is the safety: sightings
// are on the disk before anything is judged by them, and the purge is in the log before it happens. No log, no purge.
import type { auditDoor, EntryInput } from '@bailiwick/contracts/doors/audit'
import type { keeperPurgeDoor } from '@bailiwick/contracts/doors/keeper'
import type { StoredRestorePoint, vaultExpiryDoor } from '@bailiwick/contracts/doors/vault'
import type { Client } from '@bailiwick/kernel/door'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import type { ClockGuard } from './clock-guard.ts'
import {
  judgeQuarantined,
  judgeRecovery,
  judgeSnapshot,
  observe,
  operationOf,
  seenThroughout,
  type Intent,
  type Judgement,
  type Sightings,
} from './due.ts'
import type { SightingsFile } from './sightings-file.ts'

type Quarantined = Awaited<ReturnType<Client<typeof keeperPurgeDoor>['list_quarantined']>>['items'][number]
export type ReaperDoors = {
  keeper: Pick<Client<typeof keeperPurgeDoor>, 'list_quarantined' | 'purge'>
  vault: Pick<Client<typeof vaultExpiryDoor>, 'list_all' | 'expire'>
  audit: Pick<Client<typeof auditDoor>, 'intent_of' | 'append'>
}
export type Round = { halted: boolean; purged: number; expired: number; failed: number }

/** Listing the whole vault is dear and a sighting a day is enough: once an hour leaves 24 chances. */
const SURVEY_EVERY_MS = 3_600_000

const quarantineKey = (item: Quarantined): string =>
  `${item.kind} ${item.account_id} ${item.target} ${item.operation_id}`
const pointKey = (point: StoredRestorePoint): string =>
  `${point.account_id}/${point.kind}/${point.name}.${point.sha256}`

export function createReaper(parts: {
  doors: ReaperDoors
  guard: ClockGuard
  quarantine: SightingsFile
  restorePoints: SightingsFile
  windowMs: number
  logger: Logger
}): { round(): Promise<Round> } {
  const { doors, guard, windowMs, logger } = parts
  let surveyedAt: number | null = null

  const see = async (file: SightingsFile, keys: readonly string[], now: number): Promise<Sightings> => {
    const table = observe(await file.read(), keys, now)
    await file.write(table)
    return table
  }
  const intentOf = async (operation_id: Quarantined['operation_id']): Promise<Intent | null> =>
    (await doors.audit.intent_of({ operation_id })).intent
  const explain = (what: string, key: string, judgement: Judgement): void => {
    if (!judgement.due) logger.info('kept', { what, key, because: judgement.because })
  }

  /** In the log, then done, then its end in the log. A first entry that fails ends the round: nothing is destroyed unseen. */
  const destroy = async (entry: EntryInput, act: () => Promise<void>): Promise<boolean> => {
    await doors.audit.append(entry)
    let code: string | null = null
    try {
      await act()
    } catch (error) {
      code = error instanceof Fault ? error.code : 'INTERNAL'
      logger.error('purge_failed', { code }, error)
    }
    // Dying before this line leaves an announced purge without its end; the next round finds the thing there, or not.
    await doors.audit.append({ ...entry, status: code === null ? 200 : 500, code })
    return code === null
  }

  const purgeQuarantined = async (items: readonly Quarantined[], now: number, round: Round): Promise<void> => {
    const table = await see(parts.quarantine, items.map(quarantineKey), now)
    for (const item of items) {
      const sighting = table[quarantineKey(item)]
      if (!seenThroughout(sighting, windowMs, now)) continue
      const judgement = judgeQuarantined(item, sighting, await intentOf(item.operation_id), windowMs, now)
      explain(item.kind, quarantineKey(item), judgement)
      if (!judgement.due) continue
      const { account_id, kind, target, operation_id } = item
      const entry = entryOf(account_id, kind, target, operation_id, `in quarantine since ${iso(item.quarantined_at)}`)
      const done = await destroy(entry, async () => {
        await doors.keeper.purge({ account_id, kind, target, operation_id })
      })
      round[done ? 'purged' : 'failed'] += 1
    }
  }

  const listRestorePoints = async (): Promise<StoredRestorePoint[]> => {
    const points: StoredRestorePoint[] = []
    let after: string | null = null
    do {
      const page: { items: StoredRestorePoint[]; next: string | null } = await doors.vault.list_all({ after })
      points.push(...page.items)
      after = page.next
    } while (after !== null)
    return points
  }

  const expireRestorePoints = async (quarantined: readonly Quarantined[], now: number, round: Round): Promise<void> => {
    const points = await listRestorePoints()
    const table = await see(parts.restorePoints, points.map(pointKey), now)
    const inQuarantine = new Set<string>(quarantined.map(({ operation_id }) => operation_id))
    for (const [account, mine] of Map.groupBy(points, ({ account_id }) => account_id)) {
      const bases = mine.filter(({ kind }) => kind === 'base')
      for (const point of mine.filter(({ kind }) => kind === 'snapshot')) {
        const sighting = table[pointKey(point)]
        const operation = operationOf(point) as Quarantined['operation_id'] | null
        const intent = operation && seenThroughout(sighting, windowMs, now) ? await intentOf(operation) : null
        const judgement = judgeSnapshot(point, sighting, intent, inQuarantine, windowMs, now)
        if (seenThroughout(sighting, windowMs, now)) explain('snapshot', pointKey(point), judgement)
        if (!judgement.due) continue
        await expire(entryOf(account, 'snapshot', point.name, operation, storedSince([point])), [point], round)
      }
      // One entry per account and kind: a segment a minute would drown the log.
      for (const kind of ['base', 'wal'] as const) {
        const due = mine.filter(
          (point) => point.kind === kind && judgeRecovery(point, table[pointKey(point)], bases, windowMs, now).due,
        )
        if (due.length === 0) continue
        const names = due.length === 1 ? due[0]!.name : `${due[0]!.name} .. ${due.at(-1)!.name}`
        await expire({ ...entryOf(account, kind, names, null, storedSince(due)), count: due.length }, due, round)
      }
    }
  }
  const expire = async (entry: EntryInput, points: readonly StoredRestorePoint[], round: Round): Promise<void> => {
    let expired = 0
    await destroy(entry, async () => {
      let refused: unknown = null
      for (const { account_id, kind, name, sha256 } of points)
        try {
          await doors.vault.expire({ account_id, kind, name, sha256 })
          expired += 1
        } catch (error) {
          // The vault’s no to one says nothing about the next; a vault that does not answer does.
          if (error instanceof Fault && error.code === 'BACKEND_UNAVAILABLE') throw error
          refused = error
        }
      if (refused !== null) throw refused as Error
    })
    round.expired += expired
    round.failed += points.length - expired
  }

  return {
    round: async () => {
      const round: Round = { halted: false, purged: 0, expired: 0, failed: 0 }
      const now = await guard.time()
      if (now === null) return { ...round, halted: true }
      const { items } = await doors.keeper.list_quarantined({})
      await purgeQuarantined(items, now, round)
      if (surveyedAt === null || now - surveyedAt >= SURVEY_EVERY_MS) {
        // With the list from before the purge: a snapshot goes a survey after the thing that it could have brought back.
        await expireRestorePoints(items, now, round)
        surveyedAt = now
      }
      return round
    },
  }
}

const iso = (time: number): string => new Date(time).toISOString()
const storedSince = (points: readonly StoredRestorePoint[]): string =>
  `stored since ${iso(Math.min(...points.map(({ created_at }) => created_at)))}`

const entryOf = (
  account: string,
  resourceKind: string,
  resource: string,
  operationId: Quarantined['operation_id'] | null,
  why: string,
): EntryInput => ({
  kind: 'purge',
  account,
  door: 'internal',
  tool: null,
  risk: 'destructive',
  decision: 'allow',
  policy_hash: null,
  catalog_hash: null,
  status: null,
  code: null,
  operation_id: operationId,
  request_id: null,
  duration_ms: null,
  personal: { resource_kind: resourceKind, resource, why },
})
