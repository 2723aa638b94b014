// One stack for all stack tests of a run: started by global-setup.ts, ended by global-teardown.ts.
import { Stack } from './support.ts'

export const sharedStack = (): Stack =>
  new Stack(Number(process.env['TEST_STACK_PORT_BASE']), process.env['TEST_STACK_STATE'])

export type Account = { id: string; token: string; tokenId: string }

/** A fresh account at tier `full` with a token of all scopes. */
export async function freshAccount(
  stack: Stack,
  name: string,
  options: { tier?: string; scopes?: string } = {},
): Promise<Account> {
  const account = await stack.admin<{ id: string }>('accounts', 'create', '--name', name)
  await stack.admin('accounts', 'tier', '--account', account.id, '--tier', options.tier ?? 'full', '--reason', 'a test')
  return { id: account.id, ...(await freshToken(stack, account.id, options.scopes)) }
}

export async function freshToken(
  stack: Stack,
  accountId: string,
  scopes = 'admin',
): Promise<{ token: string; tokenId: string }> {
  const made = await stack.admin<{ id: string; token: string }>(
    'tokens',
    'create',
    '--account',
    accountId,
    '--name',
    'test',
    '--scopes',
    scopes,
  )
  return { token: made.token, tokenId: made.id }
}
