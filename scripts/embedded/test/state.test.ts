import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { openSealedFile } from '@bailiwick/kernel/secrets'
import { inState, USERS } from '../layout.ts'
import { ARROWS, ensureState, recordMade, sealKeyOf } from '../state.ts'

let state: string
beforeEach(() => {
  state = mkdtempSync(`${tmpdir()}/bailiwick-state-`)
})
afterEach(() => rmSync(state, { recursive: true, force: true }))

// Files of other users can only be made by root; ./bailiwick test runs as root wherever it matters.
const testAsRoot = process.getuid!() === 0 ? test : test.skip

const contents = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(state, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => [`${entry.parentPath}/${entry.name}`, readFileSync(`${entry.parentPath}/${entry.name}`, 'hex')]),
  )

testAsRoot('a second start changes nothing', async () => {
  await ensureState(state)
  const first = contents()
  await ensureState(state)
  expect(contents()).toEqual(first)
})

testAsRoot('an arrow’s key is readable by its two services and nobody else', async () => {
  await ensureState(state)
  for (const { caller, callee, callerUser, calleeUser } of ARROWS) {
    const { mode, uid, gid } = statSync(`${state}/keys/${caller}-${callee}.key`)
    expect([caller, callee, mode & 0o777, uid, gid]).toEqual([caller, callee, 0o440, callerUser, calleeUser])
    expect(calleeUser).toBeGreaterThan(61000)
  }
  expect(statSync(`${state}/keys/admin-policy.key`).uid).toBe(0)
  expect(statSync(`${state}/keys/gateway-policy.key`).uid).toBe(USERS.gateway)
})

testAsRoot('a sealed file opens with its own service’s key only, and is its service’s own', async () => {
  const { master, secretsOf } = await ensureState(state)
  expect(await secretsOf('policy').get('permit_key')).toBe(await secretsOf('steward').get('permit_key'))
  expect(await secretsOf('policy').has('at_rest_key')).toBe(false)
  expect(() => openSealedFile(inState.secrets(state, 'policy'), sealKeyOf(master, 'steward'))).toThrow()
  expect(statSync(inState.secrets(state, 'policy')).uid).toBe(USERS.policy)
  expect(statSync(`${state}/secrets/policy`).mode & 0o777).toBe(0o700)
})

testAsRoot('a first start that was cut off anywhere is completed by the next', async () => {
  await ensureState(state)
  const whole = Object.keys(contents()).map((file) => file.slice(state.length + 1))
  const record = inState.marker(state)
  // As a crash right after the record's making would leave it, with any part of the rest.
  for (const drop of ['seal.key', 'keys', 'secrets', 'edge/tls/ca.pem', 'edge/tls/server.pem', 'vault']) {
    writeFileSync(record, JSON.stringify({ bailiwick_state: 1, made: [] }))
    // Without the master key what it sealed cannot be there either: it is made first.
    const gone = drop === 'seal.key' ? ['seal.key', 'secrets'] : [drop]
    for (const name of gone) rmSync(`${state}/${name}`, { recursive: true })
    await ensureState(state)
    expect(Object.keys(contents()).map((file) => file.slice(state.length + 1))).toEqual(whole)
  }
})

testAsRoot.each([
  'seal.key',
  'keys/gateway-policy.key',
  'secrets/policy/policy.sealed',
  'edge/tls/ca.pem',
  'postgres/PG_VERSION',
  'state.json',
])('a state folder without its %s is reported as damaged and left as it is', async (name) => {
  await ensureState(state)
  mkdirSync(`${state}/postgres`)
  writeFileSync(`${state}/postgres/PG_VERSION`, '15\n')
  recordMade(state, ['postgres', 'postgres/PG_VERSION'])
  rmSync(`${state}/${name}`)
  const before = contents()
  await expect(ensureState(state, '/shown')).rejects.toThrow(/\/shown (is damaged|holds).*Nothing was changed/)
  expect(contents()).toEqual(before)
})

testAsRoot.each([
  'seal.key',
  'keys/gateway-policy.key',
  'secrets/policy/policy.sealed',
  'edge/tls/ca.pem',
  'state.json',
])('a garbled %s is reported as damaged and left as it is', async (name) => {
  await ensureState(state)
  writeFileSync(`${state}/${name}`, 'x'.repeat(64))
  const before = contents()
  await expect(ensureState(state)).rejects.toThrow(/is damaged.*Nothing was changed/)
  expect(contents()).toEqual(before)
})

testAsRoot('a folder that holds other things is refused and keeps its mode', async () => {
  writeFileSync(`${state}/holiday.jpg`, 'x')
  chmodSync(state, 0o750)
  await expect(ensureState(state)).rejects.toThrow(/not a state folder/)
  expect(readdirSync(state)).toEqual(['holiday.jpg'])
  expect(statSync(state).mode & 0o777).toBe(0o750)
})

testAsRoot('a secret that an upgrade adds joins the sealed file, which stays its service’s', async () => {
  const { master } = await ensureState(state)
  const file = inState.secrets(state, 'vault')
  const { writeSealedFile } = await import('@bailiwick/kernel/secrets')
  writeSealedFile(file, sealKeyOf(master, 'vault'), { own: 'kept' })
  const { secretsOf } = await ensureState(state)
  expect(await secretsOf('vault').get('own')).toBe('kept')
  expect(await secretsOf('vault').has('at_rest_key')).toBe(true)
  expect(statSync(file).uid).toBe(USERS.vault)
  expect(existsSync(`${state}/secrets/.vault.adding`)).toBe(false)
})
