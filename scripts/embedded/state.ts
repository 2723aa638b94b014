// The state folder: made at first start, completed after a crash, checked at every later start. Nothing in it is ever deleted
// or replaced here: what was recorded as made and is missing or garbled stops the start with one sentence.
import { hkdfSync, randomBytes } from 'node:crypto'
import { chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { requireStrongKey } from '@bailiwick/kernel/config'
import { openSealedFile, writeSealedFile, type SecretStore } from '@bailiwick/kernel/secrets'
import { checkAuthority, ensureCertificates } from './certificates.ts'
import { makeFolder, syncFolder, writeWhole, type Owner } from './files.ts'
import { USERS, inState, type PartName } from './layout.ts'
import { PlainError, messageOf } from './plain-error.ts'

/** Every arrow of architecture.md: who calls, which door, the file's two users. `root` is ./bailiwick admin. */
export const ARROWS: readonly { caller: string; callee: string; callerUser: number; calleeUser: number }[] = [
  ['gateway', 'policy'],
  ['gateway', 'steward'],
  ['policy', 'audit'],
  ['steward', 'keeper'],
  ['steward', 'vault'],
  ['steward', 'audit'],
  ['steward', 'policy'],
  ['keeper', 'vault'],
  ['reaper', 'keeper-purge'],
  ['reaper', 'vault-expiry'],
  ['reaper', 'audit'],
  ['admin', 'policy'],
  ['console', 'steward'],
].map(([caller, callee]) => ({
  caller: caller!,
  callee: callee!,
  // Neither admin nor the console is a running service here: their keys are root's.
  callerUser: USERS[caller as PartName] ?? 0,
  calleeUser: USERS[callee!.split('-')[0] as PartName],
}))

const fresh = (): string => randomBytes(32).toString('hex')
/** What each sealed file holds from the first day. Services add their own later. */
const SECRETS: Readonly<Record<string, readonly string[]>> = {
  supervisor: [
    'superuser_password',
    'keycloak_database_password',
    'keycloak_operator_secret',
    'keycloak_console_secret',
  ],
  policy: ['permit_key', 'token_hmac_key', 'database_password', 'valkey_password', 'keycloak_client_secret'],
  steward: ['permit_key', 'database_password'],
  audit: ['database_password'],
  keeper: ['powerdns_api_key'],
  vault: ['at_rest_key'],
}
const SERVICES_WITH_SECRETS = Object.keys(SECRETS)

const folders = (state: string): [path: string, mode: number, user: number][] => [
  [`${state}/run`, 0o700, 0],
  [`${state}/logs`, 0o700, 0],
  [`${state}/keys`, 0o711, 0],
  [`${state}/secrets`, 0o711, 0],
  // Configuration that root writes lies in folders that are root's: in a service's own folder a compromised service could
  // plant a link and have root overwrite what it points to.
  [`${state}/edge`, 0o711, 0],
  [`${state}/edge/tls`, 0o755, 0],
  [`${state}/edge/data`, 0o700, USERS.edge],
  [`${state}/valkey`, 0o711, 0],
  [`${state}/valkey/data`, 0o700, USERS.valkey],
  [`${state}/powerdns`, 0o711, 0],
  [`${state}/powerdns/data`, 0o700, USERS.powerdns],
  [`${state}/keycloak`, 0o711, 0],
  [`${state}/keycloak/conf`, 0o711, 0],
  [`${state}/keycloak/data`, 0o711, 0],
  [`${state}/keycloak/data/tmp`, 0o700, USERS.keycloak],
  [`${state}/keycloak/data/transaction-logs`, 0o700, USERS.keycloak],
  [`${state}/policy`, 0o700, USERS.policy],
  [`${state}/keeper`, 0o700, USERS.keeper],
  [`${state}/vault`, 0o700, USERS.vault],
  [`${state}/reaper`, 0o700, USERS.reaper],
]

const ownerOf = (service: string): Owner => {
  const uid = USERS[service as PartName] ?? 0
  return { uid, gid: uid }
}

/** The key that opens one service's sealed file; derived, so that one file (root's) is enough to keep. */
export const sealKeyOf = (master: Buffer, service: string): Buffer =>
  Buffer.from(hkdfSync('sha256', master, Buffer.alloc(0), `bailiwick seal v1 ${service}`, 32))

export type State = { readonly master: Buffer; secretsOf(service: string): SecretStore }

/** Makes, completes or checks the state folder. PlainError when it is damaged or not ours; nothing is changed then. */
export async function ensureState(state: string, shown = state): Promise<State> {
  const made = readRecord(state, shown)
  const damaged = (what: string): PlainError =>
    new PlainError(
      `the state folder ${shown} is damaged: ${what}. Nothing was changed. Put the folder back from a backup, or move it away and run ./bailiwick up for an empty start`,
    )
  for (const file of made) if (!existsSync(`${state}/${file}`)) throw damaged(`${file} is missing`)
  try {
    makeFolder(state, 0o711)
    if (!existsSync(inState.marker(state))) record(state, [])
    for (const [path, mode, user] of folders(state)) makeFolder(path, mode, { uid: user, gid: user })

    const master = ensureKey(inState.sealKey(state), 'seal.key', 0o600, { uid: 0, gid: 0 })
    for (const arrow of ARROWS) {
      const name = `${arrow.caller}-${arrow.callee}.key`
      const owner = { uid: arrow.callerUser, gid: arrow.calleeUser }
      ensureKey(`${inState.keys(state)}/${name}`, `keys/${name}`, 0o440, owner)
    }
    const secretsOf = (service: string): SecretStore =>
      openSealedFile(inState.secrets(state, service), sealKeyOf(master, service))
    for (const service of SERVICES_WITH_SECRETS) await ensureSecrets(state, service, master, secretsOf)
    if (made.includes('edge/tls/ca.pem')) checkAuthority(inState.tls(state))
    await ensureCertificates(inState.tls(state), ownerOf('edge'))

    const sealed = SERVICES_WITH_SECRETS.map((service) => inState.secrets('', service).slice(1))
    const keys = ARROWS.map((arrow) => `keys/${arrow.caller}-${arrow.callee}.key`)
    recordMade(state, ['seal.key', ...keys, ...sealed, 'edge/tls/ca.pem', 'edge/tls/ca.key', 'edge/tls/names.json'])
    return { master, secretsOf }
  } catch (error) {
    throw error instanceof PlainError ? damaged(error.message) : error
  }
}

/** Throws PlainError when `state` is something else than a state folder, or damaged in its record. Changes nothing. */
export const checkStateFolder = (state: string): void => void readRecord(state, state)

/** Adds to what must be there from now on. */
export function recordMade(state: string, files: readonly string[]): void {
  const before = readRecord(state, state)
  const all = new Set([...before, ...files])
  if (all.size > before.length) record(state, [...all].sort())
}

const record = (state: string, made: readonly string[]): void =>
  writeWhole(inState.marker(state), `${JSON.stringify({ bailiwick_state: 1, made }, null, 2)}\n`, 0o600)

function readRecord(state: string, shown: string): string[] {
  const file = inState.marker(state)
  if (!existsSync(file)) {
    // A folder that holds other things, or a state without its record: either way not ours to fill.
    const ours = ['logs', 'run', 'state.json.new']
    const present = existsSync(state) ? readdirSync(state).filter((name) => !ours.includes(name)) : []
    if (present.length === 0) return []
    throw new PlainError(
      `${shown} holds ${present[0]} but no state.json: it is not a state folder, or a damaged one. Nothing was changed. Put state.json back from a backup, or set BAILIWICK_STATE to another folder`,
    )
  }
  try {
    const parsed = JSON.parse(readFileSync(file, 'utf8')) as { bailiwick_state: number; made: string[] }
    if (parsed.bailiwick_state === 1 && parsed.made.every((name) => typeof name === 'string')) return parsed.made
  } catch {
    // Said below.
  }
  throw new PlainError(
    `the state folder ${shown} is damaged: state.json does not read. Nothing was changed. Put the folder back from a backup, or move it away and run ./bailiwick up for an empty start`,
  )
}

function ensureKey(file: string, name: string, mode: number, owner: Owner): Buffer {
  if (!existsSync(file)) writeWhole(file, fresh(), mode, owner)
  try {
    return requireStrongKey(name, readFileSync(file, 'utf8').trim())
  } catch (error) {
    throw new PlainError(messageOf(error).replace('setting ', ''))
  }
}

async function ensureSecrets(
  state: string,
  service: string,
  master: Buffer,
  secretsOf: (service: string) => SecretStore,
): Promise<void> {
  const key = sealKeyOf(master, service)
  const file = inState.secrets(state, service)
  const owner = ownerOf(service)
  const make = async (name: string): Promise<string> =>
    // Two services share the permit key; policy, which issues permits, comes first in the table.
    name === 'permit_key' && service !== 'policy' ? await secretsOf('policy').get(name) : fresh()

  const present: Record<string, string> = {}
  const folder = `${state}/secrets/${service}`
  if (existsSync(folder)) {
    let store: SecretStore
    try {
      store = secretsOf(service)
    } catch {
      throw new PlainError(`secrets/${service}/${service}.sealed does not open`)
    }
    for (const name of SECRETS[service]!) if (!(await store.has(name))) present[name] = await make(name)
    // An upgrade brought a new secret. As root nothing is written into a folder that belongs to a service.
    const scratch = `${state}/secrets/.${service}.adding`
    for (const [name, value] of Object.entries(present)) await putAsRoot(file, scratch, key, owner, name, value)
    return
  }
  for (const name of SECRETS[service]!) present[name] = await make(name)
  // The folder appears whole, with its file in it, owned by its service.
  const scratch = `${state}/secrets/.${service}.new`
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch, { mode: 0o700 })
  writeSealedFile(`${scratch}/${service}.sealed`, key, present)
  chownSync(`${scratch}/${service}.sealed`, owner.uid, owner.gid)
  chownSync(scratch, owner.uid, owner.gid)
  renameSync(scratch, folder)
  syncFolder(`${state}/secrets`)
}

async function putAsRoot(
  file: string,
  scratch: string,
  key: Buffer,
  owner: Owner,
  name: string,
  value: string,
): Promise<void> {
  copyFileSync(file, scratch)
  await openSealedFile(scratch, key).put(name, value)
  chownSync(scratch, owner.uid, owner.gid)
  renameSync(scratch, file)
  syncFolder(dirname(scratch))
}
