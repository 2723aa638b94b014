// The catalog says what the tool files say, in schemas that clients can read; a tool that is badly declared does not load.
import { z } from 'zod'
import { loadCatalog } from '@bailiwick/contracts/catalog'
import { buildCatalog, requireCommitted } from '../src/catalog.ts'
import { defineTool, read, type Tool } from '../src/define-tool.ts'
import { tools } from '../src/tools/index.ts'

const good = defineTool({
  name: 'get_thing',
  summary: 'Shows a thing.',
  domain: 'things',
  scopes: ['dns:read'],
  input: z.strictObject({ thing_id: z.string() }),
  output: z.strictObject({ ok: z.boolean() }),
  resources: { thing_id: 'thing' },
  effect: read,
  handle: async () => ({ ok: true }),
}) as Tool

test('the committed catalog is the one that the tool files make', () => {
  expect(() => requireCommitted(buildCatalog(tools), loadCatalog())).not.toThrow()
  expect(() => requireCommitted(buildCatalog([good]), loadCatalog())).toThrow(/regenerate/)
})

test('the order of the files changes no hash', () => {
  expect(buildCatalog(tools.toReversed()).hash).toBe(buildCatalog(tools).hash)
})

test('the pipeline’s fields are in the schemas of the tools that have them, and of no other', () => {
  const catalog = buildCatalog(tools)
  const inputs = (name: string) => Object.keys(catalog.tools.get(name)!.input_schema['properties'] as object)
  const outputs = (name: string) => Object.keys(catalog.tools.get(name)!.output_schema['properties'] as object)
  expect(inputs('delete_database')).toEqual(expect.arrayContaining(['preview_token', 'confirm', 'idempotency_key']))
  expect(inputs('create_database')).toContain('idempotency_key')
  expect(inputs('create_database')).not.toContain('confirm')
  expect(inputs('list_databases')).not.toContain('idempotency_key')
  expect(outputs('create_database')).toEqual(expect.arrayContaining(['undo', 'secret', 'idempotent_replay']))
  expect(outputs('preview_delete_database')).toEqual(
    expect.arrayContaining(['preview_token', 'expires_at', 'instruction']),
  )
  expect(catalog.tools.get('confirm_action')!.risk).toBe('destructive')
  expect(catalog.tools.get('set_dns_records')!.obligations).toEqual(['critical_dns'])
})

test.each<[string, object, RegExp]>([
  ['a name that is not verb_noun', { name: 'GetThing' }, /verb_noun/],
  ['a summary of more than 40 words', { summary: 'word '.repeat(41) }, /41 words/],
  ['no effect', { effect: undefined }, /no effect/],
  ['a scope that is not offered', { scopes: ['ssl:delete'] }, /no scope ssl:delete/],
  ['a resource field that is not in its input', { resources: { other_id: 'thing' } }, /no field other_id/],
  ['a readable field that is not in its input', { keep: ['other'] }, /no field other/],
  [
    'a preview of a tool that does not demand it',
    { previews: { tool: 'delete_thing', field: 'thing_id' } },
    /does not demand/,
  ],
  ['a delete without a preview', { name: 'delete_thing', effect: { kind: 'kept' } }, /needs a preview/],
  ['a boolean const', { output: z.strictObject({ deleted: z.literal(true) }) }, /const that is not a string/],
  ['an enum of numbers', { output: z.strictObject({ n: z.literal([1, 2]) }) }, /enum that is not of strings/],
  ['a secret that nobody issues', { secret: z.strictObject({}) }, /come together/],
])('a tool with %s does not load', (_, change, problem) => {
  expect(() => buildCatalog([{ ...good, ...change }])).toThrow(problem)
})

test('a destructive tool loads only beside its preview, with the same input', () => {
  const effect = { kind: 'exact', capture: async () => null, undo: async () => undefined } as const
  const confirms = { previewTool: 'preview_delete_thing', field: 'thing_id' }
  const destroy: Tool = { ...good, name: 'delete_thing', effect, confirms }
  const preview: Tool = { ...good, name: 'preview_delete_thing', previews: { tool: 'delete_thing', field: 'thing_id' } }
  expect(buildCatalog([destroy, preview]).tools.get('delete_thing')!.risk).toBe('destructive')
  expect(() => buildCatalog([destroy])).toThrow(/does not preview/)
  const other: Tool = { ...preview, input: z.strictObject({ thing_id: z.string(), more: z.string() }) }
  expect(() => buildCatalog([destroy, other])).toThrow(/same input/)
})
