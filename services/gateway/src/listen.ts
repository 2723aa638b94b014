// subscriptions/listen (2026-07-28): says when the caller's tools are others than they were. What stays open must not outlive its
// credential: the same wait at policy that reports changes reports its end.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  INVALID_PARAMS,
  SERVER_INFO_META_KEY,
  specTypeSchemas,
  SUBSCRIPTION_ID_META_KEY,
  type SubscriptionFilter,
} from '@modelcontextprotocol/server'
import { deny } from '@bailiwick/contracts/problem'
import { rateHeaders } from './answer.ts'
import { refuse, watchTools, type Identified } from './call.ts'
import { missingTasks, serverInfo, writeRefusal, writeRpcError, type Exchange, type McpDoor } from './exchange.ts'
import type { McpMessage } from './mcp-message.ts'
import { isMembers } from './members.ts'
import type { Stream } from './streams.ts'

/** A policy that answers at once again and again must not become a loop at full speed. */
const MIN_WATCH_MS = 100

export async function serveListen(exchange: Exchange, { rate, principal }: Identified): Promise<void> {
  const { door, sender, message, response } = exchange
  const filter = readFilter(message)
  if (!filter) {
    const error = { code: INVALID_PARAMS, message: 'Invalid params: notifications is missing or no filter' }
    return writeRpcError(exchange, error)
  }
  if ('taskIds' in filter && !message.takesTasks) return writeRpcError(exchange, missingTasks, 400)
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  // Before it is acknowledged: what changes from then on is told.
  const first = await watchTools(door.doors, sender, null, gone.signal)
  // Nobody is there any more to notice the end of what would be opened.
  if (gone.signal.aborted) return undefined
  if (!first.ok) return writeRefusal(exchange, first.error)

  const honored = honor(filter, door)
  const _meta = { [SUBSCRIPTION_ID_META_KEY]: message.id }
  const stream = door.streams.open({
    principal,
    response,
    headers: { 'Bailiwick-Request-Id': sender.request_id, ...rateHeaders(rate) },
    last: {
      jsonrpc: '2.0',
      id: message.id,
      result: { resultType: 'complete', _meta: { ..._meta, [SERVER_INFO_META_KEY]: serverInfo(door) } },
    },
    onChange: ({ kind }) => {
      const list = kind === 'resource_updated' ? null : LISTS[kind]
      if (list && honored[list.field]) notify(stream, list.method, { _meta })
    },
  })
  if (!stream) {
    const denial = deny('IN_FLIGHT_LIMIT', { detail: 'Too many open streams.', retry_after_s: 5 })
    return writeRefusal(exchange, refuse(sender, denial, { rate }))
  }
  // It waits from here on: no work, and so no place among what is worked on.
  door.inFlight.leave(response)
  notify(stream, 'notifications/subscriptions/acknowledged', { notifications: honored, _meta })
  if (Object.keys(honored).length > 0)
    await follow(exchange, stream, first.value.seen, () => {
      if (honored.toolsListChanged) notify(stream, LISTS.tools_list_changed.method, { _meta })
    })
  stream.end()
}

/** Until the stream is over, the credential is refused, or policy cannot be asked about it any more. */
async function follow({ door, sender }: Exchange, stream: Stream, first: string, onOthers: () => void): Promise<void> {
  for (let seen = first; !stream.over.aborted;) {
    const asked = performance.now()
    const next = await watchTools(door.doors, sender, seen, stream.over)
    if (!next.ok) return
    if (next.value.seen !== seen) onOthers()
    seen = next.value.seen
    const wait = MIN_WATCH_MS - (performance.now() - asked)
    if (wait > 0) await sleep(wait)
  }
}

const LISTS = {
  tools_list_changed: { field: 'toolsListChanged', method: 'notifications/tools/list_changed' },
  prompts_list_changed: { field: 'promptsListChanged', method: 'notifications/prompts/list_changed' },
  resources_list_changed: { field: 'resourcesListChanged', method: 'notifications/resources/list_changed' },
} as const

function readFilter({ params }: McpMessage): (SubscriptionFilter & { taskIds?: unknown }) | null {
  const { notifications } = params
  if (!isMembers(notifications)) return null
  const parsed = specTypeSchemas.SubscriptionFilter['~standard'].validate(notifications)
  return 'issues' in parsed && parsed.issues ? null : notifications
}

/** What was asked for and can come at all. */
function honor(filter: SubscriptionFilter, { capabilities: { modern } }: McpDoor): SubscriptionFilter {
  return {
    ...(filter.toolsListChanged && modern.tools?.listChanged ? { toolsListChanged: true } : {}),
    ...(filter.promptsListChanged && modern.prompts?.listChanged ? { promptsListChanged: true } : {}),
    ...(filter.resourcesListChanged && modern.resources?.listChanged ? { resourcesListChanged: true } : {}),
  }
}

const notify = (stream: Stream | null, method: string, params: object): void =>
  stream?.send({ jsonrpc: '2.0', method, params })
