// Replaces all records of one name and type in one versioned write. SOA is not among the types: it is the server's own.
import { z } from 'zod'
import { RecordSet, RecordType } from '@bailiwick/contracts/dns'
import { deny } from '@bailiwick/contracts/problem'
import type { ToolContext } from '../../context.ts'
import { defineTool, exact } from '../../define-tool.ts'
import { UntrustedText, untrusted } from '../../untrusted.ts'
import {
  canonicalRecords,
  criticalOf,
  DOMAIN,
  DomainId,
  foundZone,
  Name,
  pickSets,
  readZone,
  setsState,
  writeSets,
  type SetsState,
} from './zone.ts'

const Input = z
  .strictObject({
    domain_id: DomainId,
    name: Name,
    type: RecordType,
    ttl_seconds: z.number().int().min(30).max(604_800).default(3600),
    records: z
      .array(z.string().min(1).max(4000))
      .min(1, 'to remove a set, use delete_dns_records')
      .max(50)
      .describe('All values of the set. TXT as plain text without quotes; MX as `10 mail.example.com`.'),
  })
  .superRefine(({ name, type, ttl_seconds, records }, context) => {
    const set = { name, type, ttl_seconds, records }
    for (const { path, message } of RecordSet.safeParse(set).error?.issues ?? [])
      context.addIssue({ code: 'custom', path, message })
    if (set.type === 'CNAME' && set.name === '@')
      context.addIssue({ code: 'custom', path: ['type'], message: 'the apex cannot be a CNAME (RFC 1912 §2.4)' })
    if (set.type === 'DS' && set.name === '@')
      context.addIssue({ code: 'custom', path: ['type'], message: 'the DS of a domain is set at its registrar' })
  })
const Output = z.strictObject({
  replaced: z.array(UntrustedText),
  replaced_ttl_seconds: z.number().int().nullable().describe('Null: there was no such set.'),
})

const targetOf = ({ name, type, ttl_seconds, records }: z.output<typeof Input>): RecordSet => ({
  name,
  type,
  ttl_seconds,
  records: canonicalRecords(type, records),
})

async function refuseClash(context: ToolContext, { domain_id, name, type }: z.output<typeof Input>): Promise<void> {
  const zone = await readZone(context, domain_id)
  if (name === zone.name || name.endsWith(`.${zone.name}`))
    context.refuse(
      deny('INPUT_INVALID', {
        detail: `Names are relative to ${zone.name}: use ${name === zone.name ? '@' : name.slice(0, -zone.name.length - 1)}.`,
      }),
    )
  if (name !== '@' && name.length + 1 + zone.name.length > 253)
    context.refuse(deny('INPUT_INVALID', { detail: 'The name with its zone is longer than 253 characters.' }))
  const others = zone.record_sets.filter((set) => set.name === name && set.type !== type)
  if (type === 'CNAME' ? others.length > 0 : others.some((set) => set.type === 'CNAME'))
    context.refuse(
      deny('CONFLICT', {
        detail: `A CNAME stands alone at its name (RFC 1034 §3.6.2). There is ${others.map((set) => set.type).join(', ')} at ${name}.`,
      }),
    )
}

export default defineTool({
  name: 'set_dns_records',
  summary: 'Replaces the records of one name and type in a zone you own. Returns the records it replaced.',
  domain: 'dns',
  scopes: ['dns:write'],
  input: Input,
  output: Output,
  keep: ['domain_id', 'name', 'type', 'ttl_seconds'],
  resources: { domain_id: DOMAIN },
  effect: exact<z.output<typeof Input>, z.output<typeof Output>, SetsState>({
    capture: async (context, input) =>
      setsState(pickSets((await readZone(context, input.domain_id)).record_sets, [input])),
    undo: (context, { domain_id }, to) => writeSets(context, domain_id, Object.values(to.sets)),
  }),
  touchesCritical: (context, input, _present, to) =>
    criticalOf(context, input.domain_id, to ? Object.values(to.sets) : [targetOf(input)]),
  prepare: refuseClash,
  async handle(context, input) {
    const [before] = pickSets(await foundZone(context, input.domain_id), [input])
    await writeSets(context, input.domain_id, [targetOf(input)])
    const replaced = before?.records ?? []
    return {
      replaced: replaced.map((value) => untrusted(value)),
      replaced_ttl_seconds: before && replaced.length > 0 ? before.ttl_seconds : null,
    }
  },
})
