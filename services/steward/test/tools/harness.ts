// A workshop for one account: the tools against the fake keeper, driven in the pipeline's order, with resources, zone versions
// and operations in memory. What the pipeline itself guarantees is tested with the pipeline.
import { createFakeKeeper, type FakeKeeper } from '@bailiwick/testing/fake-keeper'
import { Permit } from '@bailiwick/contracts/permit'
import { deny, type Denial } from '@bailiwick/contracts/problem'
import type { Json } from '@bailiwick/kernel/canonical'
import { fakeClock } from '@bailiwick/kernel/clock'
import { AccountId, OperationId, ResourceId, uuidv7 } from '@bailiwick/kernel/ids'
import { compare } from '../../src/undo.ts'
import {
  Refused,
  type BoundKeeper,
  type Page,
  type Resource,
  type ToolContext,
  type ZoneVersion,
} from '../../src/context.ts'
import type { Tool } from '../../src/define-tool.ts'

type Operation = {
  id: OperationId
  root: Operation | null
  tool: Tool
  input: unknown
  newResourceId: ResourceId
  before: Json
  after: Json
  output: Json
}
export type Answer = { operationId: string; output: { [key: string]: Json }; secret: Json }

export type Workshop = ReturnType<typeof openWorkshop>

/** `shared`: the keeper (and its world) of another workshop, for what two accounts see of each other. */
export function openWorkshop(shared?: { keeper: FakeKeeper; clock: ReturnType<typeof fakeClock> }) {
  const clock = shared?.clock ?? fakeClock()
  const keeper = shared?.keeper ?? createFakeKeeper({ clock })
  const account = AccountId.parse(uuidv7(clock.now()))
  const resources = new Map<string, Resource>()
  const versions: (ZoneVersion & { zoneId: string })[] = []
  const operations = new Map<string, Operation>()

  const permit = Permit.parse({
    v: 1,
    account,
    principal: `pat:${uuidv7()}`,
    user: null,
    token_id: '0'.repeat(64),
    client: null,
    door: 'mcp',
    scopes: ['databases:read', 'databases:write'],
    tier: 'full',
    tool: 'any',
    risk: 'write',
    decision: 'allow',
    policy_hash: '',
    catalog_hash: '',
    input_hash: '',
    operation_id: null,
    bound: null,
    preview_id: null,
    approval_id: null,
    obligations: [],
    undo_until: null,
    address: '192.0.2.1',
    agent: 'test',
    request_id: 'r',
    idempotency_key: null,
    issued_at: 0,
    nonce: 'n',
  })

  const bindKeeper = (operationId: OperationId, mayChange: boolean): BoundKeeper =>
    new Proxy({} as BoundKeeper, {
      get: (_, verb: keyof BoundKeeper) => async (input: object) => {
        const changes =
          /^(create|quarantine|restore|insert|update|remove|reverse|set|dump|replace|publish|unpublish|sign|unsign)_/.test(
            verb,
          )
        if (changes && !mayChange) throw new Error(`${verb} while only looking is due`)
        const message = { ...input, account_id: account, ...(changes ? { operation_id: operationId } : {}) }
        const reply = (await keeper.client[verb](message as never)) as
          { ok: true } | { ok: false; code: Denial['code']; detail: string; conflicts?: Json[] }
        if (reply.ok) return reply
        throw new Refused(
          deny(reply.code, {
            detail: reply.detail,
            ...(reply.conflicts ? { extra: { conflicts: reply.conflicts as never } } : {}),
          }),
        )
      },
    })

  type Collected = { resources: Map<string, Resource>; zones: [string, Json][] }
  const openContext = (
    operationId: OperationId,
    newResourceId: ResourceId,
    collected: Collected,
    mayChange: boolean,
  ): ToolContext => {
    const get = (id: string): Resource => {
      const found = collected.resources.get(id) ?? resources.get(id)
      if (!found) throw new Refused(deny('NOT_FOUND'))
      return found
    }
    const change = (id: string, next: Partial<Resource>): void =>
      void collected.resources.set(id, { ...get(id), ...next })
    const all = (): Resource[] => [...new Map([...resources, ...collected.resources]).values()]
    const pageFrom = <T>(items: readonly T[], { limit, cursor }: { limit: number; cursor: string | null }): Page<T> => {
      const start = Number(cursor ?? 0)
      const more = items.length > start + limit
      return { items: items.slice(start, start + limit), nextCursor: more ? String(start + limit) : null }
    }
    return {
      account,
      permit,
      operationId,
      newResourceId,
      now: clock.now(),
      keeper: bindKeeper(operationId, mayChange),
      resources: {
        get: async (id) => get(id),
        findByName: async (kind, name) =>
          all().find((each) => each.kind === kind && each.name === name && each.state === 'active') ?? null,
        list: async (kind, page) =>
          pageFrom(
            all().filter((each) => each.kind === kind && each.state === 'active'),
            page,
          ),
        create: ({ id, kind, name, data = {} }) =>
          void collected.resources.set(id, {
            id,
            kind,
            name,
            data,
            version: 1,
            state: 'active',
            createdAt: clock.now(),
            updatedAt: clock.now(),
          }),
        setState: (id, state) => change(id, { state }),
        setData: (id, data) => change(id, { data }),
        rename: (id, name) => change(id, { name }),
      },
      zones: {
        versions: async (zoneId, page) =>
          pageFrom(versions.filter((each) => each.zoneId === zoneId).toReversed(), page),
        version: async (zoneId, version) =>
          versions.find((each) => each.zoneId === zoneId && each.version === version) ?? null,
        record: (zoneId, sets) => void collected.zones.push([zoneId, sets]),
      },
      journal: {} as ToolContext['journal'],
      describe: async () => ({
        account: {
          id: account,
          name: 'Demo',
          tier: 'beta',
          tier_since: 0,
          time_zone: 'UTC',
          created_at: 0,
          changes_today: 3,
          changes_per_day: 500,
        },
        token: { name: 'laptop', scopes: ['databases:write'], expires_at: 1_800_000_000_000, last_used_at: null },
      }),
      activity: async () => ({ entries: [], next_before: null }),
      refuse(denial) {
        throw new Refused(denial)
      },
    }
  }

  const commit = (operationId: OperationId, { resources: changed, zones }: Collected): void => {
    for (const [id, resource] of changed) {
      const clash = [...resources.values()].some(
        (other) =>
          other.id !== id &&
          other.state === 'active' &&
          resource.state === 'active' &&
          other.kind === resource.kind &&
          other.name === resource.name,
      )
      if (clash) throw new Error(`two active resources named ${resource.name}`)
      resources.set(id, { ...resource, version: (resources.get(id)?.version ?? 0) + 1 })
    }
    for (const [zoneId, recordSets] of zones) {
      const version = versions.filter((each) => each.zoneId === zoneId).length + 1
      versions.push({ zoneId, version, at: clock.now(), operationId, recordSets })
    }
  }

  const parse = (tool: Tool, raw: object): unknown => {
    const parsed = tool.input.safeParse(raw)
    if (!parsed.success)
      throw new Refused(
        deny('INPUT_INVALID', {
          extra: { errors: parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message })) },
        }),
      )
    for (const [field, kind] of Object.entries(tool.resources ?? {})) {
      const found = resources.get(String((parsed.data as { [field: string]: unknown })[field]))
      if (found?.kind !== kind || (found.state !== 'active' && !tool.acceptsQuarantined))
        throw new Refused(deny('NOT_FOUND'))
    }
    return parsed.data
  }

  /** Calls a tool as the pipeline would. `crashes`: the handler's first run is lost after its effect, and runs again. */
  async function call(tool: Tool, raw: object, { crashes = false, mayTouchCritical = false } = {}): Promise<Answer> {
    clock.advance(1000)
    const input = parse(tool, raw)
    const [id, newResourceId] = [OperationId.parse(uuidv7(clock.now())), ResourceId.parse(uuidv7(clock.now()))]
    const { effect } = tool
    const fresh = (): Collected => ({ resources: new Map(), zones: [] })
    const looking = openContext(id, newResourceId, fresh(), false)
    await tool.prepare?.(looking, input)
    const isRestorable = effect.kind === 'exact' || effect.kind === 'recoverable'
    const before = isRestorable ? await effect.capture(looking, input, null) : null
    const critical = (await tool.touchesCritical?.(looking, input, before, null)) ?? []
    if (critical.length > 0 && !mayTouchCritical)
      throw new Refused(deny('APPROVAL_REQUIRED', { extra: { critical: [...critical] } }))
    if (effect.kind === 'recoverable')
      await effect.snapshot(openContext(id, newResourceId, fresh(), true), input, before)
    const collected = fresh()
    const acting = openContext(id, newResourceId, collected, effect.kind !== 'read')
    if (crashes) await tool.handle(openContext(id, newResourceId, fresh(), true), input)
    const output = tool.output.parse(await tool.handle(acting, input)) as { [key: string]: Json }
    const seeing = openContext(id, newResourceId, collected, false)
    const after = isRestorable ? await effect.capture(seeing, input, output) : null
    commit(id, collected)
    operations.set(id, { id, root: null, tool, input, newResourceId, before, after, output })
    const secret = tool.issueSecret
      ? (tool.secret!.parse(await tool.issueSecret(looking, input, output)) as Json)
      : null
    return { operationId: id, output, secret }
  }

  /** Undoes an operation, or the undo of one. */
  async function undo(operationId: string, { crashes = false, mayTouchCritical = false } = {}): Promise<Answer> {
    clock.advance(1000)
    const deed = operations.get(operationId)!
    const root = deed.root ?? deed
    const { tool, input, output } = root
    const { effect } = tool
    if (effect.kind !== 'exact' && effect.kind !== 'recoverable') throw new Refused(deny('UNDO_UNAVAILABLE'))
    const id = OperationId.parse(uuidv7(clock.now()))
    const own = ResourceId.parse(uuidv7(clock.now()))
    const fresh = (): Collected => ({ resources: new Map(), zones: [] })
    const looking = openContext(id, own, fresh(), false)
    const before = await effect.capture(looking, input, output)
    const conflicts = compare(deed.after, before)
    if (conflicts.length > 0)
      throw new Refused(
        deny(effect.removal?.isRemoval(deed.before) ? 'CONFIRMATION_REQUIRED' : 'UNDO_CONFLICT', {
          extra: { conflicts: conflicts as never },
        }),
      )
    const critical = (await tool.touchesCritical?.(looking, input, before, deed.before)) ?? []
    if (critical.length > 0 && !mayTouchCritical)
      throw new Refused(deny('APPROVAL_REQUIRED', { extra: { critical: [...critical] } }))
    const reverse = { operationId: deed.id, newResourceId: root.newResourceId, output }
    if (effect.removal?.isRemoval(deed.before))
      await effect.removal.snapshot(openContext(id, own, fresh(), true), input, reverse)
    if (crashes) await effect.undo(openContext(id, own, fresh(), true), input, deed.before, reverse)
    const collected = fresh()
    await effect.undo(openContext(id, own, collected, true), input, deed.before, reverse)
    const after = await effect.capture(openContext(id, own, collected, false), input, output)
    commit(id, collected)
    operations.set(id, { ...root, id, root, before, after })
    return { operationId: id, output: { undone: deed.id }, secret: null }
  }

  return {
    account,
    permit,
    clock,
    keeper,
    resources,
    versions,
    call,
    undo,
    context: () =>
      openContext(OperationId.parse(uuidv7()), ResourceId.parse(uuidv7()), { resources: new Map(), zones: [] }, false),
    /** Everything that undo promises to bring back: the keeper's world and the resources without their versions and times. */
    world: (): Json => ({
      keeper: keeper.world(),
      resources: [...resources.values()]
        .filter(({ state }) => state === 'active')
        .map(({ id, kind, name, data }) => ({ id, kind, name, data })),
    }),
  }
}

/** The denial that a call ends with; fails when it does not. */
export async function denialOf(call: Promise<unknown>): Promise<Denial> {
  try {
    await call
  } catch (error) {
    if (error instanceof Refused) return error.denial
    throw error
  }
  throw new Error('not refused')
}

/** Does the deed, undoes it, undoes the undo, and undoes that again: each time the world is as it was, with a crash or without. */
export async function proveInverse(
  workshop: Workshop,
  deed: () => Promise<Answer>,
  mayTouchCritical = false,
): Promise<Answer> {
  const before = workshop.world()
  const answer = await deed()
  const after = workshop.world()
  expect(after).not.toEqual(before)
  const undone = await workshop.undo(answer.operationId, { mayTouchCritical })
  expect(workshop.world()).toEqual(before)
  const redone = await workshop.undo(undone.operationId, { crashes: true, mayTouchCritical })
  expect(workshop.world()).toEqual(after)
  await workshop.undo(redone.operationId, { crashes: true, mayTouchCritical })
  expect(workshop.world()).toEqual(before)
  return answer
}
