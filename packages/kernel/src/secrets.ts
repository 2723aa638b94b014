// SecretStore: where a service's secrets and keys live. Embedded: one sealed file per service (this file). In Compose: OpenBao.
// Trusted for confidentiality against whoever can read the disk; not against root on the running host.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  sign as signBytes,
} from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, readSync, renameSync, writeSync } from 'node:fs'
import { ConfigError, requireStrongKey } from './config.ts'
import { Fault } from './result.ts'

export type SecretStore = {
  /** The secret's text. Absent: Fault SECRETS_UNAVAILABLE. */
  get(name: string): Promise<string>
  has(name: string): Promise<boolean>
  /** Durable when it resolves. */
  put(name: string, value: string): Promise<void>
  /** Ed25519 signature (64 bytes) by the named signing key, made at first use; the key itself never leaves. */
  sign(key: string, data: Uint8Array): Promise<Buffer>
  /** HMAC-SHA-256 (32 bytes) under the named key. */
  mac(key: string, data: Uint8Array): Promise<Buffer>
  /** AES-256-GCM under the named wrapping key, made at first use: nonce (12) + tag (16) + ciphertext. */
  wrap(key: string, plaintext: Uint8Array): Promise<Buffer>
  /** The reverse; a wrong key or a changed byte is Fault SECRETS_UNAVAILABLE. */
  unwrap(key: string, wrapped: Uint8Array): Promise<Buffer>
}

/** AES-256-GCM: nonce (12) + tag (16) + ciphertext. `key` is 32 bytes. */
export function seal(key: Uint8Array, plaintext: Uint8Array, context = ''): Buffer {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body])
}

/** Reverse of `seal`; throws when the key, the context or a byte is wrong. */
export function unseal(key: Uint8Array, sealed: Uint8Array, context = ''): Buffer {
  const bytes = Buffer.from(sealed)
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(Buffer.from(context))
  decipher.setAuthTag(bytes.subarray(12, 28))
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()])
}

const CONTEXT = 'bailiwick sealed secrets v1'

/** Writes `secrets` as a sealed file: whole or not at all, fsynced, mode 0600. */
export function writeSealedFile(file: string, key: Uint8Array, secrets: Readonly<Record<string, string>>): void {
  const temporary = `${file}.new`
  const descriptor = openSync(temporary, 'w', 0o600)
  writeSync(descriptor, seal(key, Buffer.from(JSON.stringify(secrets)), CONTEXT))
  fsyncSync(descriptor)
  closeSync(descriptor)
  renameSync(temporary, file)
  const folder = openSync(file.slice(0, file.lastIndexOf('/')), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

/** Opens the sealed file of one service. A file that does not open under `key` stops the start (ConfigError). */
export function openSealedFile(file: string, key: Buffer): SecretStore {
  let secrets: Record<string, string>
  try {
    secrets = JSON.parse(unseal(key, readFileSync(file), CONTEXT).toString('utf8')) as Record<string, string>
  } catch (cause) {
    throw new ConfigError(
      'BAILIWICK_SECRETS_FILE',
      `does not open: damaged, or sealed under another key (${(cause as NodeJS.ErrnoException).code ?? 'not authentic'})`,
    )
  }
  const lookUp = (name: string): string => {
    const value = Object.hasOwn(secrets, name) ? secrets[name] : undefined
    if (value === undefined) throw new Fault('SECRETS_UNAVAILABLE', `no secret named ${name}`)
    return value
  }
  const put = (name: string, value: string): void => {
    const next = { ...secrets, [name]: value }
    writeSealedFile(file, key, next)
    secrets = next
  }
  const getOrMake = (name: string, make: () => string): string => {
    if (!Object.hasOwn(secrets, name)) put(name, make())
    return lookUp(name)
  }
  const bytesKey = (name: string): Buffer => Buffer.from(lookUp(name), 'hex')
  return {
    get: async (name) => lookUp(name),
    has: async (name) => Object.hasOwn(secrets, name),
    put: async (name, value) => put(name, value),
    sign: async (name, data) => {
      const pem = getOrMake(`sign:${name}`, () =>
        generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      )
      return signBytes(null, data, createPrivateKey(pem))
    },
    mac: async (name, data) => createHmac('sha256', bytesKey(name)).update(data).digest(),
    wrap: async (name, plaintext) => {
      getOrMake(`wrap:${name}`, () => randomBytes(32).toString('hex'))
      return seal(bytesKey(`wrap:${name}`), plaintext, name)
    },
    unwrap: async (name, wrapped) => {
      try {
        return unseal(bytesKey(`wrap:${name}`), wrapped, name)
      } catch (cause) {
        throw new Fault('SECRETS_UNAVAILABLE', `cannot unwrap with ${name}`, { cause })
      }
    },
  }
}

/** Reads the unsealing key (64 hex digits) that the supervisor passes on file descriptor `fd`; it is in no file or environment. */
export function readUnsealKey(fd: number): Buffer {
  const bytes = Buffer.alloc(256)
  let length = 0
  try {
    for (let read = 1; read > 0 && length < bytes.length; length += read)
      read = readSync(fd, bytes, length, bytes.length - length, null)
    closeSync(fd)
  } catch {
    throw new ConfigError('BAILIWICK_UNSEAL_FD', 'cannot be read')
  }
  return requireStrongKey('BAILIWICK_UNSEAL_FD', bytes.subarray(0, length).toString('utf8').trim())
}
