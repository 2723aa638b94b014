// What `up` prints when everything answers: where agents and people go, and the shortest way to connect one. The rest is in docs/connect/.
import { ROOT } from '../embedded/config.ts'
import type { StackStatus } from '../embedded/control-socket.ts'
import { DEMO_ACCOUNT } from './admin-client.ts'
import { print } from './command.ts'

/** `token` is shown this once; null when an earlier run showed it. */
export function showConnection(status: StackStatus, token: string | null, seconds: number): void {
  for (const line of connectionLines(status, token, ROOT)) print(line)
  print(`\nUp after ${seconds.toFixed(1)} s. ./bailiwick demo plays an agent; status shows the parts; down stops them.`)
}

/** Short: the token is shown once and must still be on the screen. */
export function connectionLines(status: Pick<StackStatus, 'endpoint' | 'ca_file'>, token: string | null, root: string) {
  const { endpoint, ca_file: ca } = status
  const { origin } = new URL(endpoint)
  const header = '"Authorization: Bearer $BAILIWICK_TOKEN"'
  return [
    '',
    `  agents connect to  ${endpoint}`,
    `  which trusts       ${ca}`,
    `  people sign in at  ${origin}/realms/bailiwick/account/`,
    '',
    'Invite the first person, who then connects agents by signing in (no token to copy):',
    `  ./bailiwick admin members invite --account "${DEMO_ACCOUNT}" --email ADDRESS`,
    '',
    ...(token
      ? [
          `Or with a personal token, here the first of "${DEMO_ACCOUNT}". It is shown only now:`,
          `  export BAILIWICK_TOKEN=${token}`,
        ]
      : [
          'Or with a personal token, which is shown once:',
          `  ./bailiwick admin tokens create --account "${DEMO_ACCOUNT}" --name NAME`,
        ]),
    '',
    'Claude Code, the Inspector, curl (VS Code, Cursor, Codex and others: docs/connect/):',
    // Fetched before our CA is set: the registry may need another one in that variable.
    `  export PATH=${root}/node_modules/.bin:$PATH; npx -y @modelcontextprotocol/inspector@2 --version`,
    `  export NODE_EXTRA_CA_CERTS=${ca}`,
    `  claude mcp add --transport http bailiwick ${endpoint}   # then: claude mcp login bailiwick`,
    `  npx -y --prefer-offline @modelcontextprotocol/inspector@2 --cli ${endpoint} --transport http --header ${header} --method tools/list`,
    `  curl --cacert ${ca} -H ${header} -H 'content-type: application/json' -d '{}' ${origin}/api/v1/tools/whoami`,
  ]
}
