// Zone images in the vault: written, read back by the vault before anything is removed, and read again to restore.
import { canonical, sha256Hex, type Json } from '@bailiwick/kernel/canonical'
import type { vaultDoor } from '@bailiwick/contracts/doors/vault'
import { RestorePointRef } from '@bailiwick/contracts/doors/vault'
import type { Client } from '@bailiwick/kernel/door'
import { idHex } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import { Refusal } from '../refusal.ts'
import { ZoneImage } from './image.ts'
import type { TrashRecord } from './trash.ts'

export type Vault = Pick<Client<typeof vaultDoor>, 'create' | 'read' | 'verify'>

/** Stored and verified, or Refusal SNAPSHOT_FAILED. The same image of the same operation again is the same object. */
export async function saveImage(
  vault: Vault,
  image: ZoneImage,
  operationId: string,
  logger: Logger,
): Promise<TrashRecord['restore_point']> {
  const bytes = Buffer.from(canonical(image as Json))
  const ref = RestorePointRef.parse({
    account_id: image.account_id,
    kind: 'snapshot',
    name: `${operationId}.${idHex(image.zone_id)}`,
    sha256: sha256Hex(bytes),
  })
  try {
    await vault.create(ref, bytes)
    if (!(await vault.verify(ref)).ok) throw new Fault('SNAPSHOT_FAILED', `${ref.name} does not read back`)
  } catch (error) {
    logger.error('zone_snapshot_failed', { zone_id: image.zone_id, operation_id: operationId }, error)
    throw new Refusal('SNAPSHOT_FAILED', 'The zone could not be saved first, so nothing was changed.')
  }
  return { kind: 'snapshot', name: ref.name, sha256: ref.sha256, size_bytes: bytes.length }
}

/** The image that `record` names. Absent or damaged: the vault's Fault. */
export async function loadImage(vault: Vault, record: TrashRecord): Promise<ZoneImage> {
  const { kind, name, sha256 } = record.restore_point
  const chunks: Buffer[] = []
  for await (const chunk of await vault.read({ account_id: record.account_id, kind, name, sha256 }))
    chunks.push(chunk as Buffer)
  const bytes = Buffer.concat(chunks)
  // The vault checked it too; the keeper believes its own record only.
  if (sha256Hex(bytes) !== sha256) throw new Fault('BACKEND_UNAVAILABLE', `snapshot ${name} is not what was stored`)
  return ZoneImage.parse(JSON.parse(bytes.toString('utf8')))
}
