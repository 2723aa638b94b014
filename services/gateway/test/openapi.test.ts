import { DefaultJsonSchemaValidator } from '@modelcontextprotocol/server/_shims'
import { CODES } from '@bailiwick/contracts/codes'
import { makeOpenApi } from '../src/openapi.ts'
import { catalog, PUBLIC_URL } from './gateway.ts'

type Members = { [key: string]: Members }
const document = makeOpenApi(new URL(PUBLIC_URL), catalog, '1.2.3') as Members

/** Every object in the document, with its path. */
function* walk(value: unknown, path = '#'): Generator<[string, Members]> {
  if (typeof value !== 'object' || value === null) return
  yield [path, value as Members]
  for (const [key, child] of Object.entries(value))
    yield* walk(child, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`)
}

test('every reference in the document leads somewhere', () => {
  const objects = new Map(walk(document))
  const references = [...objects.values()].map(({ $ref }) => $ref as unknown).filter((ref) => typeof ref === 'string')
  expect(references.length).toBeGreaterThan(20)
  for (const reference of references) expect(objects.has(reference)).toBe(true)
})

test('every tool is one operation with its risk, scopes, errors and schemas', () => {
  expect(Object.keys(document['paths']!)).toEqual([
    '/api/v1/tools',
    ...catalog.list.map(({ name }) => `/api/v1/tools/${name}`),
  ])
  for (const tool of catalog.list) {
    const { post } = document['paths']![`/api/v1/tools/${tool.name}`]!
    expect(post).toMatchObject({
      operationId: tool.name,
      'x-mcp-risk': tool.risk,
      'x-scopes': tool.scopes,
      security: [{ bearer: tool.scopes }],
    })
    const statuses = Object.keys(post!['responses']!)
    for (const code of post!['x-errors'] as unknown as (keyof typeof CODES)[])
      expect(statuses).toContain(String(CODES[code].status))
  }
  const read = document['paths']!['/api/v1/tools/whoami']!['post']!['x-errors']
  expect(read).not.toContain('PREVIEW_STALE')
  expect(read).toContain('RATE_LIMITED')
})

test('every schema in the document compiles', () => {
  const validator = new DefaultJsonSchemaValidator()
  const schemas = [...walk(document)].flatMap(([path, { schema }]) =>
    schema && !path.includes('/schema') ? [schema] : [],
  )
  expect(schemas.length).toBeGreaterThan(10)
  for (const schema of schemas) {
    const whole = { ...schema, components: document['components']! } as never
    expect(() => validator.getValidator(whole)).not.toThrow()
  }
})

test('it asks for a token in the header and nowhere else', () => {
  expect(document['components']!['securitySchemes']).toMatchObject({ bearer: { type: 'http', scheme: 'bearer' } })
  expect(document).toMatchObject({ openapi: '3.1.0', servers: [{ url: PUBLIC_URL }] })
})
