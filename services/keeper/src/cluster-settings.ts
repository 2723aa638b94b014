// How an account's cluster is set up: its files, settings and the roles that every cluster has.
import { chownSync, writeFileSync } from 'node:fs'
import type { RunAs } from '@bailiwick/kernel/postgres-cluster'
import type { Connections } from './databases/connections.ts'
import { DUMPER, HISTORIAN, LOADER, SUPERUSER, literal } from './databases/names.ts'

/** Small: many of them share a machine. Durable: fsync, full_page_writes and synchronous_commit stay on. */
export const CLUSTER_SETTINGS: readonly string[] = [
  'shared_buffers=12MB',
  'max_connections=100',
  'superuser_reserved_connections=8',
  'max_wal_size=64MB',
  'min_wal_size=4MB',
  'wal_level=replica',
  'max_wal_senders=3',
  'max_replication_slots=0',
  'max_worker_processes=2',
  'max_parallel_workers=0',
  'autovacuum_max_workers=1',
  'maintenance_work_mem=16MB',
  'temp_file_limit=512MB',
  'jit=off',
  'log_min_error_statement=panic',
  'log_statement=none',
  'log_min_messages=error',
  'password_encryption=scram-sha-256',
  'ssl=off',
]

/** At most this many seconds of work are lost with the machine: an unfinished segment is closed and archived by then. */
const ARCHIVE_TIMEOUT_SECONDS = 60

export const archiveSettings = (command: string): readonly string[] => [
  'archive_mode=on',
  `archive_timeout=${ARCHIVE_TIMEOUT_SECONDS}`,
  `archive_command=${command}`,
]

/** Quotes one word of a shell command that PostgreSQL will run; `%` would be read by PostgreSQL itself. */
export const shellWord = (word: string): string => `'${word.replaceAll("'", `'\\''`).replaceAll('%', '%%')}'`

const HBA = `# Written by the keeper at each start.
host replication ${SUPERUSER} 127.0.0.1/32 scram-sha-256
host all ${SUPERUSER} 127.0.0.1/32 scram-sha-256
host postgres,template0,template1 all 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
`

/** Writes a file that the cluster's own user alone may read. */
export function writePrivate(file: string, text: string, user: RunAs | null): void {
  writeFileSync(file, text, { mode: 0o600 })
  if (user) chownSync(file, user.uid, user.gid)
}

export const writeHba = (dataDir: string, user: RunAs | null): void => writePrivate(`${dataDir}/pg_hba.conf`, HBA, user)

/** The roles that every cluster has. One transaction, so that a crash leaves all or none. */
export async function prepareCluster(
  connections: Connections,
  passwordOf: (role: string) => Promise<string>,
): Promise<void> {
  const [dumper, loader] = [await passwordOf(DUMPER), await passwordOf(LOADER)]
  await connections.use('postgres', SUPERUSER, async (sql) => {
    const { rowCount } = await sql.query('SELECT FROM pg_roles WHERE rolname = $1', [LOADER])
    if (rowCount) return
    await sql.query(`BEGIN;
      REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
      CREATE ROLE ${HISTORIAN} NOLOGIN NOINHERIT;
      CREATE ROLE ${DUMPER} LOGIN BYPASSRLS CONNECTION LIMIT 4 PASSWORD ${literal(dumper)};
      GRANT pg_read_all_data TO ${DUMPER};
      CREATE ROLE ${LOADER} LOGIN CONNECTION LIMIT 4 PASSWORD ${literal(loader)};
      COMMIT`)
  })
}
