// Whoever broke into the gateway has its two arrow keys, its position, and the tokens that pass by. Nothing else.
import { randomBytes, randomUUID } from 'node:crypto'
import type pg from 'pg'
import { auditDoor } from '@bailiwick/contracts/doors/audit'
import { keeperDoor, keeperPurgeDoor } from '@bailiwick/contracts/doors/keeper'
import { adminDoor, policyDoor, type DecideReply } from '@bailiwick/contracts/doors/policy'
import { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { vaultDoor } from '@bailiwick/contracts/doors/vault'
import { inputHash, type SealedPermit } from '@bailiwick/contracts/permit'
import { connectDoor } from '@bailiwick/kernel/door'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { controlDatabase } from './backends.ts'
import { freshAccount, sharedStack, type Account } from './shared-stack.ts'

const stack = sharedStack()
const policy = connectDoor({
  door: policyDoor,
  url: stack.url(2),
  caller: 'gateway',
  key: stack.key('gateway', 'policy'),
})
const steward = connectDoor({
  door: stewardDoor,
  url: stack.url(3),
  caller: 'gateway',
  key: stack.key('gateway', 'steward'),
})
let alice: Account
let bob: Account
let log: pg.Client

type Json = Parameters<typeof policy.decide>[0]['input']
const decide = (
  credential: string | null,
  tool: string,
  input: Json,
  more: { idempotency_key?: string } = {},
): Promise<DecideReply> =>
  policy.decide({
    credential,
    door: 'mcp',
    address: '203.0.113.9',
    agent: 'test',
    request_id: randomUUID(),
    tool,
    input,
    idempotency_key: more.idempotency_key ?? null,
  })

async function permitFor(account: Account, tool: string, input: Json): Promise<SealedPermit> {
  const reply = await decide(account.token, tool, input)
  if (!reply.ok) throw new Error(reply.denial.code)
  return reply.permit
}

const entriesWith = async (code: string): Promise<number> =>
  Number((await log.query(`SELECT count(*) FROM audit.leaves WHERE leaf::jsonb->>'code' = $1`, [code])).rows[0].count)

/** The steward refuses, and says so in the log. */
async function mustBeRefused(permit: SealedPermit, input: Json): Promise<void> {
  const before = await entriesWith('PERMIT_REFUSED')
  const reply = await steward.execute({ permit, input })
  expect(reply).toMatchObject({ ok: false, denial: { code: 'PERMIT_REFUSED' } })
  expect(await entriesWith('PERMIT_REFUSED')).toBe(before + 1)
}

beforeAll(async () => {
  alice = await freshAccount(stack, 'gateway-alice')
  bob = await freshAccount(stack, 'gateway-bob')
  log = await controlDatabase(stack)
})
afterAll(async () => {
  policy.close()
  steward.close()
  await log.end()
})

describe('a compromised gateway', () => {
  test('cannot get a permit without a token, with a made-up one, or for a principal it names', async () => {
    for (const credential of [
      null,
      '',
      `mpt_${'0'.repeat(64)}`,
      `mpt_${randomBytes(32).toString('hex')}`,
      alice.tokenId,
      `pat:${alice.tokenId}`,
    ]) {
      expect(await decide(credential, 'whoami', {})).toMatchObject({ ok: false, denial: { code: 'UNAUTHENTICATED' } })
    }
  })

  test('cannot invent a permit', async () => {
    const { permit } = await permitFor(alice, 'list_databases', {})
    await mustBeRefused({ permit, mac: randomBytes(32).toString('hex') }, {})
    await mustBeRefused({ permit: { ...permit, nonce: randomUUID() }, mac: '0'.repeat(64) }, {})
  })

  test.each([
    'account',
    'principal',
    'tool',
    'scopes',
    'risk',
    'operation_id',
    'bound',
    'obligations',
    'issued_at',
    'tier',
    'door',
    'address',
  ] as const)('cannot change a permit: %s', async (field) => {
    const sealed = await permitFor(alice, 'list_databases', {})
    const other = {
      account: bob.id,
      principal: `pat:${bob.tokenId}`,
      tool: 'delete_database',
      scopes: [...sealed.permit.scopes, 'apps:read', 'x'],
      risk: 'destructive',
      operation_id: uuidv7(),
      bound: { resource_id: uuidv7(), version: 1 },
      obligations: ['none'],
      issued_at: sealed.permit.issued_at + 1,
      tier: 'none',
      door: 'console',
      address: '192.0.2.1',
    }[field]
    await mustBeRefused({ permit: { ...sealed.permit, [field]: other }, mac: sealed.mac }, {})
  })

  test('cannot use a permit for another input, nor another account’s permit for its own wishes', async () => {
    const forCreate = await permitFor(alice, 'create_database', { name: 'wanted' })
    await mustBeRefused(forCreate, { name: 'unwanted' })
    const bobs = await permitFor(bob, 'create_database', { name: 'bobs' })
    await mustBeRefused({ permit: bobs.permit, mac: forCreate.mac }, { name: 'wanted' })
    // The hash is part of what the MAC covers.
    await mustBeRefused(
      { permit: { ...forCreate.permit, input_hash: inputHash({ name: 'unwanted' }) }, mac: forCreate.mac },
      { name: 'unwanted' },
    )
  })

  test('cannot use a read’s permit twice', async () => {
    const permit = await permitFor(alice, 'list_databases', {})
    expect(await steward.execute({ permit, input: {} })).toMatchObject({ ok: true })
    await mustBeRefused(permit, {})
  })

  test('gets no second effect from a change’s permit', async () => {
    const input = { name: `twice-${Date.now()}` }
    const permit = await permitFor(alice, 'create_database', input)
    const first = await steward.execute({ permit, input })
    const second = await steward.execute({ permit, input })
    expect(first).toMatchObject({ ok: true, replay: false })
    expect(second).toMatchObject({
      ok: true,
      replay: true,
      operation_id: (first as { operation_id: string }).operation_id,
    })
  })

  test('cannot assess, approve, ask for validity, or use the operator’s routes', async () => {
    const permit = await permitFor(alice, 'list_databases', {})
    const assessment = {
      kind: 'preview' as const,
      for_tool: 'delete_database',
      input: { database_id: uuidv7() },
      resource_kind: 'database',
      resource_id: uuidv7(),
      resource_version: 1,
      impact: {},
    }
    await expect(policy.assess({ permit, assessment })).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
    await expect(policy.stillValid({ permit, resources: [] })).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
    await expect(policy.describe({ permit })).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
    const operator = connectDoor({
      door: adminDoor,
      url: stack.url(2),
      caller: 'admin',
      key: stack.key('gateway', 'policy'),
    })
    await expect(operator.kill({ on: false, reason: 'mine now' })).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
    operator.close()
  })

  test('cannot pass for the steward, nor reach log, keeper, vault or reaper’s doors with the keys it has', async () => {
    for (const key of [stack.key('gateway', 'policy'), stack.key('gateway', 'steward')]) {
      for (const caller of ['gateway', 'steward', 'policy', 'reaper', 'keeper', 'console']) {
        const refused = { code: 'ARROW_REFUSED' }
        const doors = [
          connectDoor({ door: auditDoor, url: stack.url(8), caller, key }),
          connectDoor({ door: keeperDoor, url: stack.url(4), caller, key }),
          connectDoor({ door: keeperPurgeDoor, url: stack.url(5), caller, key }),
          connectDoor({ door: vaultDoor, url: stack.url(6), caller, key }),
        ] as const
        await expect(doors[0].query({ account: alice.id })).rejects.toMatchObject(refused)
        await expect(doors[1].describe_database({ account_id: alice.id, database_id: uuidv7() })).rejects.toMatchObject(
          refused,
        )
        await expect(doors[2].list_quarantined({})).rejects.toMatchObject(refused)
        await expect(doors[3].list({ account_id: alice.id, kind: 'wal' })).rejects.toMatchObject(refused)
        for (const door of doors) door.close()
      }
    }
  })
})
