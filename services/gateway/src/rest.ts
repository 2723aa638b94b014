// The REST door: POST /api/v1/tools/<name> with the input as body, GET /api/v1/tools for what may be called.
import type http from 'node:http'
import type { BlockList } from 'node:net'
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import { err, ok, type Result } from '@bailiwick/kernel/result'
import { headersOf, problemOf, rateHeaders, writeJson, writeProblem, type Challenge } from './answer.ts'
import { answerCall, identify, type Doors, type Input, type Parsed } from './call.ts'
import { chooseIdempotencyKey } from './idempotency-key.ts'
import { readJson, type BodyLimits } from './read-body.ts'
import { readSender } from './sender.ts'
import { unreadable, type Unreadable } from './unreadable.ts'

export type RestDoor = {
  readonly doors: Doors
  readonly catalog: LoadedCatalog
  readonly challenge: Challenge
  readonly hops: BlockList
  readonly limits: BodyLimits
}

export async function serveRestCall(
  door: RestDoor,
  tool: string,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const sender = readSender(request, 'rest', door.hops)
  const parsed = await readCall(tool, request, door.limits)
  const answer = await answerCall(door.doors, sender, parsed, tool.slice(0, 128))
  const headers = headersOf(answer, door.challenge, sender.credential !== null, door.catalog.tools.get(tool)?.scopes)
  if (answer.ok) writeJson(response, 200, answer.output, headers)
  else writeProblem(response, problemOf(answer), headers)
}

export async function serveRestList(
  door: RestDoor,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const sender = readSender(request, 'rest', door.hops)
  const identified = await identify(door.doors, sender, 'tools/list')
  if (!identified.ok) {
    const headers = headersOf(identified.error, door.challenge, sender.credential !== null)
    return writeProblem(response, problemOf(identified.error), headers)
  }
  const { rate, tools } = identified.value
  const callable = door.catalog.list.filter(({ name }) => tools.includes(name))
  const list = callable.map(({ name, title, summary, domain, scopes, risk, effect, input_schema, output_schema }) => ({
    name,
    title,
    summary,
    domain,
    scopes,
    risk,
    effect,
    input_schema,
    output_schema,
  }))
  writeJson(response, 200, { tools: list }, { 'Bailiwick-Request-Id': sender.request_id, ...rateHeaders(rate) })
}

async function readCall(
  tool: string,
  request: http.IncomingMessage,
  limits: BodyLimits,
): Promise<Result<Parsed, Unreadable>> {
  const body = await readJson(request, limits)
  if (!body.ok) return body
  const { accept } = request.headers
  if (accept !== undefined && !/\*\/\*|application\/(\*|json|problem\+json)/.test(accept))
    return err(unreadable('accept', 'Answers are application/json.', { status: 406 }))
  const input = body.value === undefined ? {} : body.value
  if (typeof input !== 'object' || input === null)
    return err(unreadable('input', 'The body is the input of the tool: one JSON object.'))
  if (tool.length > 128) return err(unreadable('tool', 'The name of the tool is too long.'))
  const members = input as { readonly [key: string]: Input }
  return ok({ tool, input, idempotencyKey: chooseIdempotencyKey([request.headers['idempotency-key']], members) })
}
