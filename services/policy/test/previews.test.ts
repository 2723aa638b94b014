import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { inputHash, sealPermit, type SealedPermit } from '@bailiwick/contracts/permit'
import { uuidv7, ResourceId } from '@bailiwick/kernel/ids'
import { codeOf, openStand, type Stand } from './support/stand.ts'

describe('previews', () => {
  let stand: Stand
  beforeAll(async () => {
    stand = await openStand()
    await stand.ready()
  })
  afterAll(() => stand.close())

  /** The two steps up to the preview token, as gateway and steward go through them. */
  async function preview(token: string, database_id: string = uuidv7(), more: Record<string, string> = {}) {
    const input = { database_id, ...more }
    const reply = await stand.decide(token, 'preview_delete_database', input)
    if (!reply.ok) throw new Error(reply.denial.code)
    const minted = await stand.steward.assess({ permit: reply.permit, assessment: assessment(input) })
    if (!minted.ok) throw new Error(minted.denial.code)
    return { ...minted, permit: reply.permit, database_id }
  }
  const assessment = (input: Record<string, string>, more: object = {}) => ({
    kind: 'preview' as const,
    for_tool: 'delete_database',
    input,
    resource_kind: 'database',
    resource_id: ResourceId.parse(input['database_id']),
    resource_version: 7,
    impact: { rows: 3 },
    ...more,
  })
  const someone = async (scopes?: string[]) => (await stand.token(await stand.account(), scopes)).token

  test('a confirmed delete is permitted for the previewed resource and version, once', async () => {
    const token = await someone()
    const { preview_token, expires_at, database_id } = await preview(token)
    expect(expires_at).toBe(stand.clock.now() + 600_000)
    const input = { database_id, preview_token, confirm: true }
    const reply = await stand.decide(token, 'delete_database', input)
    if (!reply.ok) throw new Error(reply.denial.code)
    expect(reply.permit.permit).toMatchObject({
      risk: 'destructive',
      bound: { resource_id: database_id, version: 7 },
      preview_id: expect.any(String),
      input_hash: inputHash(input),
    })
    const again = await stand.decide(token, 'delete_database', input, { idempotency_key: randomUUID() })
    const { operation_id } = reply.permit.permit
    expect(again).toMatchObject({ denial: { code: 'PREVIEW_TOKEN_USED', extra: { operation_id } } })
  })

  test('each way of not having the right preview has its code, and none of them spends it', async () => {
    const account = await stand.account()
    const { token } = await stand.token(account)
    const { preview_token, database_id } = await preview(token)
    const destroy = async (input: object, by = token) =>
      codeOf(await stand.decide(by, 'delete_database', input as never))
    const good = { database_id, preview_token, confirm: true }
    expect(await destroy({ database_id })).toBe('PREVIEW_TOKEN_MISSING')
    expect(await destroy({ ...good, preview_token: 'pvt_short' })).toBe('PREVIEW_TOKEN_MISSING')
    expect(await destroy({ ...good, preview_token: `pvt_${'a'.repeat(43)}` })).toBe('PREVIEW_TOKEN_MISSING')
    expect(await destroy({ ...good, confirm: undefined })).toBe('CONFIRMATION_REQUIRED')
    expect(await destroy({ ...good, confirm: 'true' })).toBe('CONFIRMATION_REQUIRED')
    expect(await destroy({ ...good, database_id: uuidv7() })).toBe('PREVIEW_TOKEN_RESOURCE_MISMATCH')
    expect(await destroy({ ...good, also: 'this' })).toBe('PREVIEW_TOKEN_RESOURCE_MISMATCH')
    const colleague = (await stand.token(account)).token
    expect(await destroy(good, colleague)).toBe('PREVIEW_TOKEN_OWNERSHIP_MISMATCH')
    expect(await destroy(good, await someone())).toBe('PREVIEW_TOKEN_OWNERSHIP_MISMATCH')
    expect(await destroy(good)).toBe('allow')
  })

  test('a preview works for ten minutes and not a millisecond longer', async () => {
    const token = await someone()
    const [first, second] = [await preview(token), await preview(token)]
    const before = stand.clock.now()
    const destroy = ({ database_id, preview_token }: typeof first) =>
      stand.decide(token, 'delete_database', { database_id, preview_token, confirm: true })
    stand.clock.set(first.expires_at - 1)
    expect(codeOf(await destroy(first))).toBe('allow')
    stand.clock.set(first.expires_at)
    expect(codeOf(await destroy(second))).toBe('PREVIEW_TOKEN_EXPIRED')
    stand.clock.set(before)
  })

  test('twenty at once with keys of their own spend one preview exactly once', async () => {
    const account = await stand.account()
    const { token } = await stand.token(account)
    const { preview_token, database_id } = await preview(token)
    const input = { database_id, preview_token, confirm: true }
    const replies = await Promise.all(
      Array.from({ length: 20 }, () =>
        stand.decide(token, 'delete_database', input, { idempotency_key: randomUUID() }),
      ),
    )
    const codes = replies.map(codeOf)
    expect(codes.filter((code) => code === 'allow')).toHaveLength(1)
    expect(codes.filter((code) => code === 'PREVIEW_TOKEN_USED')).toHaveLength(19)
    expect((await stand.admin.operations({ account })).operations).toHaveLength(1)
  })

  test('a retry with the same key gets the same operation, also after the preview was spent and has expired', async () => {
    const token = await someone()
    const { preview_token, database_id } = await preview(token)
    const input = { database_id, preview_token, confirm: true }
    const idempotency_key = randomUUID()
    const first = await stand.decide(token, 'delete_database', input, { idempotency_key })
    const before = stand.clock.now()
    stand.clock.advance(20 * 60_000)
    const second = await stand.decide(token, 'delete_database', input, { idempotency_key })
    stand.clock.set(before)
    if (!first.ok || !second.ok) throw new Error('refused')
    expect(second.permit.permit.operation_id).toBe(first.permit.permit.operation_id)
    expect(second.permit.permit.undo_until).toBe(first.permit.permit.undo_until)
    expect(second.permit.permit.nonce).not.toBe(first.permit.permit.nonce)
  })

  test('twenty identical deletes without a key are one operation; a minute later the preview is used', async () => {
    const account = await stand.account()
    const { token } = await stand.token(account)
    const { preview_token, database_id } = await preview(token)
    const input = { database_id, preview_token, confirm: true }
    const replies = await Promise.all(Array.from({ length: 20 }, () => stand.decide(token, 'delete_database', input)))
    const ids = new Set(replies.map((reply) => (reply.ok ? reply.permit.permit.operation_id : reply.denial.code)))
    expect(ids.size).toBe(1)
    expect((await stand.admin.operations({ account })).operations.map(({ id }) => id)).toEqual([...ids])
    const before = stand.clock.now()
    stand.clock.advance(60_000)
    expect(codeOf(await stand.decide(token, 'delete_database', input))).toBe('PREVIEW_TOKEN_USED')
    stand.clock.set(before)
  })

  test('confirm_action is permitted as the previewed tool with the previewed input, and needs that tool’s scopes', async () => {
    const account = await stand.account()
    const { token } = await stand.token(account)
    const { preview_token, database_id } = await preview(token)
    expect(codeOf(await stand.decide(token, 'confirm_action', { preview_token }))).toBe('CONFIRMATION_REQUIRED')
    const reply = await stand.decide(token, 'confirm_action', { preview_token, confirm: true })
    if (!reply.ok) throw new Error(reply.denial.code)
    expect(reply.input).toEqual({ database_id, preview_token, confirm: true })
    expect(reply.permit.permit).toMatchObject({
      tool: 'delete_database',
      risk: 'destructive',
      input_hash: inputHash(reply.input!),
      bound: { resource_id: database_id, version: 7 },
    })
    // The same deed asked for directly is the same operation.
    const direct = await stand.decide(token, 'delete_database', { database_id, preview_token, confirm: true })
    expect(direct).toMatchObject({ permit: { permit: { operation_id: reply.permit.permit.operation_id } } })

    const reader = (await stand.token(account, ['databases:read'])).token
    const seen = await preview(reader)
    const refused = await stand.decide(reader, 'confirm_action', { preview_token: seen.preview_token, confirm: true })
    expect(refused).toMatchObject({ denial: { code: 'INSUFFICIENT_SCOPE', required_scopes: ['databases:delete'] } })
  })

  test('confirm_action on a frozen resource is refused like the delete itself', async () => {
    const account = await stand.account()
    const { token } = await stand.token(account)
    const { preview_token, database_id } = await preview(token)
    await stand.admin.freeze({ account, resource: ResourceId.parse(database_id), on: true, reason: 'wait' })
    expect(codeOf(await stand.decide(token, 'confirm_action', { preview_token, confirm: true }))).toBe(
      'RESOURCE_FROZEN',
    )
  })

  test('assess mints nothing for a call that may not assess this', async () => {
    const account = await stand.account()
    const { token } = await stand.token(account)
    const input = { database_id: uuidv7() }
    const [reading, seeing] = [
      await stand.decide(token, 'get_database', input),
      await stand.decide(token, 'preview_delete_database', input),
    ]
    if (!reading.ok || !seeing.ok) throw new Error('refused')
    const assess = async (permit: SealedPermit, more: object = {}) =>
      codeOf(await stand.steward.assess({ permit, assessment: assessment(input, more) }))
    expect(await assess(reading.permit)).toBe('PERMIT_REFUSED')
    expect(await assess(seeing.permit, { for_tool: 'create_database' })).toBe('PERMIT_REFUSED')
    expect(await assess(seeing.permit, { resource_id: uuidv7() })).toBe('PERMIT_REFUSED')
    expect(await assess(seeing.permit, { input: { ...input, confirm: true } })).toBe('PERMIT_REFUSED')
    const forged = sealPermit(Buffer.alloc(32, 1), seeing.permit.permit)
    expect(await assess(forged)).toBe('PERMIT_REFUSED')
    expect(stand.audit.entries.at(-1)).toMatchObject({
      kind: 'call',
      code: 'PERMIT_REFUSED',
      account: null,
      door: 'internal',
    })
    expect(await assess(seeing.permit)).toBe('allow')
  })

  test('what a human must approve is refused: approvals cannot be given yet', async () => {
    const { token } = await stand.token(await stand.account())
    const reply = await stand.decide(token, 'set_dns_records', { domain_id: uuidv7() })
    if (!reply.ok) throw new Error(reply.denial.code)
    const { permit } = reply
    const resource_id = ResourceId.parse(uuidv7())
    const critical = {
      kind: 'approval' as const,
      reason: 'critical_dns' as const,
      resource_id,
      resource_version: 1,
      impact: {},
    }
    expect(codeOf(await stand.steward.assess({ permit, assessment: critical }))).toBe('APPROVAL_REQUIRED')
    expect(codeOf(await stand.steward.readApproval({ permit, approval_id: randomUUID() }))).toBe('APPROVAL_REQUIRED')
  })

  test('the database never holds a preview token', async () => {
    const { preview_token } = await preview(await someone())
    const client = new Client({ connectionString: stand.database.superuser })
    await client.connect()
    const { rows } = await client.query(`SELECT row_to_json(p)::text AS row FROM policy.previews p`)
    await client.end()
    const dump = rows.map(({ row }) => row as string).join('\n')
    const secret = preview_token.slice('pvt_'.length)
    expect(dump.length).toBeGreaterThan(100)
    for (const form of [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret, 'base64url').toString('hex')])
      expect(dump).not.toContain(form)
  })
})
