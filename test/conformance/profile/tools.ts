// The tools that the suite calls, in the steward's own form: they read, need one scope, and go through decide, execute and the log
// like every other. What they return is the content that the suite wants to see; profile/protocol.ts puts it on the wire.
import { z } from 'zod'
import { deny } from '@bailiwick/contracts/problem'
import { defineTool, read, type Tool } from '@bailiwick/steward/define-tool'

/** The smallest PNG and WAV there are. */
export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA='

const Block = z.strictObject({
  type: z.enum(['text', 'image', 'audio', 'resource']),
  text: z.string().optional(),
  data: z.string().optional(),
  mimeType: z.string().optional(),
  resource: z.strictObject({ uri: z.string(), mimeType: z.string(), text: z.string() }).optional(),
})
type Block = z.infer<typeof Block>

const fixture = (name: string, act: () => Promise<readonly Block[]>): Tool =>
  defineTool({
    name,
    summary: 'Exists in the conformance profile only.',
    domain: 'profile',
    scopes: ['profile:read'],
    input: z.strictObject({}),
    output: z.strictObject({ content: z.array(Block) }),
    effect: read,
    handle: async () => ({ content: [...(await act())] }),
  })

const text = (words: string): Block => ({ type: 'text', text: words })
const image: Block = { type: 'image', data: PNG, mimeType: 'image/png' }
const showing = (name: string, ...content: Block[]): Tool => fixture(name, async () => content)

/** Their conversation with the client is profile/rounds.ts. */
const CONVERSING = [
  'test_missing_capability',
  'test_streaming_elicitation',
  'test_input_required_result_elicitation',
  'test_input_required_result_sampling',
  'test_input_required_result_list_roots',
  'test_input_required_result_request_state',
  'test_input_required_result_multiple_inputs',
  'test_input_required_result_multi_round',
  'test_input_required_result_tampered_state',
  'test_input_required_result_capabilities',
]

/** `changeTools` makes the caller's own list of tools another one, by the operator's hand. */
export const fixtureTools = (changeTools: () => Promise<void>): readonly Tool[] => [
  showing('test_simple_text', text('This is a simple text response for testing.')),
  showing('test_image_content', image),
  showing('test_audio_content', { type: 'audio', data: WAV, mimeType: 'audio/wav' }),
  showing('test_embedded_resource', {
    type: 'resource',
    resource: {
      uri: 'test://embedded-resource',
      mimeType: 'text/plain',
      text: 'This is an embedded resource content.',
    },
  }),
  showing('test_multiple_content_types', text('Multiple content types test:'), image, {
    type: 'resource',
    resource: {
      uri: 'test://mixed-content-resource',
      mimeType: 'application/json',
      text: '{"test":"data","value":123}',
    },
  }),
  showing('test_tool_with_logging', text('Tool with logging executed successfully')),
  showing('test_logging_tool', text('Logging evaluated')),
  showing('test_tool_with_progress', text('Tool with progress executed successfully')),
  defineTool({
    name: 'test_error_handling',
    summary: 'Exists in the conformance profile only.',
    domain: 'profile',
    scopes: ['profile:read'],
    input: z.strictObject({}),
    output: z.strictObject({}),
    effect: read,
    handle: async (context) =>
      context.refuse(deny('CONFLICT', { detail: 'This tool intentionally returns an error for testing' })),
  }),
  fixture('test_trigger_tool_change', async () => {
    await changeTools()
    return [text('Mutation triggered')]
  }),
  ...CONVERSING.map((name) => showing(name, text('Done'))),
]
