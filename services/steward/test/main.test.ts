// The steward as a process: it starts without its peers, says which one a call missed, stops when told, and does not start wrong.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { Writable } from 'node:stream'
import { freshDatabase } from '@bailiwick/testing/database'
import { freePort } from '@bailiwick/testing/global-setup'
import { loadCatalog } from '@bailiwick/contracts/catalog'
import { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { inputHash, sealPermit, type Permit } from '@bailiwick/contracts/permit'
import { connectDoor } from '@bailiwick/kernel/door'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { writeSealedFile } from '@bailiwick/kernel/secrets'

const folder = mkdtempSync(`${tmpdir()}/bailiwick-steward-`)
const unsealKey = randomBytes(32)
const permitKey = randomBytes(32)
const gatewayKey = randomBytes(32)
const children: ChildProcess[] = []
let postgres: Awaited<ReturnType<typeof freshDatabase>>

beforeAll(async () => {
  postgres = await freshDatabase()
  writeSealedFile(`${folder}/secrets`, unsealKey, { permit_key: permitKey.toString('hex'), database_password: 'test' })
  for (const arrow of ['steward-keeper', 'steward-vault', 'steward-audit', 'steward-policy', 'console-steward'])
    writeFileSync(`${folder}/${arrow}.key`, randomBytes(32).toString('hex'))
  writeFileSync(`${folder}/gateway-steward.key`, gatewayKey.toString('hex'))
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await postgres.drop()
  rmSync(folder, { recursive: true })
})

function start(
  settings: Readonly<Record<string, string>>,
  key = unsealKey,
): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: settings,
  })
  children.push(child)
  let output = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const pipe = child.stdio[3] as Writable
  // A start that fails early closes it before everything is written.
  pipe.on('error', () => undefined)
  pipe.end(key.toString('hex'))
  return { child, output: () => output }
}

const settingsFor = async (): Promise<{ [name: string]: string }> => {
  const nobody = `http://127.0.0.1:${await freePort()}`
  return {
    BAILIWICK_LISTEN: `127.0.0.1:${await freePort()}`,
    BAILIWICK_KEYS_DIR: folder,
    BAILIWICK_KEEPER_URL: nobody,
    BAILIWICK_VAULT_URL: nobody,
    BAILIWICK_AUDIT_URL: nobody,
    BAILIWICK_POLICY_URL: nobody,
    // The supervisor's form: the password is in the secret store.
    BAILIWICK_DATABASE_URL: postgres.as('steward').replace(':test@', '@'),
    BAILIWICK_SECRETS_FILE: `${folder}/secrets`,
    BAILIWICK_UNSEAL_FD: '3',
  }
}

test('starts without its peers, refuses what it cannot record, and ends cleanly on SIGTERM', async () => {
  const settings = await settingsFor()
  const { child, output } = start(settings)
  while (!output().includes('"listening"')) {
    await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')])
    if (child.exitCode !== null) throw new Error(output())
  }
  const url = `http://${settings['BAILIWICK_LISTEN']}`
  expect(await (await fetch(`${url}/health`)).json()).toEqual({ ok: true, service: 'steward' })
  const steward = connectDoor({ door: stewardDoor, url, caller: 'gateway', key: gatewayKey })
  const permit = {
    v: 1,
    account: uuidv7(),
    principal: `pat:${uuidv7()}`,
    user: null,
    token_id: 'a'.repeat(64),
    client: null,
    door: 'mcp',
    scopes: ['databases:read'],
    tier: 'beta',
    tool: 'list_databases',
    risk: 'read',
    decision: 'allow',
    policy_hash: 'p',
    catalog_hash: loadCatalog().hash,
    input_hash: inputHash({}),
    operation_id: null,
    bound: null,
    preview_id: null,
    approval_id: null,
    obligations: [],
    undo_until: null,
    address: '192.0.2.1',
    agent: 'test',
    request_id: 'r',
    idempotency_key: null,
    issued_at: Date.now(),
    nonce: uuidv7(),
  } as unknown as Permit
  const reply = await steward.execute({ permit: sealPermit(permitKey, permit), input: {} })
  expect(reply).toMatchObject({ ok: false, receipt: null, denial: { code: 'AUDIT_UNAVAILABLE' } })
  steward.close()
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test.each<[string, (settings: { [name: string]: string }) => void, RegExp]>([
  ['a setting is missing', (settings) => void delete settings['BAILIWICK_AUDIT_URL'], /BAILIWICK_AUDIT_URL/],
  ['an arrow key is missing', (settings) => (settings['BAILIWICK_KEYS_DIR'] = '/nonexistent'), /arrow key/],
])('%s: exit 78, naming it', async (_name, spoil, named) => {
  const settings = await settingsFor()
  spoil(settings)
  const { child, output } = start(settings)
  await once(child, 'close')
  expect(child.exitCode).toBe(78)
  expect(output()).toMatch(named)
})

test('a secrets file of another key: exit 78', async () => {
  const { child, output } = start(await settingsFor(), randomBytes(32))
  await once(child, 'close')
  expect(child.exitCode).toBe(78)
  expect(output()).toMatch(/BAILIWICK_SECRETS_FILE/)
})
