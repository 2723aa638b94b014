// ./bailiwick demo, bench, generate: hands over to their own programs.
import { existsSync } from 'node:fs'
import { readLayout, ROOT } from '../embedded/config.ts'
import { askStatus } from '../embedded/control-socket.ts'
import { PlainError } from '../embedded/plain-error.ts'
import { requireRoot } from '../embedded/preflight.ts'
import { PRESETS } from '@bailiwick/contracts/scopes'
import { connectAdmin, DEMO_ACCOUNT, explainFault, findDemoAccount } from './admin-client.ts'
import { print, readOptions, type Command } from './command.ts'
import { playDemo } from './demo.ts'
import { runProgram } from './run-program.ts'

export const demo: Command = {
  summary: 'plays an agent that creates, changes, deletes and restores',
  help: `
usage: ./bailiwick demo

A real MCP client connects through nginx with a token of its own (revoked at the end) in the demo account, works, makes
mistakes, undoes them, and tries what it may not do. Prints what happens; fails if anything is not as promised.
`,
  async run(args) {
    readOptions('demo', args, {})
    requireRoot('demo')
    const layout = readLayout()
    const status = await askStatus(layout.state)
    if (!status) throw new PlainError('Bailiwick is not running: ./bailiwick up')
    const admin = connectAdmin(layout)
    try {
      const account = await findDemoAccount(admin)
      if (!account)
        throw new PlainError(`there is no account "${DEMO_ACCOUNT}": ./bailiwick up makes it at its first run`)
      if (account.tier === 'none' || account.tier === 'sandbox')
        throw new PlainError(
          `the demo account is at tier ${account.tier}: ./bailiwick admin accounts tier --account "${DEMO_ACCOUNT}" --tier beta --reason WHY`,
        )
      const { id, token } = await admin.tokens_create({
        account: account.id,
        name: 'demo',
        scopes: [...PRESETS.admin],
        expires_in_days: 1,
      })
      try {
        await playDemo({ endpoint: status.endpoint, caFile: status.ca_file, token, print })
        return 0
      } catch (error) {
        throw new PlainError(`the demo failed: ${error instanceof Error ? error.message : String(error)}`)
      } finally {
        await admin.tokens_revoke({ id, reason: 'the demo is over' })
      }
    } catch (error) {
      throw explainFault(error)
    } finally {
      admin.close()
    }
  },
}

const program = (name: string, file: string, summary: string, help: string): Command => ({
  summary,
  help,
  async run(args) {
    if (!existsSync(`${ROOT}/${file}`))
      throw new PlainError(`"${name}" is not part of this checkout (${file} is missing)`)
    return runProgram(process.execPath, [`${ROOT}/${file}`, ...args])
  },
})

export const generate = program(
  'generate',
  'scripts/docs/generate.ts',
  'writes the generated documents and the catalog anew',
  `
usage: ./bailiwick generate [--check]

--check writes nothing and fails when something is not fresh.
`,
)
