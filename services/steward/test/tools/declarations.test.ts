// What every tool of these domains declares, held against the rules of the catalog.
import { z } from 'zod'
import { tools } from '../../src/tools/index.ts'

const mine = tools.filter(({ domain }) => ['profile', 'databases', 'domains', 'dns'].includes(domain))

test('the catalog has every tool of tools.md for these domains', () => {
  expect(mine.map(({ name }) => name).sort()).toEqual(
    [
      ['whoami', 'get_profile', 'list_my_activity'],
      ['list_databases', 'get_database', 'describe_tables', 'list_rows', 'run_read_query', 'create_database'],
      ['create_table', 'insert_rows', 'update_rows', 'remove_rows', 'rotate_database_password'],
      ['set_database_limits', 'restore_database_to_new', 'preview_delete_database', 'delete_database'],
      ['list_domains', 'get_domain', 'check_domain', 'add_domain', 'verify_domain'],
      ['preview_delete_domain', 'delete_domain', 'list_dns_records', 'list_dns_versions', 'diff_dns_versions'],
      ['set_dns_records', 'restore_dns_version', 'preview_delete_dns_records', 'delete_dns_records'],
      ['get_dnssec', 'sign_domain', 'unsign_domain'],
    ]
      .flat()
      .sort(),
  )
})

test.each(mine.map((tool) => [tool.name, tool] as const))('%s keeps the rules', (name, tool) => {
  expect(tool.summary.split(/\s+/).length).toBeLessThanOrEqual(40)
  expect(tool.scopes).toHaveLength(1)
  const right = tool.scopes[0]!.split(':')[1]
  expect(right).toBe(/^(preview_)?delete_/.test(name) ? 'delete' : tool.effect.kind === 'read' ? 'read' : 'write')
  const schema = z.toJSONSchema(tool.input, { io: 'input' })
  const fields = Object.keys(schema.properties ?? {})
  for (const field of [...(tool.keep ?? []), ...Object.keys(tool.resources ?? {})]) expect(fields).toContain(field)
  for (const field of ['rows', 'updates', 'keys', 'sql', 'records']) expect(tool.keep ?? []).not.toContain(field)
  expect(schema.additionalProperties).toBe(false)
  // Portable: no boolean const, no non-string enum, no recursion.
  const text = JSON.stringify([schema, z.toJSONSchema(tool.output)])
  expect(text).not.toMatch(/"const":(true|false|\d)|"enum":\[[^"\]]|"\$ref"/)
  if (name.startsWith('delete_')) expect(mine.map((other) => other.previews?.tool)).toContain(name)
  if (name.startsWith('list_') || name.startsWith('diff_') || name === 'describe_tables')
    expect(fields).toEqual(expect.arrayContaining(['limit', 'cursor']))
})
