// What a call is really about. Mostly what it says; `undo` and `confirm_action` are about a deed that policy has on file.
import type { CatalogTool, Risk } from '@bailiwick/contracts/catalog'
import { deny } from '@bailiwick/contracts/problem'
import { OperationId } from '@bailiwick/kernel/ids'
import { err, ok } from '@bailiwick/kernel/result'
import type { Call } from './call.ts'
import { checkPreviewOwner, readPreviewToken, type Preview } from './checks/confirmation.ts'
import type { Verdict } from './checks/facts.ts'
import { needOf, needOfUndo, scopesFor, type Need } from './checks/scopes.ts'
import type { Tiered } from './checks/tier.ts'
import type { Input, Named } from './checks/tool.ts'
import type { Admitted, Counted } from './checks/window.ts'
import type { Deps } from './deps.ts'
import { findOperation } from './operations.ts'
import { findPreview } from './previews.ts'
import { CONFIRM, UNDO } from './rules.ts'

type Asked = Named<Counted> & Admitted & Tiered

declare const understood: unique symbol
/** Made by `findDeed` only. `tool`, `input` and `risk` are those of the deed. */
export type Understood = Asked & {
  readonly risk: Risk
  readonly need: Need
  /** What the token's scopes count for here. */
  readonly counting: readonly string[]
  /** What an undo of this deed will need, and must watch. */
  readonly later: {
    readonly scopes: readonly string[]
    readonly domain: string
    readonly obligations: readonly string[]
  }
  /** confirm_action: the preview that named the deed. */
  readonly named: Preview | null
  readonly undoes: OperationId | null
  readonly [understood]: true
}

export async function findDeed(deps: Deps, asked: Asked, call: Call): Promise<Verdict<Understood>> {
  switch (asked.tool.name) {
    case UNDO:
      return findUndoneDeed(deps, asked)
    case CONFIRM:
      return findPreviewedDeed(deps, asked, call)
    default:
      return ok(understand(deps, asked, asked.tool, asked.input, null))
  }
}

async function findUndoneDeed(deps: Deps, asked: Asked): Promise<Verdict<Understood>> {
  const id = OperationId.safeParse(asked.input['operation_id'])
  // Not an id, another account's or none: one answer.
  const deed = id.success
    ? await deps.database.inAccount(asked.account.id, (query) => findOperation(query, id.data))
    : null
  if (!deed) return err(deny('NOT_FOUND'))
  const later = { scopes: deed.scopes, domain: deed.domain, obligations: deed.obligations }
  return ok({
    ...understand(deps, asked, asked.tool, asked.input, null),
    risk: 'write',
    need: needOfUndo(deed),
    later,
    undoes: deed.id,
  })
}

async function findPreviewedDeed(deps: Deps, asked: Asked, call: Call): Promise<Verdict<Understood>> {
  const token = readPreviewToken(asked.input, null)
  if (!token.ok) return token
  const found = await findPreview(deps.database, asked.account.id, token.value)
  const preview = checkPreviewOwner(found, asked.token.principal, null)
  if (!preview.ok) return preview
  call.previewId = preview.value.id
  const tool = deps.catalog.tools.get(preview.value.tool)
  // Previewed before an upgrade that took the tool away.
  if (!tool) return err(deny('PREVIEW_TOKEN_EXPIRED', { why: `${preview.value.tool} is gone` }))
  const input: Input = {
    ...preview.value.input,
    preview_token: token.value,
    ...('confirm' in asked.input ? { confirm: asked.input['confirm'] } : {}),
  }
  return ok(understand(deps, asked, tool, input, preview.value))
}

function understand(deps: Deps, asked: Asked, tool: CatalogTool, input: Input, named: Preview | null): Understood {
  return {
    ...asked,
    tool,
    input,
    risk: tool.risk,
    need: needOf(tool),
    counting: scopesFor(tool, asked.token.scopes, deps.catalog),
    later: { scopes: tool.scopes, domain: tool.domain, obligations: tool.obligations },
    named,
    undoes: null,
  } as unknown as Understood
}
