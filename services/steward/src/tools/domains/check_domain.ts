// What is configured against what the world sees: delegation, who answers there, DS, TXT, and the registry's data.
import { z } from 'zod'
import { defineTool, read } from '../../define-tool.ts'
import { iso } from '../../undo-window.ts'
import { untrusted, UntrustedText } from '../../untrusted.ts'
import { DsFit, fitOf, readSigning, SeenDs, showSeenDs } from '../dns/parent-ds.ts'
import { DOMAIN, domainData, DomainId, readZone } from '../dns/zone.ts'
import { sameRecords } from '../dns/critical.ts'
import { Delegation, delegationOf, findProblems, nextOf, Problem } from './problems.ts'
import { Verification, verificationOf } from './shape.ts'

const MAX_VALUES = 50

export default defineTool({
  name: 'check_domain',
  summary:
    'Looks at a domain from outside: verification TXT, delegation and name servers, DS at the parent, registrar and expiry. Says what is wrong and what to do.',
  domain: 'domains',
  scopes: ['domains:read'],
  input: z.strictObject({ domain_id: DomainId }),
  output: z.strictObject({
    name: z.string(),
    state: z.enum(['staged', 'published', 'quarantined', 'absent']),
    verified: z.boolean(),
    verification: z.strictObject({
      record: Verification,
      visible: z.boolean().nullable().describe('True: verify_domain will succeed. Null: nobody answered.'),
      seen: z.array(UntrustedText),
    }),
    apex_txt: z.strictObject({
      configured: z.array(UntrustedText),
      seen: z.array(UntrustedText),
      same: z.boolean().nullable().describe('Null: nobody answered.'),
    }),
    delegation: z.strictObject({
      state: Delegation.describe('Whether the parent names this zone’s name servers.'),
      parent_zone: UntrustedText.nullable(),
      source: z.enum(['parent', 'resolver']).nullable().describe('Who said so; a resolver may repeat old words.'),
      at_parent: z.array(UntrustedText),
      in_zone: z.array(UntrustedText),
      servers: z.array(
        z.strictObject({
          name: UntrustedText,
          address: UntrustedText.nullable(),
          answers: z
            .enum(['ours', 'outdated', 'another', 'not_authoritative', 'nothing', 'not_asked'])
            .describe('Whether it serves this zone. Not asked: it has no public address, or there was no time.'),
        }),
      ),
    }),
    dnssec: z.strictObject({
      state: z.enum(['unsigned', 'signed', 'parked']),
      parent: DsFit,
      seen: SeenDs,
    }),
    registration: z.strictObject({
      state: z.enum(['known', 'not_registered', 'unknown']),
      why: z.string().nullable().describe('Of unknown.'),
      name: UntrustedText.nullable(),
      registrar: UntrustedText.nullable(),
      statuses: z.array(UntrustedText).describe('As the registry words them, such as `client hold`.'),
      expires_at: z.string().nullable(),
      name_servers: z.array(UntrustedText),
    }),
    problems: z.array(Problem).describe('Worst first.'),
    next: z.string(),
  }),
  keep: ['domain_id'],
  resources: { domain_id: DOMAIN },
  effect: read,
  async handle(context, { domain_id }) {
    const domain = await context.resources.get(domain_id)
    const { name } = domain
    const record = verificationOf(context, domain_id, name)
    const [zone, signing, { view }, { registration }] = await Promise.all([
      readZone(context, domain_id),
      readSigning(context, domain_id),
      context.keeper.look_outside({ zone_id: domain_id, name, texts: [record.name, name] }),
      context.keeper.read_registration({ name }),
    ])
    const seenAt = (at: string): string[] | null => view.texts.find((each) => each.name === at)?.seen ?? null
    const [proof, apex] = [seenAt(record.name), seenAt(name)]
    const configured = zone.record_sets.find((set) => set.name === '@' && set.type === 'TXT')?.records ?? []
    const inZone = zone.record_sets.find((set) => set.name === '@' && set.type === 'NS')?.records ?? []
    const show = (values: readonly string[]): string[] => values.slice(0, MAX_VALUES).map((value) => untrusted(value))
    const showOne = (value: string | null): string | null => (value === null ? null : untrusted(value))
    const facts = {
      name,
      isVerified: domainData(domain).verified_at !== null,
      isProofVisible: proof && proof.includes(record.value),
      delegation: delegationOf(view.delegation, inZone),
      view,
      fit: fitOf(view.ds, signing),
      isSigned: signing.state === 'signed',
      registration,
      now: context.now,
    }
    const problems = findProblems(facts)
    return {
      name,
      state: zone.state,
      verified: facts.isVerified,
      verification: { record, visible: facts.isProofVisible, seen: show(proof ?? []) },
      apex_txt: { configured: show(configured), seen: show(apex ?? []), same: apex && sameRecords(configured, apex) },
      delegation: {
        state: facts.delegation,
        parent_zone: showOne(view.delegation.parent_zone),
        source: view.delegation.source,
        at_parent: show(view.delegation.name_servers),
        in_zone: show(inZone),
        servers: view.servers.map((server) => ({
          ...server,
          name: untrusted(server.name),
          address: showOne(server.address),
        })),
      },
      dnssec: { state: signing.state, parent: facts.fit, seen: showSeenDs(view.ds) },
      registration: {
        ...registration,
        name: showOne(registration.name),
        registrar: showOne(registration.registrar),
        statuses: show(registration.statuses),
        expires_at: registration.expires_at === null ? null : iso(registration.expires_at),
        name_servers: show(registration.name_servers),
      },
      problems,
      next: nextOf(facts, problems),
    }
  },
})
