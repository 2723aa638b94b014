// PostgreSQL's archive_command: puts one WAL segment into the vault. Exit 0 only when the vault has acknowledged it, because
// PostgreSQL removes the segment after that. Arguments: a settings file (readable by this user alone), path, segment name.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import type { vaultDoor } from '@bailiwick/contracts/doors/vault'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import { connectDoor } from '@bailiwick/kernel/door'

export type ArchiveSettings = {
  readonly vault_url: string
  /** This arrow's key, hex. It can create and read in the vault, nothing else. */
  readonly key: string
  readonly account_id: string
  /** Segments of a cluster that was made anew must not pass for those of its predecessor. */
  readonly system_id: string
}

// One process per segment: loading the door's schemas would double its time, and the vault checks them anyway.
const door = {
  service: 'vault',
  unavailable: 'BACKEND_UNAVAILABLE',
  routes: { create: { kind: 'upload' } },
} as unknown as typeof vaultDoor

const [settingsFile, path, segment] = process.argv.slice(2)
const settings = JSON.parse(readFileSync(settingsFile!, 'utf8')) as ArchiveSettings
const vault = connectDoor({
  door,
  url: settings.vault_url,
  caller: 'keeper',
  key: Buffer.from(settings.key, 'hex'),
  timeoutMs: 30_000,
})
// The same bytes each time: a repeat after a lost acknowledgement is the same object, and the vault says so.
const bytes = gzipSync(readFileSync(path!), { level: 6 })
const name = `${segment!}.${settings.system_id}`
try {
  await vault.create({ account_id: settings.account_id, kind: 'wal', name, sha256: sha256Hex(bytes) }, bytes)
  process.exit(0)
} catch (error) {
  process.stderr.write(`archive-wal: ${error instanceof Error ? error.message : 'failed'}\n`)
  process.exit(1)
}
