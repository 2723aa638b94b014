// Where restore points lie and what is there: paths, listing, headers. Reads only; store.ts creates, expiry.ts removes.
// Trusted: file names, because only this process's user can make them, and a renamed file does not open (format.ts).
import { open, readdir, type FileHandle } from 'node:fs/promises'
import type { RestorePointRef, StoredRestorePoint } from '@bailiwick/contracts/doors/vault'
import { AccountId } from '@bailiwick/kernel/ids'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import { HEADER_BYTES, openHeader, plainSize, readExactly } from './format.ts'

export type Kind = RestorePointRef['kind']
const KINDS = ['base', 'snapshot', 'wal'] as const satisfies readonly Kind[]
const SHA256_HEX = 64
const PAGE = 500
const HEADERS_AT_ONCE = 16
const REMEMBERED = 100_000

export type OpenObject = {
  readonly file: FileHandle
  readonly fileBytes: number
  readonly createdAt: number
  readonly objectKey: Buffer
}

export type Objects = {
  readonly root: string
  identityOf(ref: RestorePointRef): string
  folderOf(ref: { account_id: string; kind: Kind }): string
  pathOf(ref: RestorePointRef): string
  /** Opened, its header authenticated. The caller closes `file`. Absent: null. */
  openObject(ref: RestorePointRef): Promise<OpenObject | null>
  /** Size and creation time by the vault's own record. Absent: null. */
  describe(ref: RestorePointRef): Promise<StoredRestorePoint | null>
  list(accountId: string, kind: Kind, prefix: string): Promise<StoredRestorePoint[]>
  /** All objects in a fixed order, a page at a time. */
  page(after: string | null): Promise<{ items: StoredRestorePoint[]; next: string | null }>
  forget(ref: RestorePointRef): void
}

const absentIs = async <T>(value: Promise<T>, otherwise: T): Promise<T> =>
  value.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return otherwise
    throw error
  })

export function createObjects(root: string, atRestKey: Buffer, logger: Logger): Objects {
  // Objects never change, so what an authentic header said once stays true; a damaged one is found when it is read.
  const remembered = new Map<string, StoredRestorePoint>()
  const fileName = (ref: RestorePointRef): string => `${ref.name}.${ref.sha256}`
  const identityOf = (ref: RestorePointRef): string => `${ref.account_id}/${ref.kind}/${fileName(ref)}`
  const folderOf = (ref: { account_id: string; kind: Kind }): string => `${root}/objects/${ref.account_id}/${ref.kind}`
  const pathOf = (ref: RestorePointRef): string => `${folderOf(ref)}/${fileName(ref)}`

  const openObject = async (ref: RestorePointRef): Promise<OpenObject | null> => {
    const file = await absentIs<FileHandle | null>(open(pathOf(ref), 'r'), null)
    if (!file) return null
    try {
      const identity = identityOf(ref)
      const { size } = await file.stat()
      const header = openHeader(atRestKey, identity, await readExactly(file, 0, HEADER_BYTES, identity))
      return { file, fileBytes: size, ...header }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  const describe = async (ref: RestorePointRef): Promise<StoredRestorePoint | null> => {
    const identity = identityOf(ref)
    const known = remembered.get(identity)
    if (known) return known
    const object = await openObject(ref)
    if (!object) return null
    await object.file.close()
    const { account_id, kind, name, sha256 } = ref
    const found = {
      account_id,
      kind,
      name,
      sha256,
      size_bytes: plainSize(object.fileBytes),
      created_at: object.createdAt,
    }
    if (remembered.size >= REMEMBERED) remembered.clear()
    remembered.set(identity, found)
    return found
  }

  const describeAll = async (refs: readonly RestorePointRef[]): Promise<StoredRestorePoint[]> => {
    const found: (StoredRestorePoint | null)[] = []
    for (let at = 0; at < refs.length; at += HEADERS_AT_ONCE) {
      const some = refs.slice(at, at + HEADERS_AT_ONCE).map((ref) =>
        describe(ref).catch((error: unknown) => {
          if (!(error instanceof Fault)) throw error
          // Left out, so it is never expired either: a human decides about it.
          logger.error('restore_point_damaged', { object: identityOf(ref) }, error)
          return null
        }),
      )
      found.push(...(await Promise.all(some)))
    }
    return found.filter((item) => item !== null)
  }

  const refsIn = async (accountId: AccountId, kind: Kind): Promise<RestorePointRef[]> => {
    const files = await absentIs<string[]>(readdir(folderOf({ account_id: accountId, kind })), [])
    return files.sort().map((file) => ({
      account_id: accountId,
      kind,
      name: file.slice(0, -SHA256_HEX - 1),
      sha256: file.slice(-SHA256_HEX),
    }))
  }

  return {
    root,
    identityOf,
    folderOf,
    pathOf,
    openObject,
    describe,
    list: async (accountId, kind, prefix) => {
      const refs = await refsIn(AccountId.parse(accountId), kind)
      return describeAll(refs.filter((ref) => ref.name.startsWith(prefix)))
    },
    page: async (after) => {
      const [afterAccount = '', afterKind = '', afterFile = ''] = (after ?? '').split('/')
      const refs: RestorePointRef[] = []
      for (const account of (await absentIs<string[]>(readdir(`${root}/objects`), [])).sort()) {
        if (account < afterAccount) continue
        for (const kind of KINDS) {
          if (account === afterAccount && kind < afterKind) continue
          const here = await refsIn(AccountId.parse(account), kind)
          const past = account === afterAccount && kind === afterKind ? afterFile : ''
          refs.push(...here.filter((ref) => past === '' || fileName(ref) > past))
          if (refs.length > PAGE) break
        }
        if (refs.length > PAGE) break
      }
      const page = refs.slice(0, PAGE)
      return { items: await describeAll(page), next: refs.length > PAGE ? identityOf(page.at(-1)!) : null }
    },
    forget: (ref) => void remembered.delete(identityOf(ref)),
  }
}
