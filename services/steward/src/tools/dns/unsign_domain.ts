// Leaves off signing. The key is parked, not destroyed: undo signs with the same one, so a DS given out stays right.
import { z } from 'zod'
import { deny } from '@bailiwick/contracts/problem'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool } from '../../define-tool.ts'
import { criticalDs, readSigning, signingEffect } from './parent-ds.ts'
import { DOMAIN, DomainId } from './zone.ts'

const Input = z.strictObject({ domain_id: DomainId })
const Output = z.strictObject({ domain_id: ResourceId, name: z.string(), parked_key_tag: z.number().int() })

export default defineTool({
  name: 'unsign_domain',
  summary:
    'Stops signing a zone; its key is kept for undo. Needs the owner’s approval unless the parent is seen to hold no DS: remove that at the registrar first.',
  domain: 'dns',
  scopes: ['dns:write'],
  input: Input,
  output: Output,
  keep: ['domain_id'],
  resources: { domain_id: DOMAIN },
  effect: signingEffect<z.output<typeof Output>>(),
  touchesCritical: async (context, { domain_id }, _present, to) =>
    to?.signed_with ? [] : criticalDs(context, domain_id),
  async prepare(context, { domain_id }) {
    if ((await readSigning(context, domain_id)).state !== 'signed')
      context.refuse(deny('CONFLICT', { detail: 'The zone is not signed.', next: 'Call get_dnssec.' }))
  },
  async handle(context, { domain_id }) {
    const [{ name }, { key }] = await Promise.all([context.resources.get(domain_id), readSigning(context, domain_id)])
    await context.keeper.unsign_zone({ zone_id: domain_id, name })
    return { domain_id, name, parked_key_tag: key!.key_tag }
  },
})
