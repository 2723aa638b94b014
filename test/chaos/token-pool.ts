// Tokens for load: each stays below its window of 60 calls in 60 s, because the guards are on in every test.
import type { adminDoor } from '@bailiwick/contracts/doors/policy'
import { PRESETS } from '@bailiwick/contracts/scopes'
import type { Client } from '@bailiwick/kernel/door'
import type { AccountId } from '@bailiwick/kernel/ids'

const USES = 50

export type PooledToken = { use(): string; spent(): boolean }

export class TokenPool {
  readonly admin: Client<typeof adminDoor>
  private readonly current = new Map<AccountId, PooledToken>()

  constructor(admin: Client<typeof adminDoor>) {
    this.admin = admin
  }

  /** A token of the account with calls left; a new one when the last is nearly used up. Waits while policy is down. */
  async take(account: AccountId): Promise<PooledToken> {
    const present = this.current.get(account)
    if (present && !present.spent()) return present
    for (;;) {
      try {
        const made = await this.admin.tokens_create({ account, name: 'load', scopes: [...PRESETS.admin] })
        let uses = 0
        const token = {
          use: () => {
            uses += 1
            return made.token
          },
          spent: () => uses >= USES,
        }
        this.current.set(account, token)
        return token
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 300))
      }
    }
  }
}
