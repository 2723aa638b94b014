// Takes a domain and its zone out of sight. Nothing that a call can reach destroys them.
import { z } from 'zod'
import { ResourceId } from '@bailiwick/kernel/ids'
import { defineTool, recoverable } from '../../define-tool.ts'
import { DOMAIN, DomainId } from '../dns/zone.ts'
import {
  criticalOfRemoval,
  domainRemoval,
  domainState,
  dumpZone,
  quarantineDomain,
  restoreDomain,
  type DomainState,
} from './shape.ts'

const Input = z.strictObject({ domain_id: DomainId })
const Output = z.strictObject({
  deleted: z.boolean(),
  domain_id: ResourceId,
  restore_point: z.strictObject({ name: z.string(), sha256: z.string(), size_bytes: z.number().int() }),
})

export default defineTool({
  name: 'delete_domain',
  summary:
    'Deletes a domain and its DNS zone after preview_delete_domain and the user’s yes. Undo brings both back until undo_until.',
  domain: 'domains',
  scopes: ['domains:delete'],
  input: Input,
  output: Output,
  keep: ['domain_id'],
  resources: { domain_id: DOMAIN },
  effect: recoverable<z.output<typeof Input>, z.output<typeof Output>, DomainState>({
    // Every record, durable in the journal before anything changes.
    capture: (context, { domain_id }) => domainState(context, domain_id),
    snapshot: (context, { domain_id }) => dumpZone(context, domain_id),
    async undo(context, { domain_id }, to) {
      await (to.exists ? restoreDomain(context, domain_id) : quarantineDomain(context, domain_id))
    },
    // Undo of undo.
    removal: domainRemoval(({ domain_id }: z.output<typeof Input>) => domain_id),
  }),
  // Deleting, and deleting again by undo of undo; bringing back touches nothing that exists.
  touchesCritical: async (context, { domain_id }, present, to) =>
    to?.exists ? [] : criticalOfRemoval(context, domain_id, present),
  confirms: { previewTool: 'preview_delete_domain', field: 'domain_id' },
  async handle(context, { domain_id }) {
    const { kind: _, ...restore_point } = await quarantineDomain(context, domain_id)
    return { deleted: true, domain_id, restore_point }
  },
})
