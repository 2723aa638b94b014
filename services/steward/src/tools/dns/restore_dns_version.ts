// Brings a zone back to an earlier version in one write. Only the sets that differ are touched, captured and compared by undo.
import { z } from 'zod'
import { RecordType, type RecordSet } from '@bailiwick/contracts/dns'
import { deny } from '@bailiwick/contracts/problem'
import type { ToolContext } from '../../context.ts'
import { defineTool, exact } from '../../define-tool.ts'
import { changesBetween, readVersion } from './versions.ts'
import {
  criticalOf,
  DOMAIN,
  DomainId,
  foundZone,
  pickSets,
  readZone,
  setsState,
  writeSets,
  type SetKey,
  type SetsState,
} from './zone.ts'

/** The keeper's bound for one write; more in two writes would leave the zone half old in between. */
const MAX_SETS = 500

const Input = z.strictObject({
  domain_id: DomainId,
  version: z.number().int().min(0).describe('From list_dns_versions.'),
})
const Output = z.strictObject({
  changed: z.array(z.strictObject({ name: z.string(), type: RecordType })).describe('The sets that differed.'),
})

/** The sets that differ, as the version has them; without records where it has none. */
async function targetsOf(context: ToolContext, { domain_id, version }: z.output<typeof Input>): Promise<RecordSet[]> {
  const wanted = await readVersion(context, domain_id, version)
  return pickSets(wanted, changesBetween(await foundZone(context, domain_id), wanted))
}

export default defineTool({
  name: 'restore_dns_version',
  summary:
    'Brings a zone back to an earlier version in one write. Returns which record sets changed; see diff_dns_versions first.',
  domain: 'dns',
  scopes: ['dns:write'],
  input: Input,
  output: Output,
  keep: ['domain_id', 'version'],
  resources: { domain_id: DOMAIN },
  effect: exact<z.output<typeof Input>, z.output<typeof Output>, SetsState>({
    async capture(context, input, output) {
      const touched: readonly SetKey[] = output ? output.changed : await targetsOf(context, input)
      return setsState(pickSets((await readZone(context, input.domain_id)).record_sets, touched))
    },
    undo: (context, { domain_id }, to) => writeSets(context, domain_id, Object.values(to.sets)),
  }),
  touchesCritical: async (context, input, _present, to) =>
    criticalOf(context, input.domain_id, to ? Object.values(to.sets) : await targetsOf(context, input)),
  async prepare(context, input) {
    const { length } = await targetsOf(context, input)
    if (length === 0) context.refuse(deny('CONFLICT', { detail: `The zone is like version ${input.version} already.` }))
    if (length > MAX_SETS)
      context.refuse(
        deny('CONFLICT', { detail: `${length} sets differ; one write takes ${MAX_SETS}. Use set_dns_records.` }),
      )
  },
  async handle(context, input) {
    const targets = await targetsOf(context, input)
    await writeSets(context, input.domain_id, targets)
    return { changed: targets.map(({ name, type }) => ({ name, type })) }
  },
})
