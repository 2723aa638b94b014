// A read: run as the account, recorded, answered. A preview is a read whose impact policy turns into a preview token.
import type { ExecuteReply } from '@bailiwick/contracts/doors/steward'
import { ResourceId, uuidv7 } from '@bailiwick/kernel/ids'
import type { z } from 'zod'
import { bindContext } from './bind.ts'
import type { Call } from './checks.ts'
import { Refused, type Resource } from './context.ts'
import type { Deps } from './deps.ts'
import { entryOf } from './entries.ts'
import { namedResources, requireResources, type Output } from './plan.ts'
import { loadResources } from './resources.ts'

export async function answerRead(deps: Deps, call: Call, startedMs: number): Promise<z.input<typeof ExecuteReply>> {
  const { tool, permit, sealed, parsed } = call
  const named = namedResources(tool, parsed)
  const loaded = await loadResources(
    deps.database,
    permit.account,
    named.map(({ id }) => id),
  )
  requireResources(tool, parsed, loaded)
  const context = bindContext(deps, {
    sealed,
    operationId: null,
    newResourceId: ResourceId.parse(uuidv7(startedMs)),
    loaded,
    mayChange: false,
    changes: null,
  })
  const seen = tool.output.parse(await tool.handle(context, parsed)) as Output
  const output = tool.previews ? { ...seen, ...(await mintPreview(deps, call, loaded, seen)) } : seen
  // Before it leaves: what was read unrecorded was not read.
  const resource = named[0] ? { ...named[0], owner: permit.account } : null
  const { index } = await deps.audit.append(
    entryOf(permit, call.catalogTool, call.input, {
      kind: 'call',
      decision: 'allow',
      code: null,
      resource,
      durationMs: deps.clock.now() - startedMs,
    }),
  )
  return { ok: true, output: output, replay: false, receipt: index, operation_id: null }
}

/**
 * The version was read before the impact was worked out: a change in between makes the token stale, never the impact a lie.
 * The gateway carries the answer; it can neither invent a token nor hide what policy stored with it.
 */
async function mintPreview(
  deps: Deps,
  { tool, sealed, input }: Call,
  loaded: ReadonlyMap<string, Resource>,
  seen: Output,
): Promise<Output> {
  const { tool: for_tool, field } = tool.previews!
  const bound = loaded.get(input[field] as string)!
  const verdict = await deps.policy.assess({
    permit: sealed,
    assessment: {
      kind: 'preview',
      for_tool,
      input: input,
      resource_kind: bound.kind,
      resource_id: bound.id,
      resource_version: bound.version,
      impact: seen['impact'] ?? null,
    },
  })
  if (!verdict.ok) throw new Refused(verdict.denial)
  return {
    preview_token: verdict.preview_token,
    expires_at: new Date(verdict.expires_at).toISOString(),
    instruction: `Show this impact to the user and wait for a clear yes. Then call ${for_tool} with the same arguments, this preview_token and confirm: true.`,
  }
}
