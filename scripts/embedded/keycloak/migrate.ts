// Brings a realm that is in use up to this checkout: runs the numbered files of keycloak/migrations that it has not had, in
// order. A first import needs none; realm.json carries the newest number. Each migration is idempotent, because we may die
// between its last request and the one that records its number: then it runs again at the next start.
import { readdirSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { PlainError } from '../plain-error.ts'
import { RealmAdmin, waitForRealm } from './realm-admin.ts'

export type Values = Readonly<Record<string, string>>
/** What a file of keycloak/migrations exports. `values`: what realm.json calls `@NAME@`. */
export type Migration = { title: string; migrate(realm: RealmAdmin, values: Values): Promise<void> }

export const ATTRIBUTE = 'bailiwick.migration'
const READY_WITHIN_MS = 60_000
const NAME = /^(\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.ts$/

/** Returns the number that the realm has in the end. Throws PlainError with what an operator can do about it. */
export async function migrateRealm({ url, operatorSecret, folder, values, say }: Request): Promise<number> {
  const files = listMigrations(folder)
  const newest = files.at(-1)?.number ?? 0
  const realm = new RealmAdmin({ url, secret: operatorSecret })
  await waitForRealm(realm, READY_WITHIN_MS)
  let current = readNumber(await realm.attribute(ATTRIBUTE))
  if (current > newest)
    throw new PlainError(
      `the Keycloak realm is at migration ${current}, but this checkout knows only ${newest}: it was used with a newer version. Use that version again, or restore the state from before`,
    )
  for (const { number, path } of files.filter((file) => file.number > current)) {
    const { title, migrate } = (await import(pathToFileURL(path).href)) as Migration
    say(`bringing the sign-in realm up to date: ${title}`)
    try {
      await migrate(realm, values)
      await realm.changeRealm({ attributes: { [ATTRIBUTE]: String(number) } })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new PlainError(
        `migration ${String(number).padStart(4, '0')} of the Keycloak realm (${title}) failed: ${why}. The realm stays at ${current}; the next start tries again`,
      )
    }
    current = number
  }
  return current
}

type Request = {
  url: string
  operatorSecret: string
  /** Of the migrations. */
  folder: string
  values: Values
  say: (line: string) => void
}

/** In order. A gap or a number twice would leave realms that differ and say the same number: thrown. */
export function listMigrations(folder: string): { number: number; path: string }[] {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .sort()
  return files.map((name, index) => {
    const number = Number(NAME.exec(name)?.[1] ?? Number.NaN)
    if (number !== index + 1)
      throw new Error(
        `keycloak/migrations/${name}: expected a name like ${String(index + 1).padStart(4, '0')}-what-it-does.ts`,
      )
    return { number, path: `${folder}/${name}` }
  })
}

/** A realm without the number was not made from our file; guessing one could skip a change that closes a hole. */
function readNumber(value: string | null): number {
  if (value !== null && /^\d{1,6}$/.test(value)) return Number(value)
  throw new PlainError(
    `the Keycloak realm has no valid "${ATTRIBUTE}" (${value ?? 'missing'}): it was not made by this program, or changed by hand. Set the realm attribute to the migration it is at`,
  )
}
