// What an undo would do now, without doing it.
import { z } from 'zod'
import { OperationId } from '@bailiwick/kernel/ids'
import { defineTool, read } from '../../define-tool.ts'
import { UntrustedJson } from '../../untrusted.ts'

export default defineTool({
  name: 'preview_undo',
  summary:
    'Compares the present with what an operation left and says whether undo would work now, and what stands in its way. Changes nothing.',
  domain: 'all',
  scopes: [],
  input: z.strictObject({ operation_id: OperationId }),
  output: z.strictObject({
    possible: z.boolean(),
    would: z.string(),
    conflicts: z
      .array(UntrustedJson)
      .describe('What was changed since: path, what the operation left, what is there now.'),
    undo_until: z.string(),
  }),
  keep: ['operation_id'],
  effect: read,
  handle: ({ journal }, { operation_id }) => journal.previewUndo(operation_id),
})
