// Who calls: the token's effective scopes, the account's tier, what is left of the day.
import { z } from 'zod'
import { AccountId } from '@bailiwick/kernel/ids'
import { defineTool, read } from '../../define-tool.ts'
import { iso } from '../../undo-window.ts'

const time = z.string().nullable()

export default defineTool({
  name: 'whoami',
  summary:
    'Shows your account and tier, your token’s effective scopes, its expiry and last use, and the day’s limit of changes.',
  domain: 'profile',
  scopes: ['profile:read'],
  input: z.strictObject({}),
  output: z.strictObject({
    account: z.strictObject({ id: AccountId, name: z.string() }),
    tier: z.string().describe('none, sandbox (read only), beta (daily limit) or full.'),
    scopes: z.array(z.string()).describe('With what they imply.'),
    token: z.strictObject({
      name: z.string(),
      principal: z.string(),
      expires_at: time,
      last_used_at: time,
    }),
    limits: z.strictObject({
      changes_today: z.number().int(),
      changes_per_day: z.number().int().nullable().describe('UTC day; null: no limit.'),
      changes_left_today: z.number().int().nullable(),
    }),
  }),
  effect: read,
  async handle(context) {
    const { account, token } = await context.describe()
    const { changes_today, changes_per_day } = account
    return {
      account: { id: account.id, name: account.name },
      tier: account.tier,
      scopes: context.permit.scopes,
      token: {
        name: token.name,
        principal: context.permit.principal,
        expires_at: token.expires_at === null ? null : iso(token.expires_at),
        last_used_at: token.last_used_at === null ? null : iso(token.last_used_at),
      },
      limits: {
        changes_today,
        changes_per_day,
        changes_left_today: changes_per_day === null ? null : Math.max(0, changes_per_day - changes_today),
      },
    }
  },
})
