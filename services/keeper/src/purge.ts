// The only code of the keeper that destroys. It serves the second door, for the reaper alone, and touches nothing but what the
// keeper itself recorded as quarantined at least 30 days ago.
import type { keeperPurgeDoor } from '@bailiwick/contracts/doors/keeper'
import { hashJson } from '@bailiwick/kernel/canonical'
import type { Handlers } from '@bailiwick/kernel/door'
import { Fault } from '@bailiwick/kernel/result'
import { idOfDatabase, namesOf, quote, SUPERUSER } from './databases/names.ts'
import { findPlace, readState, requirePlace, type DatabaseMark, type Hands } from './databases/step.ts'
import { trashSchemaOf } from './databases/tables.ts'
import type { Cluster } from './clusters.ts'
import type { Operations } from './operations.ts'
import { MINIMUM_QUARANTINE_MS, type Zones } from './zones/zones.ts'

type Item = {
  account_id: string
  kind: 'database' | 'table' | 'zone'
  target: string
  operation_id: string
  quarantined_at: number
}

function requireAge(hands: Hands, quarantinedAt: number): void {
  if (hands.clock.now() - quarantinedAt < MINIMUM_QUARANTINE_MS)
    throw new Fault('TOO_YOUNG', 'quarantined less than 30 days ago by our own record')
}

export function createPurge(
  hands: Hands,
  operations: Operations,
  zones: Pick<Zones, 'listQuarantined' | 'purge'>,
): Handlers<typeof keeperPurgeDoor> {
  return {
    list_quarantined: async () => {
      const items: Item[] = []
      for (const cluster of hands.clusters.all()) {
        try {
          items.push(...(await listOf(cluster)))
        } catch (error) {
          // What is not listed is not purged: a cluster that is down only waits longer.
          hands.logger.warn('quarantine_not_listed', { account_id: cluster.accountId, why: String(error) })
        }
      }
      items.push(...(await zones.listQuarantined()))
      return { items: items }
    },
    purge: ({ account_id, kind, target, operation_id }) => {
      if (kind === 'zone') return zones.purge(target, operation_id, account_id)
      const [databaseId, table] = target.split('/')
      const act =
        kind === 'database'
          ? () => purgeDatabase(hands, account_id, databaseId!, operation_id)
          : () => purgeTable(hands, account_id, databaseId!, table ?? '', operation_id)
      // Through the operation log: it waits for a restore of the same thing, and a repeat gets the first answer.
      return operations.once(
        { operation_id, account_id, verb: `purge_${kind}`, target, input_hash: hashJson({ kind, target }) },
        { probe: async () => ({ state: 'not_done' as const }), act },
      )
    },
  }
}

async function listOf(cluster: Cluster): Promise<Item[]> {
  const connections = await cluster.connections()
  const { rows } = await connections.use('postgres', SUPERUSER, (sql) =>
    sql.query<{ datname: string; mark: string | null }>(
      `SELECT datname, shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname ~ '^(db|q)_[0-9a-f]{32}$'`,
    ),
  )
  const items: Item[] = []
  for (const { datname, mark } of rows) {
    const databaseId = idOfDatabase(datname)
    if (!databaseId || !mark) continue
    if (datname.startsWith('q_')) {
      const { operation_id, at } = JSON.parse(mark) as DatabaseMark
      items.push({
        account_id: cluster.accountId,
        kind: 'database',
        target: databaseId,
        operation_id,
        quarantined_at: at,
      })
      continue
    }
    const trash = await connections.use(datname, SUPERUSER, (sql) =>
      sql.query<{ operation_id: string; table_name: string; at: number }>(
        `SELECT operation_id, table_name, round(extract(epoch FROM quarantined_at) * 1000)::float8 AS at
          FROM bailiwick.trash WHERE ended_at IS NULL`,
      ),
    )
    for (const { operation_id, table_name, at } of trash.rows)
      items.push({
        account_id: cluster.accountId,
        kind: 'table',
        target: `${databaseId}/${table_name}`,
        operation_id,
        quarantined_at: at,
      })
  }
  return items
}

/** `purged: false`: it was gone already. */
async function purgeDatabase(
  hands: Hands,
  accountId: string,
  databaseId: string,
  operationId: string,
): Promise<{ purged: boolean }> {
  const place = await findPlace(hands, accountId, databaseId)
  const found = place && (await readState(place))
  if (!place || !found || found.state === 'absent') return { purged: false }
  const { state, mark } = found
  if (state !== 'quarantined' || mark?.verb !== 'quarantine_database' || mark.operation_id !== operationId)
    throw new Fault('NOT_QUARANTINED', 'this database was not quarantined by that operation')
  requireAge(hands, mark.at)
  const { quarantined, owner, login, writer, reader } = namesOf(databaseId)
  await place.connections.use('postgres', SUPERUSER, async (sql) => {
    await sql.query(`DROP DATABASE ${quarantined}`)
    // Nothing refers to them any more. Dying before this line leaves roles that can log in nowhere.
    await sql.query(`DROP ROLE IF EXISTS ${writer}, ${reader}, ${login}, ${owner}`)
  })
  return { purged: true }
}

async function purgeTable(
  hands: Hands,
  accountId: string,
  databaseId: string,
  table: string,
  operationId: string,
): Promise<{ purged: boolean }> {
  const place = await requirePlace(hands, accountId, databaseId)
  return place.connections.use(place.names.database, SUPERUSER, async (sql) => {
    await sql.query('BEGIN')
    try {
      const { rows } = await sql.query<{ at: number; ended: boolean }>(
        `SELECT round(extract(epoch FROM quarantined_at) * 1000)::float8 AS at, ended_at IS NOT NULL AS ended
          FROM bailiwick.trash WHERE operation_id = $1 AND table_name = $2 FOR UPDATE`,
        [operationId, table],
      )
      const trashed = rows[0]
      if (!trashed || trashed.ended)
        throw new Fault('NOT_QUARANTINED', 'this table was not quarantined by that operation, or is back')
      requireAge(hands, trashed.at)
      const schema = trashSchemaOf(operationId)
      // RESTRICT: whatever came to depend on it since stops the purge.
      await sql.query(`DROP TABLE ${schema}.${quote(table)} RESTRICT`)
      await sql.query(`DROP SCHEMA ${schema} RESTRICT`)
      await sql.query('UPDATE bailiwick.trash SET ended_at = now() WHERE operation_id = $1', [operationId])
      await sql.query('COMMIT')
      return { purged: true }
    } catch (error) {
      await sql.query('ROLLBACK')
      throw error
    }
  })
}
