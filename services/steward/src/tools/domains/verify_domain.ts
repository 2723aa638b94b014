// Control of the name is proven by a TXT record seen from outside; only then is the zone served under its own name.
import { z } from 'zod'
import { deny } from '@bailiwick/contracts/problem'
import { ResourceId } from '@bailiwick/kernel/ids'
import type { ToolContext } from '../../context.ts'
import { defineTool, exact } from '../../define-tool.ts'
import { iso } from '../../undo-window.ts'
import { DOMAIN, DomainId, readZone } from '../dns/zone.ts'
import { criticalOfRemoval, domainState, verificationOf } from './shape.ts'

const Input = z.strictObject({ domain_id: DomainId })
const Output = z.strictObject({ domain_id: ResourceId, name: z.string(), verified_at: z.string() })
/** Without the records: those may change while the zone is served, and taking it off loses none. */
type PublishedState = { published: boolean }

async function setPublished(context: ToolContext, domainId: ResourceId, published: boolean): Promise<string> {
  const { name, data } = await context.resources.get(domainId)
  const zone = { zone_id: domainId, name }
  await (published ? context.keeper.publish_zone(zone) : context.keeper.unpublish_zone(zone))
  context.resources.setData(domainId, { ...data, verified_at: published ? context.now : null })
  return name
}

export default defineTool({
  name: 'verify_domain',
  summary: 'Looks for the verification TXT record of a domain from outside and, when it is there, publishes the zone.',
  domain: 'domains',
  scopes: ['domains:write'],
  input: Input,
  output: Output,
  keep: ['domain_id'],
  resources: { domain_id: DOMAIN },
  effect: exact<z.output<typeof Input>, z.output<typeof Output>, PublishedState>({
    capture: async (context, { domain_id }) => ({
      published: (await readZone(context, domain_id)).state === 'published',
    }),
    async undo(context, { domain_id }, to) {
      await setPublished(context, domain_id, to.published)
    },
  }),
  // To unpublish is to take every record away from those who ask.
  touchesCritical: async (context, { domain_id }, present, to) =>
    present.published && to && !to.published
      ? criticalOfRemoval(context, domain_id, await domainState(context, domain_id))
      : [],
  async prepare(context, { domain_id }) {
    const { name, state } = await readZone(context, domain_id)
    if (state === 'published')
      context.refuse(deny('CONFLICT', { detail: `${name} is verified and published already.` }))
    const record = verificationOf(context, domain_id, name)
    const { values } = await context.keeper.resolve_txt({ name: record.name })
    if (!values.includes(record.value))
      context.refuse(
        deny('CONFLICT', {
          detail: 'The verification record is not visible from outside yet.',
          next: 'Create the record where the domain’s DNS is served today; new records can take their TTL to appear.',
          extra: { verification: record },
        }),
      )
  },
  async handle(context, { domain_id }) {
    const name = await setPublished(context, domain_id, true)
    return { domain_id, name, verified_at: iso(context.now) }
  },
})
