// The resources and prompts that the suite reads.
import { acceptedContent, inputRequired, ProtocolError, INVALID_PARAMS } from '@modelcontextprotocol/server'
import type {
  GetPromptResult,
  InputRequiredResult,
  Prompt,
  PromptMessage,
  ReadResourceResult,
  Resource,
  ResourceTemplateType,
  ServerContext,
} from '@modelcontextprotocol/server'
import { PNG } from './tools.ts'

export const RESOURCES: readonly Resource[] = [
  {
    uri: 'test://static-text',
    name: 'static-text',
    description: 'A static text resource for testing',
    mimeType: 'text/plain',
  },
  {
    uri: 'test://static-binary',
    name: 'static-binary',
    description: 'A static binary resource for testing',
    mimeType: 'image/png',
  },
  {
    uri: 'test://watched-resource',
    name: 'watched-resource',
    description: 'A resource to subscribe to',
    mimeType: 'text/plain',
  },
]
export const TEMPLATES: readonly ResourceTemplateType[] = [
  {
    uriTemplate: 'test://template/{id}/data',
    name: 'template',
    description: 'A resource template for testing',
    mimeType: 'application/json',
  },
]

/** Null: not one of ours. */
export function readFixture(uri: string): ReadResourceResult | null {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1]
  if (id !== undefined) {
    const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` })
    return { contents: [{ uri, mimeType: 'application/json', text: data }] }
  }
  if (uri === 'test://static-text')
    return { contents: [{ uri, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }] }
  if (uri === 'test://static-binary') return { contents: [{ uri, mimeType: 'image/png', blob: PNG }] }
  if (uri === 'test://watched-resource')
    return { contents: [{ uri, mimeType: 'text/plain', text: 'Watched resource content' }] }
  return null
}

const argument = (name: string, description: string) => ({ name, description, required: true })
export const PROMPTS: readonly Prompt[] = [
  { name: 'test_simple_prompt', description: 'A simple prompt without arguments' },
  {
    name: 'test_prompt_with_arguments',
    description: 'A prompt with required arguments',
    arguments: [argument('arg1', 'First test argument'), argument('arg2', 'Second test argument')],
  },
  {
    name: 'test_prompt_with_embedded_resource',
    description: 'A prompt that includes an embedded resource',
    arguments: [argument('resourceUri', 'URI of the resource to embed')],
  },
  { name: 'test_prompt_with_image', description: 'A prompt that includes image content' },
  { name: 'test_input_required_result_prompt', description: 'A prompt that asks for its context first' },
]

const say = (...contents: PromptMessage['content'][]): GetPromptResult => ({
  messages: contents.map((content) => ({ role: 'user', content })),
})
const words = (text: string) => ({ type: 'text' as const, text })

/** Null: not one of ours. */
export function getFixture(
  name: string,
  args: Readonly<Record<string, string>>,
  context: ServerContext,
): GetPromptResult | InputRequiredResult | null {
  const given = (field: string): string => {
    const value = args[field]
    if (value === undefined) throw new ProtocolError(INVALID_PARAMS, `${field} is missing`)
    return value
  }
  switch (name) {
    case 'test_simple_prompt':
      return say(words('This is a simple prompt for testing.'))
    case 'test_prompt_with_arguments':
      return say(words(`Prompt with arguments: arg1='${given('arg1')}', arg2='${given('arg2')}'`))
    case 'test_prompt_with_embedded_resource':
      return say(
        {
          type: 'resource',
          resource: {
            uri: given('resourceUri'),
            mimeType: 'text/plain',
            text: 'Embedded resource content for testing.',
          },
        },
        words('Please process the embedded resource above.'),
      )
    case 'test_prompt_with_image':
      return say({ type: 'image', data: PNG, mimeType: 'image/png' }, words('Please analyze the image above.'))
    case 'test_input_required_result_prompt': {
      const known = acceptedContent<{ context?: unknown }>(context.mcpReq.inputResponses, 'user_context')?.context
      if (typeof known === 'string') return say(words(`Prompt with context: ${known}`))
      const requestedSchema = {
        type: 'object' as const,
        properties: { context: { type: 'string' as const } },
        required: ['context'],
      }
      const message = 'What context should the prompt use?'
      return inputRequired({
        inputRequests: { user_context: inputRequired.elicit({ message, requestedSchema }) },
      })
    }
    default:
      return null
  }
}
