// Numbered SQL migrations of one service, run by the owner role that no service holds. Each file runs once, in one transaction.
import { readdirSync, readFileSync } from 'node:fs'
import type { Client } from 'pg'
import { sha256Hex } from './canonical.ts'
import { Fault } from './result.ts'

/** Applies `<folder>/NNNN-*.sql` in order to `schema`. A file that changed after it ran is a Fault, not a surprise. */
export async function migrate(client: Client, schema: string, folder: string): Promise<string[]> {
  await client.query(
    `CREATE TABLE IF NOT EXISTS public.migrations (schema text, name text, sha256 text NOT NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (schema, name))`,
  )
  const { rows } = await client.query<{ name: string; sha256: string }>(
    'SELECT name, sha256 FROM public.migrations WHERE schema = $1',
    [schema],
  )
  const done = new Map(rows.map((row) => [row.name, row.sha256]))
  const applied: string[] = []
  for (const name of readdirSync(folder)
    .filter((file) => /^\d{4}-.*\.sql$/.test(file))
    .sort()) {
    const sql = readFileSync(`${folder}/${name}`, 'utf8')
    const before = done.get(name)
    if (before === sha256Hex(sql)) continue
    if (before !== undefined) throw new Fault('MIGRATION_CHANGED', `${schema}/${name} changed after it was applied`)
    await client.query('BEGIN')
    try {
      await client.query(sql)
      await client.query('INSERT INTO public.migrations (schema, name, sha256) VALUES ($1, $2, $3)', [
        schema,
        name,
        sha256Hex(sql),
      ])
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    }
    applied.push(name)
  }
  return applied
}
