// Which build of Keycloak is used, and that nothing is built from what was not published.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { distributionFolder, distributionName, ensureDistribution } from '../keycloak/distribution.ts'
import { findJava } from '../keycloak/java.ts'

let root: string
const path = process.env['PATH']
beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/bailiwick-keycloak-`)
  mkdirSync(`${root}/keycloak/provider/src`, { recursive: true })
  mkdirSync(`${root}/keycloak/themes/ours`, { recursive: true })
  writeFileSync(`${root}/keycloak/provider/src/A.java`, 'class A {}')
  writeFileSync(`${root}/keycloak/themes/ours/a.css`, 'a {}')
})
afterEach(() => {
  process.env['PATH'] = path
  rmSync(root, { recursive: true, force: true })
})

test.each([
  ['another provider', (): void => writeFileSync(`${root}/keycloak/provider/src/A.java`, 'class A { int b; }')],
  ['one more file', (): void => writeFileSync(`${root}/keycloak/themes/ours/b.css`, '')],
  ['a file of another name', (): void => writeFileSync(`${root}/keycloak/provider/src/B.java`, '')],
])('%s is another build', (_, change) => {
  const before = distributionName(root)
  change()
  expect(distributionName(root)).not.toBe(before)
})

test('the realm and its migrations are no part of the build', () => {
  const before = distributionName(root)
  writeFileSync(`${root}/keycloak/realm.json`, '{}')
  expect(distributionName(root)).toBe(before)
})

test('what is built is used as it is; builds of long ago that nobody runs are removed, new ones are kept', async () => {
  const name = distributionName(root)
  for (const each of [name, '1.0-old', '1.0-recent']) mkdirSync(distributionFolder(root, each), { recursive: true })
  utimesSync(distributionFolder(root, '1.0-old'), new Date(0), new Date(0))
  utimesSync(distributionFolder(root, name), new Date(0), new Date(0))
  const said: string[] = []
  expect(await ensureDistribution(root, (line) => said.push(line))).toBe(name)
  expect(said).toEqual([])
  expect(readdirSync(`${root}/.cache/keycloak`).sort()).toEqual(['1.0-recent', name].sort())
})

test('an archive that is not the published one is refused before anything of it is run, and nothing stays', async () => {
  // Stands in for a registry that was broken into: it puts another archive where the real one would be.
  mkdirSync(`${root}/bin`)
  writeFileSync(
    `${root}/bin/mvn`,
    '#!/bin/sh\nfor arg in "$@"; do case "$arg" in -DoutputDirectory=*) echo evil > "${arg#*=}/keycloak-quarkus-dist-26.7.4.zip" ;; esac; done\n',
    { mode: 0o755 },
  )
  mkdirSync(`${root}/.cache/keycloak/.building-999999999`, { recursive: true })
  process.env['PATH'] = `${root}/bin:${path}`
  await expect(ensureDistribution(root, () => undefined)).rejects.toThrow(
    /not what was published.*nothing of it was run/,
  )
  // Also what an `up` left that was killed.
  expect(readdirSync(`${root}/.cache/keycloak`)).toEqual([])
})

test('a registry that cannot be reached is one sentence with Maven’s own words', async () => {
  mkdirSync(`${root}/bin`)
  writeFileSync(`${root}/bin/mvn`, '#!/bin/sh\necho "[ERROR] Connect timed out"\nexit 1\n', { mode: 0o755 })
  process.env['PATH'] = `${root}/bin:${path}`
  await expect(ensureDistribution(root, () => undefined)).rejects.toThrow(/^mvn failed: \[ERROR\] Connect timed out$/)
  expect(existsSync(distributionFolder(root, distributionName(root)))).toBe(false)
})

test('of several Javas the oldest that Keycloak runs on and that has the tools is taken', () => {
  const java = (name: string, version: string, ...programs: string[]): void => {
    mkdirSync(`${root}/jvm/${name}/bin`, { recursive: true })
    writeFileSync(`${root}/jvm/${name}/release`, `IMPLEMENTOR="x"\nJAVA_VERSION="${version}"\n`)
    for (const program of programs) writeFileSync(`${root}/jvm/${name}/bin/${program}`, '')
  }
  expect(findJava(['java'], `${root}/jvm`)).toBeNull()
  java('old', '11.0.2', 'java', 'javac')
  java('ancient', '1.8.0_292', 'java')
  expect(findJava(['java'], `${root}/jvm`)).toBeNull()
  java('new', '25', 'java', 'javac')
  java('runs', '17.0.15', 'java')
  mkdirSync(`${root}/jvm/unknown/bin`, { recursive: true })
  expect(findJava(['java'], `${root}/jvm`)).toBe(`${root}/jvm/runs`)
  expect(findJava(['java', 'javac'], `${root}/jvm`)).toBe(`${root}/jvm/new`)
})
