// What the conformance profile adds to the gateway's protocol surface. Calls are decided, executed and recorded before anything here
// sees them; this only puts what came back on the wire in the forms that the suite asks for.
import type { Extras } from '@bailiwick/gateway/extras'
import type { CallToolResult, ContentBlock, ServerContext } from '@modelcontextprotocol/server'
import { getFixture, PROMPTS, readFixture, RESOURCES, TEMPLATES } from './library.ts'
import { TALKS } from './rounds.ts'

/** So that a client sees the notifications arrive one after the other. */
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50))

async function log(context: ServerContext): Promise<void> {
  for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
    await context.mcpReq.log('info', data)
    await pause()
  }
}

async function progress(context: ServerContext): Promise<void> {
  const progressToken = context.mcpReq._meta?.progressToken
  for (const progress of [0, 50, 100]) {
    if (progressToken !== undefined)
      await context.mcpReq.notify({
        method: 'notifications/progress',
        params: { progressToken, progress, total: 100, message: `Completed step ${progress} of 100` },
      })
    await pause()
  }
}

/** What happens on the wire before a tool's answer. */
const BEFORE: Readonly<Record<string, (context: ServerContext) => Promise<void>>> = {
  test_tool_with_logging: log,
  test_logging_tool: log,
  test_tool_with_progress: progress,
  test_streaming_elicitation: progress,
}

const withContent = (content: ContentBlock[]): CallToolResult => ({ content, structuredContent: { content } })

export const protocolExtras: Extras = {
  capabilities: { completions: {}, logging: {}, resources: { subscribe: true } },
  resources: RESOURCES,
  templates: TEMPLATES,
  prompts: PROMPTS,
  readResource: readFixture,
  getPrompt: getFixture,
  async shapeCall({ tool, output }, context) {
    if (!tool.startsWith('test_')) return null
    const turn = await TALKS[tool]?.(tool, context)
    if (typeof turn === 'object') return turn
    await BEFORE[tool]?.(context)
    if (turn !== undefined) return withContent([{ type: 'text', text: turn }])
    return withContent(output['content'] as unknown as ContentBlock[])
  },
  configure(server) {
    server.setRequestHandler('completion/complete', () => ({ completion: { values: [], total: 0, hasMore: false } }))
    // Accepted and never followed by anything: the gateway keeps no session that an update could go to.
    server.setRequestHandler('resources/subscribe', () => ({}))
    server.setRequestHandler('resources/unsubscribe', () => ({}))
  },
}
