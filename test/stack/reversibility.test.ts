// create -> change or destroy -> undo -> deep compare, on the real backends, for every changing tool in the catalog.
import { randomUUID } from 'node:crypto'
import { loadCatalog } from '@bailiwick/contracts/catalog'
import { freshAccount, sharedStack } from './shared-stack.ts'
import { KEPT, SCENARIOS } from './scenarios.ts'

const stack = sharedStack()
const undoOf = (body: Record<string, unknown>): string => (body['undo'] as { operation_id: string }).operation_id

test('every changing tool of the catalog has its scenario', () => {
  const changing = loadCatalog()
    .list.filter((tool) => tool.risk !== 'read' && !['undo', 'confirm_action'].includes(tool.name))
    .map((tool) => tool.name)
  expect([...SCENARIOS.map(({ tool }) => tool), ...KEPT].sort()).toEqual(changing.sort())
  for (const tool of loadCatalog().list.filter(({ name }) => KEPT.includes(name))) expect(tool.effect).toBe('kept')
})

describe.each(SCENARIOS)('$tool', ({ tool, prepare }) => {
  test('is undone whole, and the undo is undone whole', async () => {
    const account = await freshAccount(stack, `undo-${tool}`)
    const prepared = await prepare(stack, account, `${tool.replaceAll('_', '-')}-${Date.now().toString(36)}`)
    const before = await prepared.look()
    const input = prepared.confirm ? await prepared.confirm() : prepared.input
    const done = await stack.must(account.token, tool, input)
    const after = await prepared.look()
    expect(after).not.toBe(before)

    const undone = await stack.must(account.token, 'undo', { operation_id: undoOf(done) })
    expect(await prepared.look()).toBe(before)

    await stack.must(account.token, 'undo', { operation_id: undoOf(undone) })
    expect(await prepared.look()).toBe(after)
  }, 120_000)
})

describe('a change since', () => {
  test('is never overwritten by an undo', async () => {
    const account = await freshAccount(stack, 'conflict')
    const made = await stack.must(account.token, 'add_domain', { name: `conflict-${Date.now().toString(36)}.example` })
    const set = (address: string) =>
      stack.must(account.token, 'set_dns_records', {
        domain_id: made['domain_id'],
        name: 'www',
        type: 'A',
        ttl_seconds: 300,
        records: [address],
      })
    const first = await set('192.0.2.1')
    await set('192.0.2.2')
    const refused = await stack.call(account.token, 'undo', { operation_id: undoOf(first) })
    expect(refused.body).toMatchObject({ code: 'UNDO_CONFLICT', conflicts: expect.any(Array) })
    expect(
      JSON.stringify(await stack.must(account.token, 'list_dns_records', { domain_id: made['domain_id'] })),
    ).toContain('192.0.2.2')
  })

  test('makes undoing a create a delete, with all that a delete needs', async () => {
    const account = await freshAccount(stack, 'used')
    const made = await stack.must(account.token, 'create_database', { name: 'used' })
    await stack.must(account.token, 'create_table', {
      database_id: made['database_id'],
      table: 't',
      columns: [{ name: 'id', type: 'integer' }],
      primary_key: ['id'],
    })
    const refused = await stack.call(account.token, 'undo', { operation_id: undoOf(made) })
    expect(refused.body).toMatchObject({
      code: 'CONFIRMATION_REQUIRED',
      next: expect.stringContaining('preview_delete_database'),
    })
    await stack.must(account.token, 'describe_tables', { database_id: made['database_id'] })
  })
})

describe('confirm_action', () => {
  test('completes what was previewed, once, and is undone like it', async () => {
    const account = await freshAccount(stack, 'confirm')
    const made = await stack.must(account.token, 'create_database', { name: 'confirmed' })
    const preview = await stack.must(account.token, 'preview_delete_database', { database_id: made['database_id'] })
    const token = { preview_token: preview['preview_token'], confirm: true }
    const done = await stack.must(account.token, 'confirm_action', token)
    expect(done).toMatchObject({ deleted: true, database_id: made['database_id'] })
    expect((await stack.call(account.token, 'get_database', { database_id: made['database_id'] })).status).toBe(404)
    expect(await stack.must(account.token, 'get_operation', { operation_id: undoOf(done) })).toMatchObject({
      tool: 'delete_database',
      state: 'done',
    })
    const again = await stack.call(account.token, 'confirm_action', token, { 'idempotency-key': randomUUID() })
    expect(again.body).toMatchObject({ code: 'PREVIEW_TOKEN_USED' })
    await stack.must(account.token, 'undo', { operation_id: undoOf(done) })
    await stack.must(account.token, 'get_database', { database_id: made['database_id'] })
  })
})

describe('critical DNS', () => {
  test('existing mail records stay as they are until a human approves', async () => {
    const account = await freshAccount(stack, 'critical')
    const made = await stack.must(account.token, 'add_domain', { name: `critical-${Date.now().toString(36)}.example` })
    const mail = (target: string) => ({
      domain_id: made['domain_id'],
      name: '@',
      type: 'MX',
      ttl_seconds: 300,
      records: [`10 ${target}`],
    })
    const first = await stack.must(account.token, 'set_dns_records', mail('mail.example.net'))
    const preview = await stack.must(account.token, 'preview_delete_domain', { domain_id: made['domain_id'] })
    for (const [tool, input] of [
      ['set_dns_records', mail('attacker.example.org')],
      ['undo', { operation_id: undoOf(first) }],
      ['delete_domain', { domain_id: made['domain_id'], preview_token: preview['preview_token'], confirm: true }],
    ] as const) {
      expect((await stack.call(account.token, tool, input)).body).toMatchObject({
        code: 'APPROVAL_REQUIRED',
        status: 403,
      })
    }
    expect(
      JSON.stringify(await stack.must(account.token, 'list_dns_records', { domain_id: made['domain_id'] })),
    ).toContain('mail.example.net')
  })
})
