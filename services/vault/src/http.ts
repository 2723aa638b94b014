// The vault's two doors. The first can create and read; only the second, whose one key the reaper holds, can expire.
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { vaultDoor, vaultExpiryDoor } from '@bailiwick/contracts/doors/vault'
import type { Handlers } from '@bailiwick/kernel/door'
import type { Expiry } from './expiry.ts'
import type { Objects } from './objects.ts'
import type { Store } from './store.ts'

export const vaultHandlers = (objects: Objects, store: Store): Handlers<typeof vaultDoor> => ({
  create: async (ref, { body }) => {
    try {
      // Not destroyed when the store gives up half way, but taken to its end: the caller shall hear why, not a broken pipe.
      return await store.create(ref, body.iterator({ destroyOnReturn: false }))
    } catch (error) {
      await drain(body)
      throw error
    }
  },
  read: (ref) => store.read(ref),
  list: async ({ account_id, kind, prefix }) => ({ items: await objects.list(account_id, kind, prefix) }),
  verify: async (ref) => ({ ok: await store.verify(ref) }),
})

export const vaultExpiryHandlers = (objects: Objects, expiry: Expiry): Handlers<typeof vaultExpiryDoor> => ({
  list_all: ({ after }) => objects.page(after),
  expire: async (ref) => ({ expired: await expiry.expire(ref) }),
})

async function drain(body: Readable): Promise<void> {
  if (body.destroyed || body.readableEnded) return
  body.resume()
  await finished(body, { writable: false }).catch(() => undefined)
}
