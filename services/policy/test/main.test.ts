import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { Writable } from 'node:stream'
import { policyDoor } from '@bailiwick/contracts/doors/policy'
import { connectDoor } from '@bailiwick/kernel/door'
import { writeSealedFile } from '@bailiwick/kernel/secrets'
import { freePort } from '@bailiwick/testing/global-setup'
import { asked } from './support/stand.ts'

describe('the process', () => {
  const main = new URL('../src/main.ts', import.meta.url).pathname
  const folders: string[] = []
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true })
  })

  /** Starts the program as the supervisor does, with nothing behind it: no database, no Valkey, no log. */
  async function start(secrets: Record<string, string>, more: Record<string, string> = {}) {
    const folder = mkdtempSync(`${tmpdir()}/policy-main-`)
    folders.push(folder)
    const unsealKey = randomBytes(32)
    const gateway = randomBytes(32)
    writeSealedFile(`${folder}/secrets`, unsealKey, secrets)
    for (const name of ['gateway-policy', 'steward-policy', 'admin-policy', 'policy-audit'])
      writeFileSync(`${folder}/${name}.key`, (name === 'gateway-policy' ? gateway : randomBytes(32)).toString('hex'))
    const port = await freePort()
    const nobody = await freePort()
    const child = spawn(process.execPath, [main], {
      env: {
        BAILIWICK_LISTEN: `127.0.0.1:${port}`,
        BAILIWICK_ADMIN_SOCKET: `${folder}/admin.sock`,
        BAILIWICK_KEYS_DIR: folder,
        BAILIWICK_AUDIT_URL: `http://127.0.0.1:${nobody}`,
        BAILIWICK_DATABASE_URL: `postgres://policy@127.0.0.1:${nobody}/bailiwick`,
        BAILIWICK_VALKEY_URL: `redis://127.0.0.1:${nobody}`,
        BAILIWICK_SECRETS_FILE: `${folder}/secrets`,
        BAILIWICK_UNSEAL_FD: '3',
        ...more,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    const unsealing = child.stdio[3] as Writable
    // One that does not like its settings ends without reading it.
    unsealing.on('error', () => undefined)
    unsealing.end(unsealKey.toString('hex'))
    let said = ''
    const listening = new Promise<void>((resolve) => {
      child.stdout!.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        if (said.includes('"listening"')) resolve()
      })
    })
    child.stderr!.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    return { child, port, gateway, listening, ended, said: () => said }
  }
  const good = () => ({
    permit_key: randomBytes(32).toString('hex'),
    token_hmac_key: randomBytes(32).toString('hex'),
    database_password: 'p@ss/word',
    valkey_password: 'secret',
  })

  test('runs while everything behind it is down, says what is missing, and ends with 0', async () => {
    const { child, port, gateway, listening, ended, said } = await start(good())
    await Promise.race([listening, ended])
    const health = await fetch(`http://127.0.0.1:${port}/health`)
    expect(await health.json()).toEqual({ ok: true, service: 'policy' })
    const client = connectDoor({ door: policyDoor, url: `http://127.0.0.1:${port}`, caller: 'gateway', key: gateway })
    const { makePersonalToken } = await import('../src/checks/token-format.ts')
    const call = client.identify({ ...asked(makePersonalToken()), method: 'tools/list' })
    await expect(call).rejects.toMatchObject({ code: 'POLICY_UNAVAILABLE' })
    client.close()
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    for (const secret of ['p@ss/word', encodeURIComponent('p@ss/word')]) expect(said()).not.toContain(secret)
  })

  test.each([
    ['permit_key', undefined],
    ['token_hmac_key', undefined],
    ['token_hmac_key', '00'.repeat(32)],
    ['permit_key', 'changeme'],
  ])('does not start with %s = %s: exit 78, naming it, not its value', async (name, value) => {
    const { [name as 'permit_key']: _, ...rest } = good()
    const { ended, said } = await start(value === undefined ? rest : { ...rest, [name]: value })
    expect(await ended).toBe(78)
    expect(said()).toContain(`secret ${name}`)
    if (value !== undefined) expect(said()).not.toContain(value)
  })

  const IDENTITY = {
    BAILIWICK_ISSUER: 'https://localhost:8443/realms/bailiwick',
    BAILIWICK_AUDIENCE: 'https://localhost:8443/mcp',
    BAILIWICK_KEYCLOAK_URL: 'http://127.0.0.1:8424',
  }
  const known = { ...good(), keycloak_client_secret: 'x'.repeat(64) }
  test.each([
    ['BAILIWICK_ISSUER', { ...IDENTITY, BAILIWICK_ISSUER: '' }, known],
    ['BAILIWICK_ISSUER', { ...IDENTITY, BAILIWICK_ISSUER: 'https://localhost:8443/' }, known],
    ['BAILIWICK_AUDIENCE', { BAILIWICK_ISSUER: IDENTITY.BAILIWICK_ISSUER }, known],
    ['BAILIWICK_KEYCLOAK_URL', { ...IDENTITY, BAILIWICK_KEYCLOAK_URL: 'keycloak' }, known],
    ['secret keycloak_client_secret', IDENTITY, good()],
    ['secret keycloak_client_secret', IDENTITY, { ...good(), keycloak_client_secret: 'short' }],
  ])('does not start with half an identity provider: exit 78, naming %s', async (name, env, secrets) => {
    const { ended, said } = await start(secrets, env)
    expect(await ended).toBe(78)
    expect(said()).toContain(name)
  })
})
