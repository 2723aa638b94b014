import { sealPermit, type Permit, type SealedPermit } from '@bailiwick/contracts/permit'
import { ResourceId, uuidv7 } from '@bailiwick/kernel/ids'
import { codeOf, openStand, type Stand } from './support/stand.ts'

describe('what the steward asks', () => {
  let stand: Stand
  beforeAll(async () => {
    stand = await openStand()
    await stand.ready()
  })
  afterAll(() => stand.close())

  async function permitted(tool = 'set_database_limits', tier: 'beta' | 'full' = 'full') {
    const account = await stand.account(tier)
    const { id, token } = await stand.token(account)
    const reply = await stand.decide(token, tool, {})
    if (!reply.ok) throw new Error(reply.denial.code)
    return { account, id, token, permit: reply.permit }
  }
  const stillValid = async (permit: SealedPermit, resources: string[] = []) =>
    codeOf(await stand.steward.stillValid({ permit, resources: resources.map((id) => ResourceId.parse(id)) }))

  test('a permit stays valid until something is taken back, and is refused at once when it is', async () => {
    const { account, id, permit } = await permitted()
    expect(await stillValid(permit)).toBe('allow')
    await stand.admin.tokens_pause({ id, reason: 'look' })
    expect(await stillValid(permit)).toBe('TOKEN_PAUSED')
    await stand.admin.tokens_resume({ id, reason: 'fine' })
    await stand.admin.accounts_tier({ account, tier: 'sandbox', reason: 'calm' })
    expect(await stillValid(permit)).toBe('AI_DEPLOY_TIER_TOO_LOW')
    await stand.admin.accounts_tier({ account, tier: 'beta', reason: 'again' })
    await stand.admin.kill({ on: true, reason: 'drill' })
    expect(await stillValid(permit)).toBe('AI_DEPLOY_GLOBALLY_DISABLED')
    await stand.admin.kill({ on: false, reason: 'over' })
    expect(await stillValid(permit)).toBe('allow')
    await stand.admin.tokens_revoke({ id, reason: 'lost' })
    expect(await stillValid(permit)).toBe('UNAUTHENTICATED')
  })

  test('a freeze of the account or of a touched resource stops a change, not a read', async () => {
    const change = await permitted()
    const [frozen, free] = [uuidv7(), uuidv7()]
    const reading = await stand.decide(change.token, 'get_database', {})
    if (!reading.ok) throw new Error('refused')
    await stand.admin.freeze({ account: change.account, resource: ResourceId.parse(frozen), on: true, reason: 'wait' })
    expect(await stillValid(change.permit, [free])).toBe('allow')
    expect(await stillValid(change.permit, [free, frozen])).toBe('RESOURCE_FROZEN')
    expect(await stillValid(reading.permit, [frozen])).toBe('allow')
    await stand.admin.freeze({ account: change.account, resource: null, on: true, reason: 'all' })
    expect(await stillValid(change.permit, [])).toBe('RESOURCE_FROZEN')
  })

  test('a forged, changed or old permit is refused on every route, on the record', async () => {
    const { permit: sealed } = await permitted()
    const other = await stand.account()
    const changed: Partial<Permit>[] = [
      { account: other },
      { tool: 'delete_database' },
      { risk: 'read' },
      { input_hash: '0'.repeat(64) },
      { issued_at: sealed.permit.issued_at + 1 },
      { scopes: [] },
      { obligations: ['none'] },
    ]
    const forged: SealedPermit[] = [
      ...changed.map((change) => ({ ...sealed, permit: { ...sealed.permit, ...change } })),
      { ...sealed, mac: 'f'.repeat(64) },
      sealPermit(Buffer.alloc(32, 7), sealed.permit),
      sealPermit(stand.permitKey, { ...sealed.permit, issued_at: stand.clock.now() - 24 * 3_600_000 - 1 }),
      sealPermit(stand.permitKey, { ...sealed.permit, issued_at: stand.clock.now() + 6000 }),
      sealPermit(stand.permitKey, { ...sealed.permit, operation_id: null, issued_at: stand.clock.now() - 300_001 }),
    ]
    const resource_id = ResourceId.parse(uuidv7())
    const assessment = {
      kind: 'approval' as const,
      reason: 'critical_dns' as const,
      resource_id,
      resource_version: 1,
      impact: 0,
    }
    for (const permit of forged) {
      const before = stand.audit.entries.length
      expect(await stillValid(permit)).toBe('PERMIT_REFUSED')
      expect(codeOf(await stand.steward.assess({ permit, assessment }))).toBe('PERMIT_REFUSED')
      expect(codeOf(await stand.steward.readApproval({ permit, approval_id: crypto.randomUUID() }))).toBe(
        'PERMIT_REFUSED',
      )
      await expect(stand.steward.describe({ permit })).rejects.toMatchObject({ code: 'PERMIT_REFUSED' })
      expect(stand.audit.entries.slice(before).map((entry) => entry.code)).toEqual(Array(4).fill('PERMIT_REFUSED'))
    }
  })

  test('describe shows account and token behind a permit', async () => {
    const { account, permit } = await permitted('set_database_limits', 'beta')
    expect(await stand.steward.describe({ permit })).toEqual({
      account: {
        id: account,
        name: 'acme',
        tier: 'beta',
        tier_since: stand.clock.now(),
        time_zone: 'UTC',
        created_at: stand.clock.now(),
        changes_today: 1,
        changes_per_day: 500,
      },
      token: {
        name: 'agent',
        scopes: permit.permit.scopes,
        expires_at: stand.clock.now() + 90 * 86_400_000,
        last_used_at: stand.clock.now(),
      },
    })
  })

  test('the gateway cannot ask what the steward may, nor the steward decide', async () => {
    const { permit } = await permitted()
    await expect(stand.gateway.stillValid({ permit, resources: [] })).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
    await expect(stand.gateway.assess({ permit, assessment: {} as never })).rejects.toMatchObject({
      code: 'ARROW_REFUSED',
    })
    await expect(stand.steward.decide({} as never)).rejects.toMatchObject({ code: 'ARROW_REFUSED' })
  })
})
