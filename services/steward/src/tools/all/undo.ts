// Reverses an earlier operation. The pipeline does it (src/undo.ts): the deed decides what is captured, compared and changed.
import { z } from 'zod'
import { OperationId } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import { defineTool } from '../../define-tool.ts'

const notHere = (): never => {
  throw new Fault('INTERNAL', 'undo is planned from its deed')
}

export default defineTool({
  name: 'undo',
  summary:
    'Reverses an earlier operation of this account, if nothing it touched was changed since; never overwrites silently. Needs the scopes of that operation. Can itself be undone.',
  domain: 'all',
  scopes: [],
  input: z.strictObject({ operation_id: OperationId.describe('From the `undo` of an answer, or from list_trash.') }),
  output: z.strictObject({
    undone: z.string().describe('The operation that was reversed.'),
    tool: z.string().describe('The tool of that operation.'),
  }),
  keep: ['operation_id'],
  effect: { kind: 'exact', capture: async () => notHere(), undo: async () => notHere() },
  handle: async () => notHere(),
})
