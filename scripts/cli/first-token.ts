// The first personal token, shown once, on the run that makes it; and the lines that connect an agent.
import { ROOT } from '../embedded/config.ts'
import { existsSync } from 'node:fs'
import { PRESETS } from '@bailiwick/contracts/scopes'
import type { StackStatus } from '../embedded/control-socket.ts'
import { writeWhole } from '../embedded/files.ts'
import { inState, type Layout } from '../embedded/layout.ts'
import { connectAdmin, DEMO_ACCOUNT, ensureDemoAccount, explainFault } from './admin-client.ts'
import { print } from './command.ts'

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

export function showConnection(status: StackStatus, token: string | null, seconds: number): void {
  const { endpoint, ca_file: ca } = status
  const rest = endpoint.replace(/\/mcp$/, '/api/v1/tools/whoami')
  print(`\nBailiwick is up (${seconds.toFixed(1)} s).\n`)
  print(`  agents connect to   ${endpoint}`)
  print(`  which trusts        ${ca}`)
  if (token) {
    print(`\nThe first personal token, of "${DEMO_ACCOUNT}" (tier beta). It is shown only now:\n`)
    print(`  export BAILIWICK_TOKEN=${token}`)
  } else {
    print(`\nA token (shown once):\n`)
    print(`  ./bailiwick admin tokens create --account "${DEMO_ACCOUNT}" --name NAME`)
    print(`  export BAILIWICK_TOKEN=mpt_...`)
  }
  const header = '"Authorization: Bearer $BAILIWICK_TOKEN"'
  print('\nClaude Code:\n')
  print(`  export NODE_EXTRA_CA_CERTS=${ca}`)
  print(`  claude mcp add --transport http bailiwick ${endpoint} --header ${header}`)
  print(
    '\nThe MCP Inspector (Node 22.19 or newer, such as the one that Bailiwick brought; the second line fetches it):\n',
  )
  print(`  export PATH=${ROOT}/node_modules/.bin:$PATH`)
  print('  npx -y @modelcontextprotocol/inspector@2 --version')
  print(`  NODE_EXTRA_CA_CERTS=${ca} npx @modelcontextprotocol/inspector@2 --cli ${endpoint} \\`)
  print(`    --transport http --header ${header} --method tools/list`)
  print('\ncurl:\n')
  print(`  curl --cacert ${ca} ${rest} \\`)
  print(`    -H ${header} -H 'content-type: application/json' -d '{}'`)
  print('\n./bailiwick demo plays an agent; ./bailiwick status shows the parts; ./bailiwick down stops them.')
}
