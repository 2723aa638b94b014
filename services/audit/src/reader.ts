// Reading back: one account's entries, opened and verified. Nothing that comes from the tables is believed unchecked.
import type { Pool, QueryResultRow } from 'pg'
import type { z } from 'zod'
import type { Json } from '@bailiwick/kernel/canonical'
import { OperationId } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import type { auditDoor, OpenedEntry, PersonalFields } from '@bailiwick/contracts/doors/audit'
import { openPersonal, type Commitments } from './commitments.ts'
import { leafHash } from './leaf.ts'
import { openOpening, type Keyring } from './openings.ts'

type Question = z.output<(typeof auditDoor)['routes']['query']['input']>
type Stored = {
  index: string
  time_ms: string
  leaf: string
  leaf_hash: Buffer
  partition: string
  /** Null when the opening was destroyed. */
  sealed: Buffer | null
}

export type Reader = {
  query(question: Question): Promise<{ entries: OpenedEntry[]; next_before: number | null }>
  intentOf(operationId: string): Promise<{ time: number; account: string; tool: string } | null>
}

export function createReader(pool: Pool, keys: Keyring, logger: Logger): Reader {
  const ask = async <R extends QueryResultRow>(sql: string, values: unknown[]): Promise<R[]> => {
    try {
      return (await pool.query<R>(sql, values)).rows
    } catch (cause) {
      throw new Fault('AUDIT_UNAVAILABLE', 'the log cannot be read', { cause })
    }
  }

  const openRow = async (row: Stored, account: string): Promise<OpenedEntry | null> => {
    const index = Number(row.index)
    const leaf = JSON.parse(row.leaf) as Record<string, Json>
    // The columns are copies. Whoever changed one to make another account's entry appear here finds that the leaf disagrees.
    if (leaf['account'] !== account || leaf['index'] !== index) {
      logger.error('log_row_forged', { index })
      return null
    }
    const isIntact = leafHash(row.leaf).equals(row.leaf_hash)
    if (!isIntact) logger.error('leaf_hash_mismatch', { index })
    return {
      index,
      time: Number(row.time_ms),
      leaf_hash: row.leaf_hash.toString('hex'),
      leaf,
      personal: isIntact ? await openValues(row, index, leaf['commitments'] as Commitments) : null,
    }
  }

  const openValues = async (row: Stored, index: number, commitments: Commitments): Promise<PersonalFields | null> => {
    const key = row.sealed && (await keys.forReading(row.partition))
    if (!row.sealed || !key) return null
    let personal: PersonalFields | null = null
    try {
      personal = openPersonal(commitments, openOpening(key, index, row.sealed))
    } catch {
      // Another key, another place or a changed byte: the same as a value that does not fit its commitment.
    }
    if (!personal) logger.error('opening_mismatch', { index, partition: row.partition })
    return personal
  }

  return {
    async query({ account, before, limit, tool, operation_id }) {
      if (operation_id !== null && !OperationId.safeParse(operation_id).success)
        return { entries: [], next_before: null }
      const rows = await ask<Stored>('SELECT * FROM audit.entries_of($1, $2, $3, $4, $5)', [
        account,
        before,
        limit + 1,
        tool,
        operation_id,
      ])
      const page = rows.slice(0, limit)
      const entries: OpenedEntry[] = []
      for (const row of page) {
        const entry = await openRow(row, account)
        if (entry) entries.push(entry)
      }
      return { entries, next_before: rows.length > limit ? Number(page.at(-1)!.index) : null }
    },
    async intentOf(operationId) {
      const [row] = await ask<{ time_ms: string; account: string; tool: string }>('SELECT * FROM audit.intent_of($1)', [
        operationId,
      ])
      return row ? { time: Number(row.time_ms), account: row.account, tool: row.tool } : null
    },
  }
}
