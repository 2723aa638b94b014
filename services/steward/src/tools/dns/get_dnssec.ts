// A zone's signing beside what its parent says of it: the two must fit, and only the owner can change the parent's half.
import { z } from 'zod'
import { defineTool, read } from '../../define-tool.ts'
import { DsFit, fitOf, readSigning, SeenDs, showKey, ShownKey, showSeenDs } from './parent-ds.ts'
import { DOMAIN, DomainId } from './zone.ts'

export default defineTool({
  name: 'get_dnssec',
  summary:
    'Shows whether a zone is signed, its key tag, algorithm and DS records, and whether the DS at the parent, seen from outside, matches.',
  domain: 'dns',
  scopes: ['dns:read'],
  input: z.strictObject({ domain_id: DomainId }),
  output: z.strictObject({
    name: z.string(),
    state: z.enum(['unsigned', 'signed', 'parked']).describe('Parked: the key is kept, and not used.'),
    key: ShownKey.nullable(),
    parent: z.strictObject({ ds: DsFit, seen: SeenDs }),
    next: z.string(),
  }),
  keep: ['domain_id'],
  resources: { domain_id: DOMAIN },
  effect: read,
  async handle(context, { domain_id }) {
    const { name } = await context.resources.get(domain_id)
    const [signing, { ds }] = await Promise.all([
      readSigning(context, domain_id),
      context.keeper.read_parent_ds({ name }),
    ])
    const fit = fitOf(ds, signing)
    return {
      name,
      state: signing.state,
      key: signing.key && showKey(signing.key),
      parent: { ds: fit, seen: showSeenDs(ds) },
      next: NEXT[signing.state === 'signed' ? 'signed' : 'not_signed'][fit],
    }
  },
})

const NEXT = {
  signed: {
    matches: 'Nothing: the chain of trust is whole.',
    mismatch: 'The user must replace the DS at the registrar with this key’s: validating resolvers fail until then.',
    none: 'The user gives the first DS record to the registrar; until then resolvers treat the domain as unsigned.',
    unknown: 'The parent could not be asked. Try again later.',
  },
  not_signed: {
    matches: 'Nothing.',
    mismatch: 'The parent expects signatures and there are none: call sign_domain, or the user removes the DS.',
    none: 'Nothing: the domain is unsigned here and at the parent. sign_domain signs it.',
    unknown: 'The parent could not be asked. Try again later.',
  },
} as const
