// A permit for one call that a human on the host makes for an account, such as a restore to a point in time.
import type { adminDoor } from '@bailiwick/contracts/doors/policy'
import { inputHash, sealPermit } from '@bailiwick/contracts/permit'
import { deny } from '@bailiwick/contracts/problem'
import { effectiveScopes } from '@bailiwick/contracts/scopes'
import { isJsonObject, sha256Hex } from '@bailiwick/kernel/canonical'
import type { Handlers } from '@bailiwick/kernel/door'
import { OperationId, Principal, uuidv7 } from '@bailiwick/kernel/ids'
import type { Deps } from '../deps.ts'
import { findOperation, insertOperation, type Operation } from '../operations.ts'
import { freshFields } from '../permits.ts'
import { CONFIRM, LIMITS, UNDO, type Tier } from '../rules.ts'
import { OPERATOR, perform, requireAccount } from './act.ts'

type Answers = Handlers<typeof adminDoor>

export function permitHandlers(deps: Deps): Pick<Answers, 'permit'> {
  return {
    async permit({ account, tool: name, input, reason }) {
      await requireAccount(deps, account)
      const tool = deps.catalog.tools.get(name)
      if (!tool) return { ok: false, denial: deny('TOOL_UNKNOWN') }
      if (!isJsonObject(input)) return { ok: false, denial: deny('INPUT_INVALID') }
      // Destroying takes two steps for everybody: this door makes one.
      if (tool.risk === 'destructive' || tool.name === CONFIRM)
        return { ok: false, denial: deny('CONFIRMATION_REQUIRED') }
      const undone = name === UNDO ? await findDeed(deps, account, input['operation_id']) : null
      if (name === UNDO && !undone) return { ok: false, denial: deny('NOT_FOUND') }
      const { scopes, domain, obligations } = undone ?? tool

      const hash = inputHash(input)
      const act = { name: 'permit', kind: 'admin', account, reason, input: { tool: name, input_sha256: hash } } as const
      const { value } = await perform(deps, { ...act, tool: name }, async (requestId) => {
        const now = deps.clock.now()
        const operation: Operation | null =
          tool.risk === 'read'
            ? null
            : {
                id: OperationId.parse(uuidv7(now)),
                tool: name,
                domain,
                scopes,
                obligations,
                createdAt: now,
                undoUntil: now + LIMITS.undoMs,
              }
        const tier = await deps.database.inAccount(account, async (query) => {
          const undoes = undone?.id ?? null
          if (operation)
            await insertOperation(query, { ...operation, account, principal: OPERATOR, inputHash: hash, undoes })
          const [row] = await query<{ tier: Tier }>('SELECT tier FROM policy.accounts WHERE id = $1', [account])
          return row!.tier
        })
        return {
          value: sealPermit(deps.permitKey, {
            ...freshFields(deps),
            account,
            principal: Principal.parse(OPERATOR),
            user: null,
            token_id: sha256Hex(OPERATOR),
            client: null,
            door: 'admin',
            scopes: effectiveScopes(scopes),
            tier,
            tool: name,
            risk: tool.risk,
            input_hash: hash,
            operation_id: operation?.id ?? null,
            bound: null,
            preview_id: null,
            obligations: operation ? [...obligations] : [],
            undo_until: operation?.undoUntil ?? null,
            address: 'local',
            agent: 'bailiwick admin',
            request_id: requestId,
            idempotency_key: null,
          }),
        }
      })
      return { ok: true, permit: value }
    },
  }
}

async function findDeed(deps: Deps, account: string, operationId: unknown): Promise<Operation | null> {
  const id = OperationId.safeParse(operationId)
  return id.success ? deps.database.inAccount(account, (query) => findOperation(query, id.data)) : null
}
