// DNSSEC on the real stack, through nginx: signatures that validate, a key that survives everything that can be undone, the owner's
// say under a DS at the parent, and a private half that is nowhere but where it must be.
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { keeperDoor } from '@bailiwick/contracts/doors/keeper'
import { connectDoor } from '@bailiwick/kernel/door'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { findPostgresBin } from '@bailiwick/kernel/postgres-cluster'
import { dnskeysOf, dsDigest, keyTag, signerOf } from '@bailiwick/testing/dnssec'
import { secretOf, snapshotKeys, snapshotZone } from './backends.ts'
import { outsideZone, proveControl } from './scenarios.ts'
import { freshAccount, sharedStack, type Account } from './shared-stack.ts'

const stack = sharedStack()
const port = stack.portBase + 22
const undoOf = (body: Record<string, unknown>): string => (body['undo'] as { operation_id: string }).operation_id
type Key = {
  key_tag: number
  dnskey: string
  ds: { key_tag: number; digest_type: number; digest: string; record: string }[]
}
type Domain = { id: string; name: string; parent: string }

let account: Account
let names = 0
// One each: a token has 60 calls a minute.
beforeEach(async () => {
  account = await freshAccount(stack, 'dnssec')
})
/** Everything that an agent was told in this file. */
const told: string[] = []
const must = async (tool: string, input: Record<string, unknown>): Promise<Record<string, unknown>> => {
  const reply = await stack.call(account.token, tool, input)
  told.push(JSON.stringify(reply))
  if (reply.status !== 200) throw new Error(`${tool}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}
const refusal = async (tool: string, input: Record<string, unknown>): Promise<Record<string, unknown>> =>
  (await stack.call(account.token, tool, input)).body

/** A served domain with one record, under a parent in the world outside. */
async function published(): Promise<Domain> {
  const parent = `s${(names += 1)}-${Date.now().toString(36)}.example`
  await outsideZone(stack, `${parent}.`, [])
  const name = `d.${parent}`
  const made = await must('add_domain', { name })
  const id = made['domain_id'] as string
  await must('set_dns_records', { domain_id: id, name: 'www', type: 'A', ttl_seconds: 300, records: ['192.0.2.1'] })
  await proveControl(stack, account, { name, proof: (made['verification'] as { value: string }).value })
  await must('verify_domain', { domain_id: id })
  return { id, name, parent }
}
async function setParentDs({ name, parent }: Domain, records: readonly string[]): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${stack.portBase + 23}/api/v1/servers/localhost/zones/${parent}.`, {
    method: 'PATCH',
    headers: { 'x-api-key': await secretOf(stack, 'keeper', 'powerdns_api_key'), 'content-type': 'application/json' },
    body: JSON.stringify({
      rrsets: [
        {
          name: `${name}.`,
          type: 'DS',
          ttl: 60,
          changetype: records.length > 0 ? 'REPLACE' : 'DELETE',
          records: records.map((content) => ({ content, disabled: false })),
        },
      ],
    }),
  })
  if (response.status !== 204) throw new Error(`DS at the parent: ${response.status} ${await response.text()}`)
}
const signer = ({ name }: Domain): Promise<number | null> => signerOf(port, name, `www.${name}`, 'A')
const dsFit = async ({ id }: Domain) => ((await must('get_dnssec', { domain_id: id }))['parent'] as { ds: string }).ds
const everything = async (domain: Domain): Promise<string> =>
  `${await snapshotZone(stack, domain.id, domain.name)}\n${await snapshotKeys(stack, domain.name)}`
async function deleteDomain({ id }: Domain): Promise<Record<string, unknown>> {
  const { preview_token } = await must('preview_delete_domain', { domain_id: id })
  return must('delete_domain', { domain_id: id, preview_token, confirm: true })
}

test('a signed domain validates, and its DS names the key that the server publishes', async () => {
  const domain = await published()
  expect(await signer(domain)).toBeNull()
  const { key } = (await must('sign_domain', { domain_id: domain.id })) as { key: Key }
  const [dnskey] = await dnskeysOf(port, domain.name)
  expect(keyTag(dnskey!)).toBe(key.key_tag)
  expect(key.ds[0]).toMatchObject({ digest_type: 2, digest: dsDigest(domain.name, dnskey!) })
  expect(await signer(domain)).toBe(key.key_tag)
  expect(await signerOf(port, domain.name, domain.name, 'DNSKEY')).toBe(key.key_tag)

  expect(await dsFit(domain)).toBe('none')
  await setParentDs(domain, [key.ds[0]!.record])
  expect(await dsFit(domain)).toBe('matches')
  expect(await must('check_domain', { domain_id: domain.id })).toMatchObject({
    verified: true,
    dnssec: { state: 'signed', parent: 'matches', seen: [key.ds[0]!.record] },
    registration: { state: 'unknown', why: expect.any(String) },
  })
  await setParentDs(domain, [`1 13 2 ${'ab'.repeat(32)}`])
  expect(await dsFit(domain)).toBe('mismatch')
})

test('delete and undo, twice, bring back the same key, private half and all, and signatures that validate', async () => {
  const domain = await published()
  const { key } = (await must('sign_domain', { domain_id: domain.id })) as { key: Key }
  const [before, dnssec] = [await everything(domain), await must('get_dnssec', { domain_id: domain.id })]
  for (const _ of ['first', 'again']) {
    const deleted = await deleteDomain(domain)
    expect(await snapshotKeys(stack, domain.name)).toBe('absent')
    await must('undo', { operation_id: undoOf(deleted) })
    expect(await everything(domain)).toBe(before)
    const { request_id: _now, ...now } = await must('get_dnssec', { domain_id: domain.id })
    const { request_id: _then, ...then } = dnssec
    expect(now).toMatchObject({ state: then['state'], key: then['key'], parent: then['parent'] })
    expect(await signer(domain)).toBe(key.key_tag)
  }
})

test('an earlier version of the records is restored under the same key', async () => {
  const domain = await published()
  const { key } = (await must('sign_domain', { domain_id: domain.id })) as { key: Key }
  const before = await snapshotKeys(stack, domain.name)
  await must('set_dns_records', { domain_id: domain.id, name: 'www', type: 'A', records: ['192.0.2.2'] })
  await must('restore_dns_version', { domain_id: domain.id, version: 2 })
  expect(await snapshotKeys(stack, domain.name)).toBe(before)
  expect(await signer(domain)).toBe(key.key_tag)
})

test('under a DS at the parent no agent takes the key out of use, whichever way; without one it may', async () => {
  const domain = await published()
  const signed = await must('sign_domain', { domain_id: domain.id })
  await setParentDs(domain, [(signed as { key: Key }).key.ds[0]!.record])
  const before = await everything(domain)
  const { preview_token, impact } = await must('preview_delete_domain', { domain_id: domain.id })
  expect(impact).toMatchObject({ critical: ['@ DS'] })
  for (const [tool, input] of [
    ['unsign_domain', { domain_id: domain.id }],
    ['undo', { operation_id: undoOf(signed) }],
    ['delete_domain', { domain_id: domain.id, preview_token, confirm: true }],
  ] as const)
    expect(await refusal(tool, input)).toMatchObject({ code: 'APPROVAL_REQUIRED', status: 403 })
  expect(await everything(domain)).toBe(before)

  await setParentDs(domain, [])
  const left = await must('unsign_domain', { domain_id: domain.id })
  expect(await dnskeysOf(port, domain.name)).toEqual([])
  await must('undo', { operation_id: undoOf(left) })
  expect(await everything(domain)).toBe(before)
})

test('when the parent cannot be asked, a DS cannot be ruled out: refused', async () => {
  const name = `orphan-${Date.now().toString(36)}.example`
  const made = await must('add_domain', { name })
  await proveControl(stack, account, { name, proof: (made['verification'] as { value: string }).value })
  await must('verify_domain', { domain_id: made['domain_id'] })
  await must('sign_domain', { domain_id: made['domain_id'] })
  // No parent zone of it is served here: the only answer comes from the domain's own side of the cut.
  expect(await must('get_dnssec', { domain_id: made['domain_id'] })).toMatchObject({ parent: { ds: 'unknown' } })
  expect(await refusal('unsign_domain', { domain_id: made['domain_id'] })).toMatchObject({ code: 'APPROVAL_REQUIRED' })
})

const pidOf = async (name: string): Promise<number> => {
  const pid = (await stack.status()).find((part) => part.name === name)?.pid
  if (!pid) throw new Error(`${name} is not running`)
  return pid
}
/** The same call with the same key, as a client would, until it is answered. */
async function settle(tool: string, input: Record<string, unknown>, key: string): Promise<Record<string, unknown>> {
  for (let attempt = 0; attempt < 30; attempt += 1) {
    const reply = await stack.call(account.token, tool, input, { 'idempotency-key': key }).catch(() => null)
    if (reply?.status === 200) return reply.body
    if (reply && reply.status < 500 && ![202, 409, 429].includes(reply.status))
      throw new Error(`${tool}: ${reply.status} ${JSON.stringify(reply.body)}`)
    await new Promise((resolve) => setTimeout(resolve, 1500))
  }
  throw new Error(`${tool} was never answered`)
}

test('killed again and again while it signs, the keeper makes one key, once', async () => {
  const domain = await published()
  for (const afterMs of [5, 15, 30, 60]) {
    const [signs, undoes, keeper] = [randomUUID(), randomUUID(), await pidOf('keeper')]
    const first = stack
      .call(account.token, 'sign_domain', { domain_id: domain.id }, { 'idempotency-key': signs })
      .catch(() => null)
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    process.kill(keeper, 'SIGKILL')
    await first
    const signed = await settle('sign_domain', { domain_id: domain.id }, signs)
    expect((await snapshotKeys(stack, domain.name)).split('\n')).toHaveLength(1)
    expect(await signer(domain)).toBe((signed as { key: Key }).key.key_tag)
    await settle('undo', { operation_id: undoOf(signed) }, undoes)
    expect(await signer(domain)).toBeNull()
  }
}, 480_000)

test('whoever holds the steward’s key to the keeper can park a zone’s key, and has no verb that ends one', async () => {
  const domain = await published()
  await must('sign_domain', { domain_id: domain.id })
  const before = await snapshotKeys(stack, domain.name)
  const keeper = connectDoor({
    door: keeperDoor,
    url: stack.url(4),
    caller: 'steward',
    key: stack.key('steward', 'keeper'),
  })
  const zone = { account_id: account.id, zone_id: domain.id, name: domain.name }
  const change = () => ({ ...zone, operation_id: uuidv7() })
  await keeper.unsign_zone(change())
  for (const move of ['unpublish_zone', 'publish_zone', 'quarantine_zone', 'restore_zone'] as const)
    expect(await keeper[move](change())).toMatchObject({ ok: true })
  const { signing } = (await keeper.read_signing(zone)) as { signing: { state: string } }
  expect(signing.state).toBe('parked')
  await keeper.sign_zone({ ...change(), dnskey: null })
  expect(await snapshotKeys(stack, domain.name)).toBe(before)
  expect(Object.keys(keeperDoor.routes).filter((verb) => /key|dnssec/.test(verb))).toEqual([])
  keeper.close()
})

test('the private half is nowhere: not in an answer, the control database, a log, or any file but PowerDNS’ own', async () => {
  const domain = await published()
  await must('sign_domain', { domain_id: domain.id })
  const left = await must('unsign_domain', { domain_id: domain.id })
  await must('undo', { operation_id: undoOf(left) })
  await must('undo', { operation_id: undoOf(await deleteDomain(domain)) })
  await must('check_domain', { domain_id: domain.id })
  const [key] = (await snapshotKeys(stack, domain.name))
    .split('\n')
    .map((line) => JSON.parse(line) as { privatekey: string; dnskey: string })
  const secret = /PrivateKey: (\S+)/.exec(key!.privatekey)![1]!
  const raw = Buffer.from(secret, 'base64')
  const forms = [
    secret,
    secret.replace(/=+$/, ''),
    raw.toString('base64url'),
    raw.toString('hex'),
    encodeURIComponent(secret),
  ]
    .concat(Buffer.from(secret).toString('base64').replace(/=+$/, '').slice(0, -2), Buffer.from(secret).toString('hex'))
    .map((form) => Buffer.from(form))
    .concat(raw)
  const holds = (bytes: Buffer): boolean => forms.some((form) => bytes.includes(form))

  const dump = execFileSync(
    `${findPostgresBin()}/pg_dump`,
    ['-h', '127.0.0.1', '-p', String(stack.portBase + 20), '-U', 'postgres', '-d', 'bailiwick', '--inserts'],
    {
      env: { PATH: process.env['PATH'], PGPASSWORD: await secretOf(stack, 'supervisor', 'superuser_password') },
      maxBuffer: 512 * 1024 * 1024,
    },
  )
  // The search finds what is there: the public half is in the journal, the private one in PowerDNS' own database.
  expect(dump.includes(key!.dnskey)).toBe(true)
  expect(holds(dump)).toBe(false)
  expect(holds(Buffer.from(told.join('\n')))).toBe(false)

  const holders = new Set<string>()
  for (const entry of readdirSync(stack.state, { recursive: true, encoding: 'utf8' })) {
    const file = `${stack.state}/${entry}`
    const stat = statSync(file, { throwIfNoEntry: false })
    if (stat?.isFile() && stat.size < 256 * 1024 * 1024 && holds(readFileSync(file))) holders.add(entry)
  }
  expect([...holders].filter((entry) => !entry.startsWith('powerdns/data/'))).toEqual([])
  expect(holders.size).toBeGreaterThan(0)
})
