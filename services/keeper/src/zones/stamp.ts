// Our mark on a zone: comments on its SOA set, because PowerDNS writes those in one transaction with the records.
// It says whose zone this is, which of two copies is the newer, whether a copy is whole, and which operations it has seen.
import type { PdnsComment, PdnsSet } from './powerdns.ts'

export type Stamp = {
  readonly zoneId: string
  /** Moves with each copy between staged and published; of two whole copies the higher one counts. */
  readonly generation: number
  /** A copy in the making; it does not count. */
  readonly incomplete: boolean
  /** The last operations that changed it, newest last. */
  readonly operations: readonly string[]
}

const OURS = 'bailiwick'
const REMEMBERED_OPERATIONS = 20
const ZONE = /^zone ([0-9a-f-]{36}) generation (\d{1,9})( incomplete)?$/
const OPERATION = /^operation ([0-9a-f-]{36})$/

export function readStamp(sets: readonly PdnsSet[]): Stamp | null {
  const comments = sets.find((set) => set.type === 'SOA')?.comments ?? []
  const ours = comments.filter(({ account }) => account === OURS).map(({ content }) => content)
  const zone = ours.map((content) => ZONE.exec(content)).find((match) => match !== null)
  if (!zone) return null
  return {
    zoneId: zone[1]!,
    generation: Number(zone[2]),
    incomplete: zone[3] !== undefined,
    operations: ours.flatMap((content) => OPERATION.exec(content)?.[1] ?? []),
  }
}

export function stampComments(stamp: Stamp, others: readonly PdnsComment[], nowMs: number): PdnsComment[] {
  const mine = (content: string): PdnsComment => ({ account: OURS, content, modified_at: Math.floor(nowMs / 1000) })
  return [
    ...others.filter(({ account }) => account !== OURS),
    mine(`zone ${stamp.zoneId} generation ${stamp.generation}${stamp.incomplete ? ' incomplete' : ''}`),
    ...stamp.operations.map((id) => mine(`operation ${id}`)),
  ]
}

export const operationComment = (operationId: string, nowMs: number): PdnsComment => ({
  account: OURS,
  content: `operation ${operationId}`,
  modified_at: Math.floor(nowMs / 1000),
})

export const withOperation = (stamp: Stamp, operationId: string): Stamp => ({
  ...stamp,
  operations: [...stamp.operations.filter((id) => id !== operationId), operationId].slice(-REMEMBERED_OPERATIONS),
})

/**
 * Whether the operation changed this zone. Old marks fall off the list, so an absent one means "no" only while the list has
 * room or holds nothing younger (UUIDv7 sorts by time).
 */
export function hasSeen(stamp: Stamp, operationId: string): 'done' | 'not_done' | 'unknown' {
  if (stamp.operations.includes(operationId)) return 'done'
  const forgetful = stamp.operations.length >= REMEMBERED_OPERATIONS
  return forgetful && stamp.operations.some((id) => id > operationId) ? 'unknown' : 'not_done'
}
