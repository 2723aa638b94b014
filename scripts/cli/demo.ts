// `./bailiwick demo`: a real MCP client plays the agent, through nginx. Prints a transcript a person can follow and fails when
// anything is not as promised.
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import tls from 'node:tls'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

type Answer = { ok: boolean; content: Record<string, unknown>; receipt: number | null; code: string | null }

export type DemoOptions = {
  /** The agents' endpoint, `https://localhost:8443/mcp`. */
  endpoint: string
  caFile: string
  /** A personal token with all scopes, of an account at tier `beta`. */
  token: string
  print: (line: string) => void
}

class Broken extends Error {}

/** Plays the whole story. Resolves when every promise held; throws naming the first that did not. */
export async function playDemo({ endpoint, caFile, token, print }: DemoOptions): Promise<void> {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(caFile, 'utf8')])
  const client = new Client({ name: 'bailiwick-demo', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } })
  await client.connect(
    new StreamableHTTPClientTransport(new URL(endpoint), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
  )
  print(`connected to ${endpoint}, protocol ${client.getNegotiatedProtocolVersion() ?? 'unknown'}`)

  const call = async (name: string, input: Record<string, unknown> = {}): Promise<Answer> => {
    const result = await client.callTool({ name, arguments: input })
    const content = (result.structuredContent ?? {}) as Record<string, unknown>
    const receipt = result._meta?.['io.bailiwick/receipt'] as { index: number } | undefined
    return {
      ok: result.isError !== true,
      content,
      receipt: receipt?.index ?? null,
      code: (content['code'] as string | undefined) ?? null,
    }
  }
  let step = 0
  const act = async (
    says: string,
    name: string,
    input: Record<string, unknown> = {},
  ): Promise<Record<string, unknown>> => {
    step += 1
    print(`\n${step}. ${says}`)
    const answer = await call(name, input)
    if (!answer.ok) throw new Broken(`${name} was refused: ${answer.code} ${String(answer.content['detail'])}`)
    if (answer.receipt === null) throw new Broken(`${name} carried no receipt`)
    print(`   ${name} -> ${summary(answer.content)}`)
    print(`   receipt: entry ${answer.receipt} of the log`)
    return answer.content
  }
  const mustRefuse = async (
    says: string,
    code: string,
    name: string,
    input: Record<string, unknown>,
  ): Promise<void> => {
    step += 1
    print(`\n${step}. ${says}`)
    const refusal = await call(name, input).catch((error: unknown) => ({
      ok: false,
      code: String(error).includes(code) ? code : String(error),
      content: {},
    }))
    if (refusal.ok || refusal.code !== code)
      throw new Broken(`${name} should have been refused with ${code}, got ${refusal.ok ? 'an answer' : refusal.code}`)
    print(`   ${name} -> refused: ${code}`)
  }
  const promise = (kept: boolean, what: string): void => {
    if (!kept) throw new Broken(`not as promised: ${what}`)
    print(`   ok: ${what}`)
  }

  const tag = Date.now().toString(36)
  await act('Who am I, and what may I do?', 'whoami')

  const domain = await act('Add a domain.', 'add_domain', { name: `shop-${tag}.example` })
  const domainId = domain['domain_id'] as string
  await act('Give it addresses.', 'set_dns_records', {
    domain_id: domainId,
    name: 'www',
    type: 'A',
    ttl_seconds: 300,
    records: ['192.0.2.10', '192.0.2.11'],
  })
  await act('And mail (there was none, so nobody has to approve).', 'set_dns_records', {
    domain_id: domainId,
    name: '@',
    type: 'MX',
    ttl_seconds: 3600,
    records: [`10 mail.shop-${tag}.example`],
  })
  const changed = await act('Move the web server.', 'set_dns_records', {
    domain_id: domainId,
    name: 'www',
    type: 'A',
    ttl_seconds: 300,
    records: ['198.51.100.7'],
  })
  await act('That was a mistake: undo.', 'undo', { operation_id: operationOf(changed) })
  const records = await act('Are the old addresses back?', 'list_dns_records', { domain_id: domainId })
  promise(
    JSON.stringify(records).includes('192.0.2.10') && !JSON.stringify(records).includes('198.51.100.7'),
    'the records are as they were',
  )
  await mustRefuse('Redirect the mail. An agent may not decide that alone.', 'APPROVAL_REQUIRED', 'set_dns_records', {
    domain_id: domainId,
    name: '@',
    type: 'MX',
    ttl_seconds: 3600,
    records: ['10 mail.attacker.example'],
  })

  const created = await act('Create a database.', 'create_database', { name: `shop_${tag}` })
  const databaseId = created['database_id'] as string
  promise(
    typeof (created['secret'] as Record<string, unknown> | undefined)?.['password'] === 'string',
    'its password came once, in this answer',
  )
  await act('A table in it.', 'create_table', {
    database_id: databaseId,
    table: 'orders',
    columns: [
      { name: 'id', type: 'bigint', nullable: false },
      { name: 'customer', type: 'text' },
      { name: 'total', type: 'numeric' },
    ],
    primary_key: ['id'],
  })
  const rows = Array.from({ length: 20 }, (_, at) => ({
    id: String(at + 1),
    customer: `customer ${at + 1}`,
    total: `${at * 10}.50`,
  }))
  await act('Twenty orders.', 'insert_rows', { database_id: databaseId, table: 'orders', rows })
  await act('Change one.', 'update_rows', {
    database_id: databaseId,
    table: 'orders',
    updates: [{ key: { id: '7' }, values: { total: '99.99' } }],
  })
  const before = (
    await act('What is in it now?', 'list_rows', { database_id: databaseId, table: 'orders', limit: 100 })
  )['rows']
  promise(Array.isArray(before) && before.length === 20, 'twenty rows, one of them changed')

  await mustRefuse('Delete the database without asking anybody.', 'PREVIEW_TOKEN_MISSING', 'delete_database', {
    database_id: databaseId,
  })
  const preview = await act('Ask what deleting it would mean.', 'preview_delete_database', { database_id: databaseId })
  const deleted = await act('The user said yes: delete it.', 'delete_database', {
    database_id: databaseId,
    preview_token: preview['preview_token'],
    confirm: true,
  })
  await mustRefuse('Is it gone?', 'NOT_FOUND', 'list_rows', { database_id: databaseId, table: 'orders' })
  await mustRefuse('Use the same preview again.', 'PREVIEW_TOKEN_USED', 'delete_database', {
    database_id: databaseId,
    preview_token: preview['preview_token'],
    confirm: true,
    idempotency_key: crypto.randomUUID(),
  })
  const trash = await act('What is in the trash?', 'list_trash')
  promise(JSON.stringify(trash).includes(databaseId), 'the database is in the trash')
  await act('Undo the deletion.', 'undo', { operation_id: operationOf(deleted) })
  const after = (
    await act('Compare every row.', 'list_rows', { database_id: databaseId, table: 'orders', limit: 100 })
  )['rows']
  promise(isDeepStrictEqual(after, before), 'all twenty rows are back, each as it was')

  await mustRefuse('Look at a database of somebody else.', 'NOT_FOUND', 'get_database', {
    database_id: '01900000-0000-7000-8000-000000000000',
  })
  await mustRefuse('Write through the reading door.', 'QUERY_REFUSED', 'run_read_query', {
    database_id: databaseId,
    sql: 'DELETE FROM orders',
  })
  const activity = await act('And the record of all this?', 'list_my_activity', { limit: 50 })
  promise(JSON.stringify(activity).includes('delete_database'), 'the deletion is on the record')

  await client.close()
  print(`\nAll ${step} steps went as promised.`)
}

function operationOf(output: Record<string, unknown>): string {
  const undo = output['undo'] as { operation_id?: string } | undefined
  if (!undo?.operation_id) throw new Broken('the answer carries no undo')
  return undo.operation_id
}

const SHOWN = 160
/** One line of an answer; a secret is not for transcripts. */
function summary(content: Record<string, unknown>): string {
  const { secret, ...rest } = content
  const text = JSON.stringify(secret === undefined ? rest : { ...rest, secret: '(shown once, not here)' })
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text
}
