// What deleting record sets and its preview share.
import { z } from 'zod'
import { RecordType, type RecordSet } from '@bailiwick/contracts/dns'
import { deny } from '@bailiwick/contracts/problem'
import type { ToolContext } from '../../context.ts'
import { setId } from './critical.ts'
import { DomainId, Name, noSet, pickSets, readZone, type SetKey } from './zone.ts'

const Sets = z
  .array(z.strictObject({ name: Name, type: RecordType }))
  .min(1)
  .max(50)
  .refine((sets) => new Set(sets.map(setId)).size === sets.length, 'a set is given twice')
  .refine(
    (sets) => !sets.some(({ name, type }) => name === '@' && type === 'NS'),
    'a zone needs its apex NS: replace them with set_dns_records',
  )
export const DeleteInput = z.strictObject({ domain_id: DomainId, sets: Sets })

/** The sets to delete as they are; refuses when one does not exist. */
export async function existingSets(context: ToolContext, input: z.output<typeof DeleteInput>): Promise<RecordSet[]> {
  const sets = pickSets((await readZone(context, input.domain_id)).record_sets, input.sets)
  const missing = sets.filter((set) => set.records.length === 0)
  if (missing.length > 0)
    context.refuse(
      deny('NOT_FOUND', {
        detail: `The zone has no ${missing.map(setId).join(', ')}.`.slice(0, 2000),
        next: 'Call list_dns_records.',
      }),
    )
  return sets
}

export const emptied = (sets: readonly SetKey[]): RecordSet[] => sets.map(noSet)
