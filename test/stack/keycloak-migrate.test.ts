// Migrations of a realm in use, against the running Keycloak: in order, once, again after a crash, and never backwards.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { ATTRIBUTE, migrateRealm } from '../../scripts/embedded/keycloak/migrate.ts'
import { openRealm, type TestRealm } from './keycloak.ts'

let realm: TestRealm
let before: string
const folders: string[] = []

beforeAll(async () => {
  realm = await openRealm()
  before = (await realm.admin.attribute(ATTRIBUTE))!
  // From here on the realm counts as fresh, whatever real migrations there are.
  await realm.admin.changeRealm({ attributes: { [ATTRIBUTE]: '0', 'test.trace': '-' } })
})

afterAll(async () => {
  await realm.admin.changeRealm({ attributes: { [ATTRIBUTE]: before } })
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A folder with migrations that each add a letter to a trace in the realm. */
function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(`${tmpdir()}/bailiwick-migrations-`)
  folders.push(folder)
  for (const [name, body] of Object.entries(files))
    writeFileSync(
      `${folder}/${name}`,
      `export const title = '${name}'
export async function migrate(realm, values) {
  const leave = async (mark) =>
    realm.changeRealm({ attributes: { 'test.trace': (await realm.attribute('test.trace')) + mark } })
  ${body}
}
`,
    )
  return folder
}

const lines: string[] = []
const run = (folder: string): Promise<number> =>
  migrateRealm({
    url: realm.url,
    operatorSecret: realm.operatorSecret,
    values: { MCP_URL: realm.mcp },
    say: (line) => lines.push(line),
    folder,
  })
const trace = (): Promise<string | null> => realm.admin.attribute('test.trace')

test('what is missing runs in order and once, and the number stays', async () => {
  const folder = folderOf({ '0001-first.ts': `await leave('a')`, '0002-second.ts': `await leave(values.MCP_URL)` })
  expect(await run(folder)).toBe(2)
  expect(await run(folder)).toBe(2)
  expect(await trace()).toBe(`-a${realm.mcp}`)
  expect(await realm.admin.attribute(ATTRIBUTE)).toBe('2')
  expect(lines).toHaveLength(2)
})

test('one that fails is told with its title, leaves the number, and runs again from its start', async () => {
  const first = { '0001-first.ts': '', '0002-second.ts': '' }
  const fails = folderOf({ ...first, '0003-third.ts': `await leave('c'); throw new Error('the disk is full')` })
  await expect(run(fails)).rejects.toThrow(/0003 .*0003-third\.ts.*the disk is full.*stays at 2/)
  expect(await realm.admin.attribute(ATTRIBUTE)).toBe('2')
  expect(await run(folderOf({ ...first, '0003-third.ts': `await leave('C')` }))).toBe(3)
  expect(await trace()).toMatch(/cC$/)
})

test('a refusal by Keycloak names the request and the status, not its content', async () => {
  const files = { '0001-a.ts': '', '0002-b.ts': '', '0003-c.ts': '' }
  const folder = folderOf({
    ...files,
    '0004-d.ts': `await realm.put('/users/nobody', { email: 'secret@example.test' })`,
  })
  const error = await run(folder).catch((caught: unknown) => caught as Error)
  expect(String(error)).toMatch(/PUT \/admin\/realms\/bailiwick\/users\/nobody: 404/)
  expect(String(error)).not.toContain('secret@example.test')
})

test('a realm that is newer than the checkout is not touched', async () => {
  await expect(run(folderOf({ '0001-first.ts': `await leave('x')` }))).rejects.toThrow(
    /at migration 3.*knows only 1.*newer/,
  )
  expect(await trace()).not.toContain('x')
})

test('a realm without a number is not guessed at', async () => {
  await realm.admin.changeRealm({ attributes: { [ATTRIBUTE]: 'three' } })
  await expect(run(folderOf({ '0001-first.ts': `await leave('x')` }))).rejects.toThrow(/no valid "bailiwick.migration"/)
  await realm.admin.changeRealm({ attributes: { [ATTRIBUTE]: '0' } })
})

test('changing one attribute keeps the others and the client policies', async () => {
  const policies = (): Promise<unknown> => realm.admin.get('/client-policies/policies')
  const [held, all] = [await policies(), await realm.admin.get<{ attributes: object }>('')]
  await realm.admin.changeRealm({ attributes: { 'test.trace': '-' } })
  expect(await policies()).toEqual(held)
  expect((await realm.admin.get<{ attributes: object }>('')).attributes).toEqual({
    ...all.attributes,
    'test.trace': '-',
  })
})

test('a wrong operator secret is one sentence', async () => {
  const wrong = migrateRealm({
    url: realm.url,
    operatorSecret: 'wrong',
    values: {},
    say: () => {},
    folder: folderOf({}),
  })
  await expect(wrong).rejects.toThrow(/the token of bailiwick-operator: 401/)
})
