// What the halves of the fake keeper share: the types of its verbs, its refusal, and the forms that are compared.
import type { z } from 'zod'
import type { keeperDoor } from '@bailiwick/contracts/doors/keeper'
import { canonical, hashJson, type Json } from '@bailiwick/kernel/canonical'

type Routes = (typeof keeperDoor)['routes']
export type KeeperVerb = keyof Routes
type Input<V extends KeeperVerb> = z.output<Routes[V]['input']>
type Answer<V extends KeeperVerb> = Omit<Extract<z.input<Routes[V]['output']>, { ok: true }>, 'ok'>
export type Verbs<V extends KeeperVerb> = { readonly [R in V]: (input: Input<R>) => Answer<R> }
export type Refusal = { code: string; detail: string; conflicts?: { [key: string]: Json }[] }

export class Refused extends Error {
  readonly refusal: Refusal
  constructor(code: string, detail: string, conflicts?: Refusal['conflicts']) {
    super(code)
    this.refusal = { code, detail, ...(conflicts ? { conflicts } : {}) }
  }
}

export const restorePoint = (operation: string, content: Json) => ({
  kind: 'snapshot' as const,
  name: `${operation}.fake`,
  sha256: hashJson(content),
  size_bytes: canonical(content).length,
})

/** Maps as sorted objects. Told by tag: jest's modules have another `Map` than structuredClone makes. */
export function plain(value: unknown): Json {
  if (Object.prototype.toString.call(value) === '[object Map]')
    return plain(Object.fromEntries([...(value as Map<string, unknown>)].sort(([a], [b]) => (a < b ? -1 : 1))))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value as Json
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}
