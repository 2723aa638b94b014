// Connection and statement-time limits of a database's login role.
import { z } from 'zod'
import type { ToolContext } from '../../context.ts'
import { defineTool, exact } from '../../define-tool.ts'
import { DatabaseId, KIND, Limits } from './shape.ts'

const Input = z.strictObject({ database_id: DatabaseId, limits: Limits })
type LimitsState = { limits: z.output<typeof Limits> | null }

async function capture({ keeper }: ToolContext, { database_id }: z.output<typeof Input>): Promise<LimitsState> {
  const { state, limits } = await keeper.describe_database({ database_id })
  // In the trash it has limits too; null makes an undo conflict there.
  return { limits: state === 'active' ? limits : null }
}

const Output = z.strictObject({ limits: Limits })

export default defineTool({
  name: 'set_database_limits',
  summary:
    'Sets how many connections a database takes and how long a statement may run. Returns the limits now in force.',
  domain: 'databases',
  scopes: ['databases:write'],
  input: Input,
  output: Output,
  keep: ['database_id', 'limits'],
  resources: { database_id: KIND },
  effect: exact<z.output<typeof Input>, z.output<typeof Output>, LimitsState>({
    capture,
    async undo({ keeper }, { database_id }, { limits }) {
      // Only an active database's limits are changed, so there were some.
      if (limits) await keeper.set_database_limits({ database_id, limits })
    },
  }),
  async handle(context, input) {
    await context.keeper.set_database_limits(input)
    return { limits: input.limits }
  },
})
