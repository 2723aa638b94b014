// A change needs at most one key; a destructive one needs the token of its own preview and a yes.
import type { Json } from '@bailiwick/kernel/canonical'
import { hashJson } from '@bailiwick/kernel/canonical'
import { boundInput } from '@bailiwick/contracts/permit'
import { err, ok } from '@bailiwick/kernel/result'
import { deny } from '@bailiwick/contracts/problem'
import type { Call } from './call.ts'
import { checkPreviewBinding, checkPreviewOwner, readPreviewToken, type Preview } from './checks/confirmation.ts'
import type { Verdict } from './checks/facts.ts'
import type { Unfrozen } from './checks/freezes.ts'
import { readIdempotencyKey } from './checks/idempotency-key.ts'
import type { Scoped } from './checks/scopes.ts'
import type { Understood } from './deed.ts'
import type { Deps } from './deps.ts'
import { findPreview } from './previews.ts'

type Allowed = Understood & Scoped & Unfrozen

declare const keyed: unique symbol
export type Keyed = Allowed & { readonly key: string | null; readonly [keyed]: true }
declare const confirmed: unique symbol
/** Destructive only with `preview`, bound to exactly this tool, resource and input. Made by `confirm` only. */
export type Confirmed = Keyed & { readonly preview: Preview | null; readonly [confirmed]: true }

/** A read repeats without harm and needs no key; one that is sent is ignored. `asked` is the caller's own input. */
export function checkKey(allowed: Allowed, fromHeader: string | null, asked: Json): Verdict<Keyed> {
  if (allowed.risk === 'read') return ok({ ...allowed, key: null } as unknown as Keyed)
  const key = readIdempotencyKey(fromHeader, asked as { readonly [field: string]: Json })
  return key.ok ? ok({ ...allowed, key: key.value } as unknown as Keyed) : key
}

export async function confirm(deps: Deps, keyed: Keyed, call: Call): Promise<Verdict<Confirmed>> {
  if (keyed.risk !== 'destructive') return ok({ ...keyed, preview: null } as unknown as Confirmed)
  const { tool, input, account, token } = keyed
  const previewTool = tool.confirms?.preview_tool ?? null
  // The catalog was checked at the start; a destructive tool that nothing previews cannot be confirmed.
  if (previewTool === null) return err(deny('CONFIRMATION_REQUIRED', { why: 'no preview tool' }))
  const sent = readPreviewToken(input, previewTool)
  if (!sent.ok) return sent
  const found = keyed.named ?? (await findPreview(deps.database, account.id, sent.value))
  const owned = checkPreviewOwner(found, token.principal, previewTool)
  if (!owned.ok) return owned
  call.previewId = owned.value.id
  const preview = checkPreviewBinding(owned.value, { tool, input, boundHash: hashJson(boundInput(input)) })
  return preview.ok ? ok({ ...keyed, preview: preview.value } as unknown as Confirmed) : preview
}
