// The account as its owner sees it.
import { z } from 'zod'
import { AccountId } from '@bailiwick/kernel/ids'
import { defineTool, read } from '../../define-tool.ts'
import { iso } from '../../undo-window.ts'

export default defineTool({
  name: 'get_profile',
  summary: 'Shows your account: name, tier and since when, time zone, creation time.',
  domain: 'profile',
  scopes: ['profile:read'],
  input: z.strictObject({}),
  output: z.strictObject({
    account_id: AccountId,
    name: z.string(),
    tier: z.string(),
    tier_since: z.string(),
    time_zone: z.string(),
    created_at: z.string(),
  }),
  effect: read,
  async handle(context) {
    const { account } = await context.describe()
    return {
      account_id: account.id,
      name: account.name,
      tier: account.tier,
      tier_since: iso(account.tier_since),
      time_zone: account.time_zone,
      created_at: iso(account.created_at),
    }
  },
})
