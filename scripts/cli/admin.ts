// ./bailiwick admin: finds the act, checks its options, prints what it answers.
import { AccountId } from '@bailiwick/kernel/ids'
import { readLayout } from '../embedded/config.ts'
import { PlainError } from '../embedded/plain-error.ts'
import { ACTS } from './admin-acts.ts'
import { connectAdmin, explainFault, type Admin } from './admin-client.ts'
import { OPTIONS, type OptionName, type TextOption } from './admin-options.ts'
import { explainRealmFault } from './realm-client.ts'
import { readOptions, print, usageError, type Command } from './command.ts'

const HELP = `
usage: ./bailiwick admin ACT [OPTIONS] [--json]

  accounts list
  accounts create --name NAME [--time-zone ZONE]
  accounts tier --account ACCOUNT --tier none|sandbox|beta|full --reason WHY
  kill on|off --reason WHY                the kill switch: on, every call is refused at once
  kill status
  freeze on|off --account ACCOUNT [--resource ID] --reason WHY      read-only: one account, or one resource of it
  freeze list
  tokens create --account ACCOUNT --name NAME [--scopes read|standard|admin|SCOPE,SCOPE... (standard)] [--days 90] [--address CIDR]...
  tokens list [--account ACCOUNT]
  tokens pause|resume|revoke ID --reason WHY
  tokens revoke --seen-since TIME [--account ACCOUNT] --reason WHY  all that were used since a break-in
  members invite --account ACCOUNT --email ADDRESS [--name NAME] [--role owner|member (owner)] [--reason WHY]
                                          makes the sign-in; shows a temporary password once; run again, it goes on
  members list [--account ACCOUNT]
  members reset --email ADDRESS | --sub PERSON --reason WHY         lost phone or password: everything is set up anew
  members remove --email ADDRESS | --sub PERSON --reason WHY        their apps and tokens are refused at once
  apps list [--account ACCOUNT]           what people have connected and used
  apps pause|resume|revoke --app APP --reason WHY                   revoked: until the person consents to it anew
  apps revoke-client --client CLIENT --reason WHY                   the same for everybody who connected this client
  operations [--account ACCOUNT] [--limit 50]
  restore-database --account ACCOUNT --database ID --to TIME --name NEW-NAME --reason WHY
                                          as it was at that second, into a new database; the old one is not touched

ACCOUNT is an account's id or its name; APP and PERSON as the lists show them. TIME is ISO 8601 with an offset, such as 2026-03-01T14:30:00Z.
The acts go to policy over a socket that only root can open, and are recorded in the audit log before they take effect.
`

export const admin: Command = {
  summary: 'accounts, people, apps, tiers, kill switch, freeze, tokens, restore a database',
  help: HELP,
  async run(args) {
    const { values, positionals } = readOptions('admin', args, OPTIONS)
    const words = [positionals.slice(0, 2).join(' '), positionals[0] ?? ''].find((text) => Object.hasOwn(ACTS, text))
    if (words === undefined)
      throw usageError(
        positionals.length === 0
          ? 'admin needs to be told what to do: ./bailiwick help admin'
          : `there is no act "${positionals.join(' ')}": ./bailiwick help admin`,
      )
    const act = ACTS[words]!
    const [id, ...more] = positionals.slice(words.split(' ').length)
    if (more.length > 0 || (id !== undefined && act.takesId !== true))
      throw usageError(`"${more[0] ?? id}" is one word too many: ./bailiwick help admin`)
    const strange = (Object.keys(values) as OptionName[]).find((name) => name !== 'json' && !act.takes.includes(name))
    if (strange) throw usageError(`"${words}" takes no --${strange}: ./bailiwick help admin`)

    const layout = readLayout()
    const client = connectAdmin(layout)
    const find = (name: TextOption): string | undefined => values[name]
    const need = (name: TextOption): string => {
      const value = find(name)
      if (value === undefined) throw usageError(`"${words}" needs --${name}: ./bailiwick help admin`)
      return value
    }
    const account = (): Promise<AccountId> => findAccount(client, need('account'))
    try {
      const shown = await act.run({
        layout,
        admin: client,
        id,
        find,
        need,
        account,
        addresses: values.address ?? [],
        accountIfGiven: async () => (values.account === undefined ? null : account()),
      })
      if (values.json) print(JSON.stringify(shown.data, null, 2))
      else for (const line of shown.lines) print(line)
      return 0
    } catch (error) {
      throw explainRealmFault(explainFault(error))
    } finally {
      client.close()
    }
  },
}

async function findAccount(client: Admin, text: string): Promise<AccountId> {
  const byId = AccountId.safeParse(text)
  if (byId.success) return byId.data
  const named = (await client.accounts_list({})).accounts.filter(({ name }) => name === text)
  if (named.length === 1) return named[0]!.id
  throw new PlainError(
    named.length === 0
      ? `there is no account "${text}": ./bailiwick admin accounts list`
      : `${named.length} accounts are called "${text}": use the id`,
  )
}
