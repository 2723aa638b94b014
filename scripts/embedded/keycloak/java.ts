// Finds a Java that Keycloak is supported on, in Debian's place for them, without running any.
import { existsSync, readFileSync, readdirSync } from 'node:fs'

const HOMES = '/usr/lib/jvm'
const OLDEST = 17

/** The home of the oldest Java >= 17 that has all of `programs`: Keycloak is tested on the long-term versions, oldest first. */
export function findJava(programs: readonly string[], homes = HOMES): string | null {
  const found = (existsSync(homes) ? readdirSync(homes) : [])
    .map((name) => ({ home: `${homes}/${name}`, version: versionOf(`${homes}/${name}`) }))
    .filter(({ version }) => version !== null && version >= OLDEST)
    .filter(({ home }) => programs.every((program) => existsSync(`${home}/bin/${program}`)))
    .sort((a, b) => a.version! - b.version! || a.home.localeCompare(b.home))
  return found[0]?.home ?? null
}

function versionOf(home: string): number | null {
  const file = `${home}/release`
  if (!existsSync(file)) return null
  const version = /^JAVA_VERSION="(\d+)/m.exec(readFileSync(file, 'utf8'))?.[1]
  return version === undefined ? null : Number(version)
}
