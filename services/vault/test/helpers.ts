// A real vault in a folder of its own, with clients on both doors; and main.ts as a child for tests that kill it.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { vaultDoor, vaultExpiryDoor, type RestorePointRef } from '@bailiwick/contracts/doors/vault'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import { fakeClock } from '@bailiwick/kernel/clock'
import { connectDoor } from '@bailiwick/kernel/door'
import { AccountId, uuidv7 } from '@bailiwick/kernel/ids'
import { silentLogger } from '@bailiwick/kernel/logger'
import { writeSealedFile } from '@bailiwick/kernel/secrets'
import { startVault } from '../src/service.ts'

export const LOOPBACK = { host: '127.0.0.1', port: 0 }
export const newAccount = (): AccountId => AccountId.parse(uuidv7())
export const refOf = (
  account_id: AccountId,
  kind: RestorePointRef['kind'],
  name: string,
  bytes: Buffer | string,
): RestorePointRef => ({ account_id, kind, name, sha256: sha256Hex(bytes) })

export async function freshVault(start?: number) {
  const stateDir = mkdtempSync(`${tmpdir()}/bailiwick-vault-`)
  const clock = fakeClock(start)
  const keys = { keeper: randomBytes(32), steward: randomBytes(32), reaper: randomBytes(32) }
  const atRestKey = randomBytes(32)
  const start_ = () =>
    startVault({ stateDir, atRestKey, keys, listen: LOOPBACK, listenSecond: LOOPBACK, clock, logger: silentLogger })
  const vault = await start_()
  const url = `http://127.0.0.1:${vault.port}`
  const secondUrl = `http://127.0.0.1:${vault.secondPort}`
  const keeper = connectDoor({ door: vaultDoor, url, caller: 'keeper', key: keys.keeper })
  const steward = connectDoor({ door: vaultDoor, url, caller: 'steward', key: keys.steward })
  const reaper = connectDoor({ door: vaultExpiryDoor, url: secondUrl, caller: 'reaper', key: keys.reaper })
  return {
    stateDir,
    clock,
    keys,
    url,
    secondUrl,
    keeper,
    steward,
    reaper,
    pathOf: (ref: RestorePointRef) => `${stateDir}/objects/${ref.account_id}/${ref.kind}/${ref.name}.${ref.sha256}`,
    async put(ref: Omit<RestorePointRef, 'sha256'>, bytes: Buffer | string) {
      const full = { ...ref, sha256: sha256Hex(bytes) }
      await keeper.create(full, Buffer.from(bytes))
      return full
    },
    async close() {
      for (const client of [keeper, steward, reaper]) client.close()
      await vault.close()
      rmSync(stateDir, { recursive: true, force: true })
    },
  }
}
export type FreshVault = Awaited<ReturnType<typeof freshVault>>

/** A folder from which main.ts can be started again and again. */
export function vaultHome() {
  const home = mkdtempSync(`${tmpdir()}/bailiwick-vault-main-`)
  const unsealKey = randomBytes(32).toString('hex')
  const key = randomBytes(32)
  mkdirSync(`${home}/keys`)
  mkdirSync(`${home}/state`)
  for (const name of ['keeper-vault', 'steward-vault', 'reaper-vault-expiry'])
    writeFileSync(`${home}/keys/${name}.key`, key.toString('hex'))
  writeSealedFile(`${home}/secrets`, Buffer.from(unsealKey, 'hex'), { at_rest_key: randomBytes(32).toString('hex') })
  const children: ChildProcess[] = []
  return {
    stateDir: `${home}/state`,
    key,
    /** `wrapper` is a command that ends in exec'ing its arguments. */
    async start(changes: NodeJS.ProcessEnv = {}, wrapper: readonly string[] = []) {
      const main = [process.execPath, new URL('../src/main.ts', import.meta.url).pathname]
      const [command, ...args] = [...wrapper, ...main]
      const child = spawn(command!, args, {
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
        env: {
          PATH: process.env['PATH'],
          BAILIWICK_LISTEN: '127.0.0.1:0',
          BAILIWICK_LISTEN_SECOND: '127.0.0.1:0',
          BAILIWICK_KEYS_DIR: `${home}/keys`,
          BAILIWICK_STATE_DIR: `${home}/state`,
          BAILIWICK_SECRETS_FILE: `${home}/secrets`,
          BAILIWICK_UNSEAL_FD: '3',
          ...changes,
        },
      })
      children.push(child)
      const pipe = child.stdio[3] as NodeJS.WritableStream
      pipe.on('error', () => undefined)
      pipe.end(unsealKey)
      let output = ''
      const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
      const ready = new Promise<{ port: number; second_port: number }>((resolve) => {
        child.stdout!.on('data', (chunk: Buffer) => {
          output += chunk.toString()
          const line = output.split('\n').find((text) => text.includes('"ready"'))
          if (line) resolve(JSON.parse(line) as { port: number; second_port: number })
        })
      })
      child.stderr!.on('data', (chunk: Buffer) => (output += chunk.toString()))
      const first = await Promise.race([ready, exited])
      return { child, exited, ports: typeof first === 'object' && first ? first : null, output: () => output }
    },
    remove() {
      for (const child of children) child.kill('SIGKILL')
      rmSync(home, { recursive: true, force: true })
    },
  }
}
