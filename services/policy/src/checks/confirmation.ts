// The second of the two steps of a delete: does this call carry the token of the very thing that was previewed?
import type { CatalogTool } from '@bailiwick/contracts/catalog'
import { deny } from '@bailiwick/contracts/problem'
import type { Denial } from '@bailiwick/contracts/problem'
import type { Json } from '@bailiwick/kernel/canonical'
import { err, ok } from '@bailiwick/kernel/result'
import type { Verdict } from './facts.ts'
import type { Input } from './tool.ts'

export type Preview = {
  readonly id: string
  readonly principal: string
  readonly tool: string
  readonly resourceId: string
  readonly resourceVersion: number
  readonly input: { readonly [field: string]: Json | undefined }
  readonly inputHash: string
  readonly expiresAt: number
  readonly spent: boolean
  /** The operation that spent it. */
  readonly operationId: string | null
}

/** The account's own preview, one of another account, or none at all. */
export type FoundPreview = Preview | 'elsewhere' | 'absent'

/** The preview token as sent; missing and malformed are the same. */
export function readPreviewToken(input: Input, previewTool: string | null): Verdict<string> {
  const token = input['preview_token']
  return typeof token === 'string' && /^pvt_[\w-]{43}$/.test(token) ? ok(token) : err(missing(previewTool))
}

const missing = (previewTool: string | null): Denial =>
  deny('PREVIEW_TOKEN_MISSING', previewTool === null ? {} : { next: `Call ${previewTool} and show its impact.` })

/** Whose is it? */
export function checkPreviewOwner(
  found: FoundPreview,
  principal: string,
  previewTool: string | null,
): Verdict<Preview> {
  if (found === 'absent') return err(missing(previewTool))
  if (found === 'elsewhere') return err(deny('PREVIEW_TOKEN_OWNERSHIP_MISMATCH', { why: 'of another account' }))
  if (found.principal !== principal)
    return err(deny('PREVIEW_TOKEN_OWNERSHIP_MISMATCH', { why: `made by ${found.principal}` }))
  return ok(found)
}

/** Is it of this tool, this resource and this input, and did the caller say yes? `boundHash`: hash of `boundInput`. */
export function checkPreviewBinding(
  preview: Preview,
  call: { tool: CatalogTool; input: Input; boundHash: string },
): Verdict<Preview> {
  const { tool, input, boundHash } = call
  const field = tool.confirms?.field
  const resource = field === undefined ? undefined : input[field]
  if (preview.tool !== tool.name || resource !== preview.resourceId || boundHash !== preview.inputHash)
    return err(deny('PREVIEW_TOKEN_RESOURCE_MISMATCH', { why: `preview of ${preview.tool}` }))
  if (input['confirm'] !== true)
    return err(deny('CONFIRMATION_REQUIRED', { next: 'Show the impact to the user; call again with `confirm: true`.' }))
  return ok(preview)
}

export const used = (operationId: string | null): Denial =>
  deny('PREVIEW_TOKEN_USED', operationId === null ? {} : { extra: { operation_id: operationId } })

/** Can it still be spent? Asked inside the deciding transaction, after a retry of the same call has been told apart. */
export function checkPreviewUnspent(preview: Preview, now: number): Verdict<Preview> {
  if (preview.spent) return err(used(preview.operationId))
  if (preview.expiresAt <= now) return err(deny('PREVIEW_TOKEN_EXPIRED'))
  return ok(preview)
}
