// The vault's only way to remove anything, reached through the second door by the reaper alone. The vault does not take the
// reaper's word: age is by its own record, and what recovery to any second of the window still needs stays whoever asks.
import { rm } from 'node:fs/promises'
import type { RestorePointRef, StoredRestorePoint } from '@bailiwick/contracts/doors/vault'
import type { Clock } from '@bailiwick/kernel/clock'
import { syncFolder } from '@bailiwick/kernel/durable-file'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import type { Objects } from './objects.ts'

const DAY_MS = 86_400_000
const MINIMUM_AGE_MS = 30 * DAY_MS
/** A base needs WAL from when its copying began, which is before it was stored here: no copy takes a day. */
const COPY_TIME_MS = DAY_MS

export type Expiry = { expire(ref: RestorePointRef): Promise<boolean> }

/**
 * Why `item` must stay, or null. `bases` are all base backups of its account.
 * A base may go when a newer one is itself old enough to begin the whole window; WAL when every base that is kept began after it.
 */
export function neededBecause(
  item: StoredRestorePoint,
  bases: readonly StoredRestorePoint[],
  now: number,
): string | null {
  if (item.kind === 'snapshot') return null
  if (item.kind === 'base') {
    const covered = bases.some(
      (base) => base.created_at > item.created_at && base.created_at <= now - MINIMUM_AGE_MS - COPY_TIME_MS,
    )
    return covered ? null : 'no newer base covers the window'
  }
  // `00000002.history.<cluster>`: a few bytes each, and recovery across timelines asks for them long after.
  if (/\.history(\.|$)/.test(item.name)) return 'timeline history'
  if (bases.length === 0) return 'no base to recover from without it'
  const oldest = Math.min(...bases.map((base) => base.created_at))
  return item.created_at >= oldest - COPY_TIME_MS ? 'a kept base needs it' : null
}

export function createExpiry(objects: Objects, clock: Clock, logger: Logger): Expiry {
  const expire = async (ref: RestorePointRef): Promise<boolean> => {
    const item = await objects.describe(ref)
    if (!item) return false
    const now = clock.now()
    if (now - item.created_at < MINIMUM_AGE_MS)
      throw new Fault('TOO_YOUNG', `${objects.identityOf(ref)}: created ${new Date(item.created_at).toISOString()}`)
    const bases = item.kind === 'snapshot' ? [] : await objects.list(ref.account_id, 'base', '')
    const needed = neededBecause(item, bases, now)
    if (needed) throw new Fault('STILL_NEEDED', `${objects.identityOf(ref)}: ${needed}`)
    // Two calls at once are harmless: what makes a base superfluous is a newer one, which that call cannot remove.
    await rm(objects.pathOf(ref), { force: true })
    await syncFolder(objects.folderOf(ref))
    objects.forget(ref)
    logger.info('restore_point_expired', { object: objects.identityOf(ref), created_at: item.created_at })
    return true
  }

  return { expire }
}
