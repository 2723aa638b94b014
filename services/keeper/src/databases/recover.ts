// A new database with another's content at a past moment: recovers the account's cluster from the vault in a scratch folder, dumps
// the one database there and loads that. The source is never touched, and no code inside the dump decides how the load ends.
import { listBases } from '../base-backups.ts'
import { Refusal } from '../refusal.ts'
import type { Connections } from './connections.ts'
import {
  closeToAll,
  connectionOf,
  makePrepared,
  markMade,
  probeMark,
  renameAway,
  type Connection,
} from './databases.ts'
import { inScratch } from './dump.ts'
import { loadCopy } from './load.ts'
import { namesOf, SUPERUSER } from './names.ts'
import { inPast } from './past.ts'
import { takeCopy, type RecoveredCopy } from './recovered-copy.ts'
import { readState, requirePlace, type ChangeVerb, type Hands, type Place } from './step.ts'
import type { StepKey } from '../operations.ts'

type Input = { account_id: string; database_id: string; new_database_id: string; target_time: number }

export function restoreDatabaseToNew(
  hands: Hands,
): ChangeVerb<Input, { connection: Connection; recovered_to: number }> {
  return {
    target: ({ new_database_id }) => new_database_id,
    probe: async (key) => {
      const probed = await probeMark(hands, key)
      if (!probed?.done) return { state: 'not_done' }
      return {
        state: 'done',
        result: { connection: connectionOf(probed.place), recovered_to: probed.mark?.recovered_to ?? 0 },
      }
    },
    act: async ({ account_id, database_id, new_database_id, target_time }, key) => {
      const place = await requirePlace(hands, account_id, new_database_id)
      const before = await readState(place)
      if (before.state === 'quarantined' || before.mark) throw new Refusal('CONFLICT', 'a database of that id exists')
      if (target_time > hands.clock.now()) throw new Refusal('INPUT_INVALID', 'the target time is in the future')
      const base = (await listBases(hands.vault, place.cluster)).find(({ created_at }) => created_at <= target_time)
      if (!base) throw new Refusal('INPUT_INVALID', 'the target time is before the first restore point')
      await inScratch(hands, async (folder) => {
        const { kind, name, sha256 } = base
        const past = { folder, base: { account_id: base.account_id, kind, name, sha256 }, targetTime: target_time }
        let copy: RecoveredCopy | null = null
        await inPast(hands, place.cluster, past, async (connections, port) => {
          const database = await renameForNew(connections, database_id, new_database_id)
          copy = await takeCopy(connections, { port, database, folder, passwordOf: place.cluster.passwordOf })
        })
        try {
          await makePrepared(place, async () => {
            await requireEmpty(place)
            await loadCopy(hands, place, copy!, folder)
          })
        } catch (error) {
          if (error instanceof Refusal) await quarantineHalfMade(hands, place, key)
          throw error
        }
      })
      await markMade(hands, place, key, { recovered_to: target_time })
      return { connection: connectionOf(place), recovered_to: target_time }
    },
  }
}

/** In the scratch copy alone: gives the source's roles the new database's names, so that the dump carries those. */
async function renameForNew(connections: Connections, sourceId: string, newId: string): Promise<string> {
  const [source, target] = [namesOf(sourceId), namesOf(newId)]
  return connections.use('postgres', SUPERUSER, async (sql) => {
    const { rows } = await sql.query<{ datname: string }>(
      `SELECT datname FROM pg_database WHERE datname = ANY ($1) AND shobj_description(oid, 'pg_database') IS NOT NULL`,
      [[source.database, source.quarantined]],
    )
    if (!rows[0]) throw new Refusal('INPUT_INVALID', 'the database did not exist at the target time')
    await sql.query(`ALTER DATABASE ${rows[0].datname} WITH ALLOW_CONNECTIONS true`)
    for (const role of ['owner', 'login', 'reader'] as const)
      await sql.query(`ALTER ROLE ${source[role]} RENAME TO ${target[role]}`)
    return rows[0].datname
  })
}

/** What was loaded so far is kept out of sight, closed, until the purge; the id stays taken. */
async function quarantineHalfMade(hands: Hands, { connections, names }: Place, key: StepKey): Promise<void> {
  const at = hands.clock.now()
  const mark = { verb: 'quarantine_database', operation_id: key.operation_id, at, created_at: at }
  await connections.use('postgres', SUPERUSER, async (sql) => {
    await closeToAll(sql, names)
    await renameAway(sql, names, mark)
  })
}

async function requireEmpty({ connections, names }: Place): Promise<void> {
  const { rowCount } = await connections.use(names.database, SUPERUSER, (sql) =>
    sql.query(`SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace
      UNION ALL SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace
      UNION ALL SELECT FROM pg_type WHERE typnamespace = 'public'::regnamespace LIMIT 1`),
  )
  // An attempt that died midway; a load is of several transactions, so it cannot be taken up again.
  if (rowCount) throw new Refusal('CONFLICT', 'an earlier attempt was broken off; restore into another new database')
}
