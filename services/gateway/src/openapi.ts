// The OpenAPI 3.1 document of the REST door, generated from the catalog and the table of codes.
import type { CatalogTool, LoadedCatalog, Risk } from '@bailiwick/contracts/catalog'
import { CODES, type Code } from '@bailiwick/contracts/codes'

type Members = { readonly [key: string]: unknown }

/** Codes that only some calls can get; every other may come back from each. */
const ONLY: Partial<Record<Code, readonly Risk[]>> = {
  RESOURCE_BUSY: ['write', 'destructive'],
  AI_DEPLOY_TIER_TOO_LOW: ['write', 'destructive'],
  AI_DEPLOY_DAILY_LIMIT: ['write', 'destructive'],
  RESOURCE_FROZEN: ['write', 'destructive'],
  QUOTA_EXCEEDED: ['write', 'destructive'],
  CONFIRMATION_REQUIRED: ['write', 'destructive'],
  PREVIEW_TOKEN_MISSING: ['write', 'destructive'],
  PREVIEW_TOKEN_EXPIRED: ['write', 'destructive'],
  PREVIEW_TOKEN_USED: ['write', 'destructive'],
  PREVIEW_TOKEN_OWNERSHIP_MISMATCH: ['write', 'destructive'],
  PREVIEW_TOKEN_RESOURCE_MISMATCH: ['destructive'],
  PREVIEW_STALE: ['write', 'destructive'],
  APPROVAL_REQUIRED: ['write', 'destructive'],
  IDEMPOTENCY_KEY_REUSED: ['write', 'destructive'],
  IDEMPOTENCY_IN_PROGRESS: ['write', 'destructive'],
  OUTCOME_UNKNOWN: ['write', 'destructive'],
  UNDO_CONFLICT: ['write'],
  UNDO_EXPIRED: ['write'],
  SNAPSHOT_FAILED: ['write', 'destructive'],
}

const codesFor = (risk: Risk): Code[] =>
  (Object.keys(CODES) as Code[]).filter((code) => ONLY[code]?.includes(risk) ?? true)

export function makeOpenApi(publicUrl: URL, catalog: LoadedCatalog, version: string): Members {
  const domains = [...new Set(catalog.list.map((tool) => tool.domain))]
  return {
    openapi: '3.1.0',
    info: {
      title: 'Bailiwick',
      version,
      summary: 'The tools of an account, over HTTP.',
      description:
        'Every call is decided, recorded and, where it changes something, undoable. The same tools are served over MCP at `/mcp`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: publicUrl.origin }],
    security: [{ bearer: [] }],
    tags: domains.map((name) => ({ name })),
    paths: {
      '/api/v1/tools': { get: listOperation },
      ...Object.fromEntries(
        catalog.list.map((tool) => [`/api/v1/tools/${tool.name}`, { post: describeOperation(tool) }]),
      ),
    },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A personal token (`mpt_...`), in this header only.' },
      },
      parameters: { IdempotencyKey: idempotencyKey },
      headers,
      schemas: { Problem: problemSchema },
      responses: Object.fromEntries((['read', 'write', 'destructive'] as const).flatMap(responsesOf)),
    },
  }
}

function describeOperation(tool: CatalogTool): Members {
  const isChange = tool.risk !== 'read'
  return {
    operationId: tool.name,
    tags: [tool.domain],
    summary: tool.title,
    description: tool.summary,
    'x-mcp-risk': tool.risk,
    'x-scopes': tool.scopes,
    'x-effect': tool.effect,
    'x-errors': codesFor(tool.risk),
    security: [{ bearer: tool.scopes }],
    ...(isChange ? { parameters: [{ $ref: '#/components/parameters/IdempotencyKey' }] } : {}),
    requestBody: { required: true, content: { 'application/json': { schema: withoutDialect(tool.input_schema) } } },
    responses: {
      '200': {
        description: 'Done.',
        headers: answerHeaders(isChange),
        content: { 'application/json': { schema: withoutDialect(tool.output_schema) } },
      },
      ...Object.fromEntries(
        statusesFor(tool.risk).map((status) => [
          String(status),
          { $ref: `#/components/responses/${tool.risk}_${status}` },
        ]),
      ),
    },
  }
}

const listOperation = {
  operationId: 'list_callable_tools',
  summary: 'The tools that this token may call now.',
  responses: {
    '200': {
      description: 'Tools with their schemas.',
      content: {
        'application/json': {
          schema: {
            type: 'object',
            required: ['tools'],
            properties: { tools: { type: 'array', items: { type: 'object' } } },
          },
        },
      },
    },
    '401': { $ref: '#/components/responses/read_401' },
    '403': { $ref: '#/components/responses/read_403' },
    '429': { $ref: '#/components/responses/read_429' },
    '503': { $ref: '#/components/responses/read_503' },
  },
}

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'UUID v4. The same key and input within 24 hours get the stored answer; nothing happens twice.',
  schema: { type: 'string', format: 'uuid' },
}

const number = { type: 'integer', minimum: 0 }
const headers = {
  Receipt: { description: 'Index of this call in the log.', schema: number },
  RequestId: { description: 'Names this request in logs.', schema: { type: 'string', format: 'uuid' } },
  Replay: { description: '`true`: the stored answer of an earlier call.', schema: { type: 'string', const: 'true' } },
  RateLimit: { description: 'Calls per 60 s window.', schema: number },
  RateRemaining: { description: 'Calls left in it.', schema: number },
  RetryAfter: { description: 'Seconds to wait.', schema: number },
}
const ref = (header: keyof typeof headers): Members => ({ $ref: `#/components/headers/${header}` })

const answerHeaders = (isChange: boolean): Members => ({
  'Bailiwick-Receipt': ref('Receipt'),
  'Bailiwick-Request-Id': ref('RequestId'),
  'X-RateLimit-Limit': ref('RateLimit'),
  'X-RateLimit-Remaining': ref('RateRemaining'),
  ...(isChange ? { 'Idempotent-Replay': ref('Replay') } : {}),
})

const statusesFor = (risk: Risk): number[] =>
  [...new Set(codesFor(risk).map((code) => CODES[code].status))].sort((a, b) => a - b)

function responsesOf(risk: Risk): [string, Members][] {
  return statusesFor(risk).map((status) => {
    const codes = codesFor(risk).filter((code) => CODES[code].status === status)
    const wait = status === 429 || status === 503 ? { 'Retry-After': ref('RetryAfter') } : {}
    return [
      `${risk}_${status}`,
      {
        description: codes.map((code) => `\`${code}\`: ${CODES[code].title}.`).join(' '),
        headers: { 'Bailiwick-Request-Id': ref('RequestId'), ...wait },
        content: {
          'application/problem+json': {
            schema: {
              allOf: [
                { $ref: '#/components/schemas/Problem' },
                { type: 'object', properties: { code: { type: 'string', enum: codes } } },
              ],
            },
          },
        },
      },
    ]
  })
}

const text = { type: 'string' }
const problemSchema = {
  type: 'object',
  description: 'RFC 9457. Further members by code: `errors`, `conflicts`, `operation_id`, `reset_at`, ...',
  required: ['type', 'code', 'title', 'status', 'detail', 'next', 'request_id'],
  properties: {
    type: { type: 'string', format: 'uri' },
    code: { type: 'string', enum: Object.keys(CODES) },
    title: text,
    status: { type: 'integer' },
    detail: text,
    next: { type: 'string', description: 'What the agent may do.' },
    request_id: text,
    retry_after_s: number,
    required_scopes: { type: 'array', items: text },
  },
}

/** The document has one dialect, the standard's own: schemas need not repeat it. */
const withoutDialect = (schema: Members): Members =>
  Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema'))
