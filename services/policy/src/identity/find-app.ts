// An app's standing with its account, by what a verified access token says.
import { appPrincipal, Principal } from '@bailiwick/kernel/ids'
import { toAccountFacts, type AccountFacts, type AccountRow, type Current, type TokenFacts } from '../checks/facts.ts'
import type { Database } from '../database.ts'
import type { AccessToken } from './verify-access-token.ts'

/** Of one person, client and session: what all their tokens have in common. */
export type AppStanding = {
  readonly account: AccountFacts
  readonly state: TokenFacts['state']
  readonly notBefore: number | null
}

export async function loadApp(database: Database, { sub, client, session }: AccessToken): Promise<AppStanding | null> {
  const [row] = await database.query<AccountRow & { state: TokenFacts['state']; not_before: Date | null }>(
    'SELECT * FROM policy.find_app($1, $2, $3)',
    [sub, client, session],
  )
  if (!row) return null
  return { state: row.state, notBefore: row.not_before?.getTime() ?? null, account: toAccountFacts(row) }
}

/** The facts of one token, from its app's standing. */
export function currentOf(
  grant: AccessToken,
  app: AppStanding,
  switches: { killed: boolean; isFresh: boolean },
): Current {
  const principal = Principal.parse(appPrincipal(grant.sub, grant.client))
  return {
    killed: switches.killed,
    account: app.account,
    token: {
      id: principal,
      principal,
      name: grant.client,
      granted: grant.scopes,
      scopes: grant.effective,
      state: app.state,
      expiresAt: grant.expiresAt,
      addresses: null,
      user: grant.sub,
      client: grant.client,
      grant: {
        issuedAt: grant.issuedAt,
        session: grant.session,
        notBefore: app.notBefore,
        isFresh: switches.isFresh,
      },
    },
  }
}
