// Makes a tool's context: everything in it is already this account's and this operation's.
import { isCode } from '@bailiwick/contracts/codes'
import { keeperDoor, type KeeperRefusal } from '@bailiwick/contracts/doors/keeper'
import { deny } from '@bailiwick/contracts/problem'
import { Fault } from '@bailiwick/kernel/result'
import type { z } from 'zod'
import type { Binding } from './binding.ts'
import { Refused, type BoundKeeper, type ToolContext } from './context.ts'
import type { Deps } from './deps.ts'
import { listTrash, viewOperation } from './operations.ts'
import { bindResources, listZoneVersions, readZoneVersion } from './resources.ts'
import { previewUndo } from './undo.ts'
import { untrustedJson } from './untrusted.ts'

export function bindContext(deps: Deps, binding: Binding): ToolContext {
  const { database } = deps
  const { permit } = binding.sealed
  const { account } = permit
  const now = deps.clock.now()
  return {
    account,
    permit,
    operationId: binding.operationId,
    newResourceId: binding.newResourceId,
    now,
    keeper: bindKeeper(deps, binding),
    resources: bindResources(database, { account, now, loaded: binding.loaded, changes: binding.changes }),
    zones: {
      versions: (zoneId, page) => listZoneVersions(database, account, zoneId, page),
      version: (zoneId, version) => readZoneVersion(database, account, zoneId, version),
      record(zoneId, recordSets) {
        if (!binding.changes) throw new Fault('INTERNAL', 'zones change in handle and undo only')
        binding.changes.zones.push({ zoneId, recordSets })
      },
    },
    journal: {
      operation: (id) => viewOperation(deps, permit, id),
      trash: (page) => listTrash(deps, permit, page),
      previewUndo: (id) => previewUndo(deps, (more) => bindContext(deps, more), binding.sealed, id),
    },
    describe: () => deps.policy.describe({ permit: binding.sealed }),
    activity: (query) => deps.audit.query({ account, ...query }),
    refuse(denial) {
      throw new Refused(denial)
    },
  }
}

const isChange = (input: z.ZodType): boolean => 'shape' in input && 'operation_id' in (input.shape as object)
/** Found once: which verbs change something, and so are stamped with the operation. */
const VERBS = Object.entries(keeperDoor.routes).map(([verb, { input }]) => ({ verb, changes: isChange(input) }))

/** The keeper with account and operation filled in. A verb that changes is out of reach where only looking is due. */
function bindKeeper({ keeper }: Deps, binding: Binding): BoundKeeper {
  const { account } = binding.sealed.permit
  const bound: { [verb: string]: (input: object) => Promise<{ ok: true }> } = {}
  for (const { verb, changes } of VERBS) {
    bound[verb] = async (input) => {
      if (changes && !binding.mayChange) throw new Fault('INTERNAL', `${verb} while only looking is due`)
      const send = keeper[verb as keyof typeof keeper] as (input: object) => Promise<{ ok: true } | KeeperRefusal>
      // The account and the operation come last: no input of a tool can stand in for them.
      const reply = await send({
        ...input,
        account_id: account,
        ...(changes ? { operation_id: binding.operationId } : {}),
      })
      if (reply.ok) return reply
      throw toRefusal(verb, reply)
    }
  }
  return bound as unknown as BoundKeeper
}

function toRefusal(verb: string, { code, detail, conflicts }: KeeperRefusal): Error {
  if (!isCode(code)) return new Fault('INTERNAL', `keeper refused ${verb} with ${code}`)
  return new Refused(
    deny(code, {
      detail: detail.slice(0, 2000),
      ...(conflicts ? { extra: { conflicts: untrustedJson(conflicts) } } : {}),
    }),
  )
}
