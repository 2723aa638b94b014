// Signs a served zone. Harmless by itself: until the owner gives the DS to the registrar, nobody expects signatures.
import { z } from 'zod'
import { deny } from '@bailiwick/contracts/problem'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool } from '../../define-tool.ts'
import { criticalDs, readSigning, showKey, ShownKey, signingEffect } from './parent-ds.ts'
import { DOMAIN, DomainId, readZone } from './zone.ts'

const Input = z.strictObject({ domain_id: DomainId })
const Output = z.strictObject({
  domain_id: ResourceId,
  name: z.string(),
  key: ShownKey,
  next: z.string(),
})

export default defineTool({
  name: 'sign_domain',
  summary:
    'Signs a published zone with DNSSEC. Returns the DS record that the owner gives to the registrar; nothing depends on signatures before that.',
  domain: 'dns',
  scopes: ['dns:write'],
  input: Input,
  output: Output,
  keep: ['domain_id'],
  resources: { domain_id: DOMAIN },
  effect: signingEffect<z.output<typeof Output>>(),
  touchesCritical: async (context, { domain_id }, _present, to) =>
    to?.signed_with === null ? criticalDs(context, domain_id) : [],
  async prepare(context, { domain_id }) {
    const [zone, signing] = await Promise.all([readZone(context, domain_id), readSigning(context, domain_id)])
    if (zone.state !== 'published')
      context.refuse(
        deny('CONFLICT', {
          detail: `${zone.name} is not served yet, so there is nothing to sign for.`,
          next: 'Call verify_domain first.',
        }),
      )
    if (signing.state === 'signed')
      context.refuse(deny('CONFLICT', { detail: `${zone.name} is signed already.`, next: 'Call get_dnssec.' }))
  },
  async handle(context, { domain_id }) {
    const { name } = await context.resources.get(domain_id)
    // The zone's own key, where it was signed before.
    const { key } = await context.keeper.sign_zone({ zone_id: domain_id, name, dnskey: null })
    return {
      domain_id,
      name,
      key: showKey(key),
      next: 'Give the user the first DS record to enter at the registrar, then call get_dnssec to see it at the parent.',
    }
  },
})
