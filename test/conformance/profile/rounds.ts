// The fixture tools that ask the client for something before they answer (SEP-2322): what each asks in which round. The call itself
// went through the pipeline in every round; here is only the conversation.
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  INVALID_PARAMS,
  inputRequired,
  ProtocolError,
  type ClientCapabilities,
  type InputRequests,
  type InputRequiredResult,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { randomBytes } from 'node:crypto'

type State = { tool: string; round: number; salt: string }

/** Seals what the client carries from round to round. */
const codec = createRequestStateCodec<State>({ key: randomBytes(32) })

const ask = (message: string, field: string, answer: { type: 'string' } | { type: 'boolean' } = { type: 'string' }) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [field]: answer }, required: [field] },
  })
const sample = (words: string, maxTokens: number) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: words } }], maxTokens })

/** Either what to ask for next, or the words of the final answer. */
type Turn = InputRequiredResult | string
type Talk = (tool: string, context: ServerContext) => Turn | Promise<Turn>

const responseOf = (context: ServerContext, key: string): unknown => context.mcpReq.inputResponses?.[key]
/** What an earlier round of this tool sealed; a changed byte, or another tool's state, is refused. */
async function stateOf(tool: string, context: ServerContext): Promise<State | undefined> {
  const carried = context.mcpReq.requestState()
  if (carried === undefined) return undefined
  const state = typeof carried === 'string' ? await codec.verify(carried, context).catch(() => null) : null
  if (state?.tool !== tool) throw new ProtocolError(INVALID_PARAMS, 'Invalid or expired requestState')
  return state
}
const withState = async (tool: string, round: number, inputRequests: InputRequests): Promise<InputRequiredResult> =>
  inputRequired({
    inputRequests,
    requestState: await codec.mint({ tool, round, salt: randomBytes(8).toString('hex') }),
  })

/** Asks once, with state; then answers when state and response came back. */
const stateful =
  (words: string): Talk =>
  async (tool, context) =>
    (await stateOf(tool, context)) && acceptedContent(context.mcpReq.inputResponses, 'confirm')
      ? words
      : withState(tool, 1, { confirm: ask('Please confirm', 'ok', { type: 'boolean' }) })

export const TALKS: Readonly<Record<string, Talk>> = {
  // Asks although the client did not say that it can: the SDK refuses to send that (-32021).
  test_missing_capability: () =>
    inputRequired({ inputRequests: { missing: sample('A client that cannot sample must not be asked', 10) } }),
  test_input_required_result_elicitation: (_tool, context) => {
    const name = acceptedContent<{ name?: unknown }>(context.mcpReq.inputResponses, 'user_name')?.name
    return typeof name === 'string'
      ? `Hello, ${name}!`
      : inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } })
  },
  test_input_required_result_sampling: (_tool, context) =>
    responseOf(context, 'capital_question') === undefined
      ? inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?', 100) } })
      : `The client's model said: ${JSON.stringify(responseOf(context, 'capital_question'))}`,
  test_input_required_result_list_roots: (_tool, context) =>
    responseOf(context, 'client_roots') === undefined
      ? inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
      : `The client's roots: ${JSON.stringify(responseOf(context, 'client_roots'))}`,
  test_input_required_result_request_state: stateful('state-ok'),
  test_input_required_result_tampered_state: stateful('integrity-ok'),
  test_input_required_result_multiple_inputs: async (tool, context) => {
    const keys = ['user_name', 'greeting', 'client_roots']
    if ((await stateOf(tool, context)) && keys.every((key) => responseOf(context, key) !== undefined))
      return 'All three came.'
    return withState(tool, 1, {
      user_name: ask('What is your name?', 'name'),
      greeting: sample('Generate a greeting', 50),
      client_roots: inputRequired.listRoots(),
    })
  },
  test_input_required_result_multi_round: async (tool, context) => {
    const round = (await stateOf(tool, context))?.round
    const answered = acceptedContent(context.mcpReq.inputResponses, `step${round}`) !== undefined
    if (round === 2 && answered) return 'Both rounds are done.'
    if (round === 1 && answered)
      return withState(tool, 2, { step2: ask('Step 2: What is your favorite color?', 'color') })
    return withState(tool, 1, { step1: ask('Step 1: What is your name?', 'name') })
  },
  test_input_required_result_capabilities: (_tool, context) => {
    const declared = context.mcpReq.envelope as Readonly<Record<string, ClientCapabilities>> | undefined
    const can = declared?.[CLIENT_CAPABILITIES_META_KEY] ?? {}
    if (Object.keys(context.mcpReq.inputResponses ?? {}).length > 0) return 'The client answered.'
    const inputRequests: InputRequests = {
      ...(can.elicitation ? { elicit_input: ask('Elicitation input', 'value') } : {}),
      ...(can.sampling ? { sample_input: sample('Sample request', 50) } : {}),
    }
    return Object.keys(inputRequests).length > 0 ? inputRequired({ inputRequests }) : 'The client can answer nothing.'
  },
}
