// The first personal token, shown once, on the run that makes it (connection.ts).
import { existsSync } from 'node:fs'
import { PRESETS } from '@bailiwick/contracts/scopes'
import { writeWhole } from '../embedded/files.ts'
import { inState, type Layout } from '../embedded/layout.ts'
import { connectAdmin, ensureDemoAccount, explainFault } from './admin-client.ts'

const NAME = 'first token'

/** The token, or null when an earlier run made it. */
export async function makeFirstToken(layout: Layout): Promise<string | null> {
  const marker = inState.firstToken(layout.state)
  if (existsSync(marker)) return null
  const admin = connectAdmin(layout)
  try {
    const account = await ensureDemoAccount(admin)
    // A run that was cut off before it wrote the marker may have made one that nobody saw.
    const { tokens } = await admin.tokens_list({ account })
    for (const token of tokens)
      if (token.name === NAME && token.state === 'active')
        await admin.tokens_revoke({ id: token.id, reason: 'first start was cut off: this token was shown to nobody' })
    const { id, token } = await admin.tokens_create({ account, name: NAME, scopes: [...PRESETS.admin] })
    writeWhole(marker, `${JSON.stringify({ account, token_id: id })}\n`, 0o600)
    return token
  } catch (error) {
    throw explainFault(error)
  } finally {
    admin.close()
  }
}
