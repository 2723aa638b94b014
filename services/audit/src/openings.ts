// Sealing of openings: AES-256-GCM under one key per partition. Destroying a partition and its key is how personal data ends.
// Trusted: the SecretStore for the keys. Not trusted: the table; a moved, swapped or changed row does not open.
import { createCipheriv, createHash, createSecretKey, randomBytes, randomFillSync, type KeyObject } from 'node:crypto'
import { unseal } from '@bailiwick/kernel/secrets'
import type { SecretStore } from '@bailiwick/kernel/secrets'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import type { Opening } from './commitments.ts'
import type { LogSession } from './log-session.ts'

/** A KeyObject, because making one from bytes costs more than sealing with it. */
export type PartitionKey = { readonly partition: string; readonly key: KeyObject }

export const partitionKey = (partition: string, hex: string): PartitionKey => ({
  partition,
  key: createSecretKey(hex, 'hex'),
})

const context = (partition: string, index: number): string => `bailiwick opening v1|${partition}|${index}`

/**
 * Nonce (12) + tag (16) + ciphertext. The nonce is the index (6 bytes), which no two entries of a partition share, and 6 random
 * bytes, because a batch that failed is sealed again at the same index with other content.
 */
export function sealOpening({ partition, key }: PartitionKey, index: number, opening: string): Buffer {
  const nonce = randomFillSync(Buffer.allocUnsafe(12))
  nonce.writeUIntBE(index, 0, 6)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context(partition, index)))
  const body = cipher.update(opening, 'utf8')
  cipher.final()
  return Buffer.concat([nonce, cipher.getAuthTag(), body])
}

/** Throws when the key, the place or a byte is wrong. */
export const openOpening = ({ partition, key }: PartitionKey, index: number, sealed: Buffer): Opening =>
  JSON.parse(unseal(key.export(), sealed, context(partition, index)).toString('utf8')) as Opening

const secretName = (partition: string): string => `opening_key:${partition}`
const checkOf = ({ key }: PartitionKey): Buffer => createHash('sha256').update(key.export()).digest()
const MAX_GENERATIONS = 9

export type Keyring = {
  /** The partition to write a period's openings into, with its key; both exist durably when this resolves. */
  forWriting(period: string, session: LogSession): Promise<PartitionKey>
  /** The key of an existing partition; null when it was destroyed or lost. */
  forReading(partition: string): Promise<PartitionKey | null>
}

export function createKeyring(secrets: SecretStore, logger: Logger): Keyring {
  // Per session: after a reconnect the database may be another one (a restore), without our partitions.
  const writing = new WeakMap<LogSession, Map<string, Promise<PartitionKey>>>()

  // The key is durable before the partition is registered: dying in between leaves a key that the next start finds and uses.
  // The other order would leave a partition whose key nobody has.
  const makeOrFind = async (period: string, session: LogSession): Promise<PartitionKey> => {
    for (let generation = 1; generation <= MAX_GENERATIONS; generation += 1) {
      const partition = generation === 1 ? period : `${period}.${generation}`
      const name = secretName(partition)
      const registered = await session.partitionCheck(partition)
      const known = await secrets.has(name)
      if (registered === null) {
        if (!known) await secrets.put(name, randomBytes(32).toString('hex'))
        const made = partitionKey(partition, await secrets.get(name))
        if ((await session.createPartition(partition, checkOf(made))).equals(checkOf(made))) return made
      } else if (known) {
        const found = partitionKey(partition, await secrets.get(name))
        if (registered.equals(checkOf(found))) return found
      }
      // The secrets are older than the database (a restore), or another writer's. What was sealed there cannot be opened by us;
      // the log must go on all the same, in a partition of its own.
      logger.error('opening_key_lost', { partition })
    }
    throw new Fault('SECRETS_UNAVAILABLE', `no usable key for the openings of ${period}`)
  }

  return {
    forWriting(period, session) {
      const periods = writing.get(session) ?? new Map<string, Promise<PartitionKey>>()
      writing.set(session, periods)
      const cached = periods.get(period)
      if (cached) return cached
      const made = makeOrFind(period, session)
      periods.set(period, made)
      made.catch(() => periods.delete(period))
      return made
    },
    async forReading(partition) {
      const name = secretName(partition)
      return (await secrets.has(name)) ? partitionKey(partition, await secrets.get(name)) : null
    },
  }
}
