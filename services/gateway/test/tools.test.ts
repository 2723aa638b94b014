// What tools/list says of the tools that there are.
import { loadCatalog } from '@bailiwick/contracts/catalog'
import { describeTools } from '../src/tools.ts'

const catalog = loadCatalog()
const tools = describeTools(catalog)

test('every tool has its hints from risk and effect, and schemas for what goes in and comes out', () => {
  expect(tools.size).toBe(catalog.list.length)
  for (const { name, risk, effect, output_schema } of catalog.list) {
    const { annotations, inputSchema, outputSchema } = tools.get(name)!
    expect([name, annotations]).toEqual([
      name,
      {
        title: expect.any(String),
        readOnlyHint: risk === 'read',
        destructiveHint: risk === 'destructive',
        idempotentHint: risk !== 'write',
        openWorldHint: effect === 'proposed',
      },
    ])
    expect(inputSchema).toMatchObject({ type: 'object', additionalProperties: false })
    expect(outputSchema).toMatchObject({ type: 'object', properties: output_schema['properties'] })
  }
})

test('a delete is destructive and no read; a preview and get_operation are reads', () => {
  expect(tools.get('delete_database')!.annotations).toMatchObject({ destructiveHint: true, readOnlyHint: false })
  for (const name of ['preview_delete_database', 'get_operation', 'preview_undo'])
    expect(tools.get(name)!.annotations).toMatchObject({ destructiveHint: false, readOnlyHint: true })
  expect(tools.get('undo')!.annotations).toMatchObject({ destructiveHint: false, readOnlyHint: false })
})

test('the tools that may take long are changes: an operation can be a task, a read cannot', () => {
  const long = catalog.list.filter((tool) => tool.long)
  expect(long.map(({ name }) => name)).toEqual(expect.arrayContaining(['delete_database', 'restore_database_to_new']))
  expect(long.filter(({ risk }) => risk === 'read')).toEqual([])
})
