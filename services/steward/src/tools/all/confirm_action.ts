// Completes any previewed action. Policy finds the preview by its token and permits the tool that was previewed, with the input
// that was previewed: this tool itself is never run.
import { z } from 'zod'
import { Fault } from '@bailiwick/kernel/result'
import { defineTool } from '../../define-tool.ts'

const notHere = (): never => {
  throw new Fault('INTERNAL', 'a confirmation is permitted as the tool that it confirms')
}

export default defineTool({
  name: 'confirm_action',
  summary:
    'Carries out what a preview tool showed, after the user said yes to its impact. Needs the scopes of the previewed tool and returns its answer.',
  domain: 'all',
  scopes: [],
  risk: 'destructive',
  input: z.strictObject({
    preview_token: z.string().max(200).describe('From the preview tool, at most 10 minutes old.'),
    confirm: z.boolean().describe('True, once the user has seen the impact and said yes.'),
  }),
  output: z.looseObject({}),
  effect: {
    kind: 'recoverable',
    capture: async () => notHere(),
    snapshot: async () => notHere(),
    undo: async () => notHere(),
  },
  handle: async () => notHere(),
})
