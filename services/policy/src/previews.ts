// Preview tokens at rest: only the SHA-256 of the token is kept, with what it is bound to.
import { createHash, randomBytes } from 'node:crypto'
import type { Json } from '@bailiwick/kernel/canonical'
import { uuidv7 } from '@bailiwick/kernel/ids'
import type { FoundPreview, Preview } from './checks/confirmation.ts'
import type { Database, Query } from './database.ts'
import { LIMITS } from './rules.ts'

const sha256 = (token: string): Buffer => createHash('sha256').update(token).digest()

/** Stores a new preview; its token (256 random bits) exists in the answer alone. */
export async function mintPreview(
  database: Database,
  account: string,
  bound: Pick<Preview, 'principal' | 'tool' | 'resourceId' | 'resourceVersion' | 'input' | 'inputHash'> & {
    resourceKind: string
  },
  now: number,
): Promise<{ token: string; expiresAt: number }> {
  const token = `pvt_${randomBytes(32).toString('base64url')}`
  const expiresAt = now + LIMITS.previewTtlMs
  await database.inAccount(account, (query) =>
    query(
      `INSERT INTO policy.previews (id, account_id, token_sha256, principal, tool, resource_kind, resource_id,
         resource_version, input, input_hash, created_at, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
      [
        uuidv7(now),
        account,
        sha256(token),
        bound.principal,
        bound.tool,
        bound.resourceKind,
        bound.resourceId,
        bound.resourceVersion,
        JSON.stringify(bound.input),
        bound.inputHash,
        new Date(now),
        new Date(expiresAt),
      ],
    ),
  )
  return { token, expiresAt }
}

export async function findPreview(database: Database, account: string, token: string): Promise<FoundPreview> {
  const [row] = await database.inAccount(account, (query) => selectPreview(query, sha256(token)))
  if (row) return row
  const [known] = await database.query<{ known: boolean }>('SELECT policy.is_preview_known($1) AS known', [
    sha256(token),
  ])
  return known!.known ? 'elsewhere' : 'absent'
}

/** True for exactly one caller, however many try: the row's lock decides, and the condition is read again under it. */
export async function spendPreview(query: Query, id: string, operationId: string, now: number): Promise<boolean> {
  const spent = await query(
    'UPDATE policy.previews SET spent_at = $2, operation_id = $3 WHERE id = $1 AND spent_at IS NULL RETURNING id',
    [id, new Date(now), operationId],
  )
  return spent.length === 1
}

async function selectPreview(query: Query, tokenSha256: Buffer): Promise<Preview[]> {
  const rows = await query<{
    id: string
    principal: string
    tool: string
    resource_id: string
    resource_version: string
    input: { readonly [field: string]: Json }
    input_hash: string
    expires_at: Date
    spent_at: Date | null
    operation_id: string | null
  }>('SELECT * FROM policy.previews WHERE token_sha256 = $1', [tokenSha256])
  return rows.map((row) => ({
    id: row.id,
    principal: row.principal,
    tool: row.tool,
    resourceId: row.resource_id,
    resourceVersion: Number(row.resource_version),
    input: row.input,
    inputHash: row.input_hash,
    expiresAt: row.expires_at.getTime(),
    spent: row.spent_at !== null,
    operationId: row.operation_id,
  }))
}
