// What is known about a call so far. The steps fill it in as they learn it, so that a refusal at any of them is recorded whole.
import type { CatalogTool } from '@bailiwick/contracts/catalog'
import type { Rate } from '@bailiwick/contracts/doors/policy'
import type { Json } from '@bailiwick/kernel/canonical'
import type { Current } from './checks/facts.ts'

export type Asked = {
  readonly credential: string | null
  readonly door: 'mcp' | 'rest' | 'console'
  /** As asserted by the gateway: recorded, and good against a token's thief who is not the gateway. */
  readonly address: string
  readonly agent: string
  readonly request_id: string
}

export type Call = {
  readonly asked: Asked
  readonly startedAt: number
  readonly input: Json | undefined
  readonly idempotencyKey: string | null
  current: Current | null
  tokenId: string | null
  rate: Rate | null
  tool: CatalogTool | null
  previewId: string | null
}

export const openCall = (asked: Asked, input?: Json, idempotencyKey: string | null = null): Call => ({
  asked,
  startedAt: performance.now(),
  input,
  idempotencyKey,
  current: null,
  tokenId: null,
  rate: null,
  tool: null,
  previewId: null,
})
