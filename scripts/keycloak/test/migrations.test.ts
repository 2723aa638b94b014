// The folder of migrations is a line without gaps. How they run is tried on a real Keycloak: test/stack/keycloak-migrate.test.ts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { listMigrations } from '../../embedded/keycloak/migrate.ts'

const ROOT = new URL('../../..', import.meta.url).pathname

const listOf = (...names: string[]): ReturnType<typeof listMigrations> => {
  const folder = mkdtempSync(`${tmpdir()}/bailiwick-migrations-`)
  try {
    for (const name of names) writeFileSync(`${folder}/${name}`, '')
    return listMigrations(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('they come in the order of their numbers; what is no TypeScript is not one', () => {
  expect(listOf('0002-b.ts', '0001-a.ts', 'README.md').map(({ number }) => number)).toEqual([1, 2])
})

test.each([
  ['a gap', ['0001-a.ts', '0003-c.ts']],
  ['a number twice', ['0001-a.ts', '0001-b.ts']],
  ['another start', ['0002-b.ts']],
  ['a name without words', ['0001.ts']],
  ['too few digits', ['1-a.ts']],
])('%s is refused', (_, names) => {
  expect(() => listOf(...names)).toThrow(/expected a name like/)
})

test('each of ours has a title and a function', async () => {
  for (const { path } of listMigrations(`${ROOT}/keycloak/migrations`))
    expect(await import(path)).toMatchObject({
      title: expect.any(String) as string,
      migrate: expect.any(Function) as unknown,
    })
})
