// Policy's own numbers and tables, in one place; their hash is in every permit and entry, so that the log says which rules decided.
import { hashJson } from '@bailiwick/kernel/canonical'
import type { Risk } from '@bailiwick/contracts/catalog'
import { UNDO_WINDOW_MS } from '@bailiwick/contracts/permit'

export type Tier = 'none' | 'sandbox' | 'beta' | 'full'
export type LimitClass = 'standard' | 'install'

/** mechanisms.md §8, §9. */
export const LIMITS = {
  windowMs: 60_000,
  callsPerWindow: { standard: 60, install: 5 },
  /** So many calls refused inside one Retry-After window pause the token. */
  refusedCallsToPause: 10,
  refusalsPerAddressAndMinute: 120,
  /** Beyond, a principal's refusals of the minute become one entry with a count: a hammering agent cannot fill the disk. */
  refusalEntriesPerPrincipalAndMinute: 120,
  previewTtlMs: 10 * 60_000,
  idempotencyMs: 24 * 3_600_000,
  /** A destructive call repeated identically without a key inside this time is the same call. */
  repeatMs: 60_000,
  undoMs: UNDO_WINDOW_MS,
} as const

/** mechanisms.md §3: what a tier allows, and how many changes per account and UTC day (null: no bound). */
export const TIERS: Readonly<Record<Tier, { risks: readonly Risk[]; changesPerDay: number | null }>> = {
  none: { risks: [], changesPerDay: 0 },
  sandbox: { risks: ['read'], changesPerDay: 0 },
  beta: { risks: ['read', 'write', 'destructive'], changesPerDay: 500 },
  full: { risks: ['read', 'write', 'destructive'], changesPerDay: null },
}

/** First match wins; a name that none matches is destructive. confirm_action runs another tool: that tool's risk counts. */
export const RISK_TABLE: readonly (readonly [pattern: string, least: Risk])[] = [
  ['^(list|get|describe|check|diff|preview|read|stat|search|whoami|server)(_|$)', 'read'],
  ['^run_read_query$', 'read'],
  ['^(confirm_action|remove_rows)$', 'write'],
  [
    '^(add|apply|bind|cancel|create|deploy|hold|insert|install|migrate|move|pause|renew|request|restart|restore|rollback|rotate|scale|set|sign|start|stop|trigger|undo|unsign|update|verify|write)(_|$)',
    'write',
  ],
  ['^delete_', 'destructive'],
]

/** Tools without scopes of their own. Reads answer what the token may read; the other two need what their deed needs. */
export const CROSS_DOMAIN_READS: readonly string[] = [
  'whoami',
  'list_trash',
  'preview_undo',
  'get_operation',
  'get_approval',
]
export const UNDO = 'undo'
export const CONFIRM = 'confirm_action'

export const POLICY_HASH = hashJson({
  version: 1,
  limits: LIMITS,
  tiers: TIERS,
  risk_table: RISK_TABLE,
  cross_domain_reads: CROSS_DOMAIN_READS,
})
