// An app's standing with its account, by what a verified access token says; and its row, made at its first call.
import { AccountId, Principal } from '@bailiwick/kernel/ids'
import type { AccountFacts, Current, TokenFacts } from '../checks/facts.ts'
import type { Database } from '../database.ts'
import type { Tier } from '../rules.ts'
import type { AccessToken } from './verify-access-token.ts'

/** What a permit keeps of a token: enough to ask later whether it still stands. */
export type Grant = AccessToken

/** Of one person, client and session: what all their tokens have in common. */
export type AppStanding = {
  readonly account: AccountFacts
  readonly state: TokenFacts['state']
  readonly notBefore: number | null
}

/** As the principal's syntax is (kernel/ids): the sub has no colon, so that two different pairs are never one principal. */
export const principalOf = ({ sub, client }: Pick<Grant, 'sub' | 'client'>): Principal =>
  Principal.parse(`oauth:${sub}:${client}`)

/** The sub and the client of an app's principal; null for any other. */
export function readAppPrincipal(principal: string): { sub: string; client: string } | null {
  const found = /^oauth:([^\s:]+):(\S+)$/.exec(principal)
  return found ? { sub: found[1]!, client: found[2]! } : null
}

export async function loadApp(database: Database, grant: Grant): Promise<AppStanding | null> {
  const [row] = await database.query<{
    account_id: string
    state: TokenFacts['state']
    not_before: Date | null
    account_name: string
    tier: Tier
    frozen: boolean
    frozen_resources: string[]
  }>('SELECT * FROM policy.find_app($1, $2, $3)', [grant.sub, grant.client, grant.session])
  if (!row) return null
  return {
    state: row.state,
    notBefore: row.not_before?.getTime() ?? null,
    account: {
      id: AccountId.parse(row.account_id),
      name: row.account_name,
      tier: row.tier,
      frozen: row.frozen,
      frozenResources: new Set(row.frozen_resources),
    },
  }
}

/** The facts of one token, from its app's standing. */
export function currentOf(grant: Grant, app: AppStanding, switches: { killed: boolean; isFresh: boolean }): Current {
  const principal = principalOf(grant)
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
