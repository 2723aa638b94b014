// Drives a change through the journal, from wherever it stands to where the log has its outcome (call.md §3). The caller's
// arrival and recovery both come through here, so a crash is gone on from exactly as a first run goes on.
import { RestorePointKind } from '@bailiwick/contracts/doors/vault'
import type { CatalogTool } from '@bailiwick/contracts/catalog'
import { deny } from '@bailiwick/contracts/problem'
import { ResourceId } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import { bindContext } from './bind.ts'
import { Refused, type ToolContext } from './context.ts'
import type { Deps } from './deps.ts'
import { entryOf, type Happened } from './entries.ts'
import { LeaseLost } from './journal.ts'
import type { Stage } from './stage.ts'
import { requireBound, toResourceIds, type Output, type Plan } from './plan.ts'
import { applyChanges, loadResources, noChanges, type Changes } from './resources.ts'
import { isOutage, Stopped, toDenial } from './stopped.ts'

export type Change = { readonly plan: Plan; readonly catalogTool: CatalogTool; readonly startedMs: number }
/** Where a change ends: with its answer in the log, refused after it was under way, or for a human to find out. */
export type Ended = Stage<'recorded' | 'closed' | 'unknown'>

/**
 * Goes on until the end. A refusal or a fault before `acting` is thrown with nothing done; after that the operation stays where
 * it is for recovery, unless the keeper says that nothing was done.
 */
export async function drive(deps: Deps, change: Change, from: Stage): Promise<Ended> {
  let stage: Stage = from
  // Resumed in `acting`: a steward before us may have told the keeper.
  let mayHaveActed = from.state === 'acting'
  const renewal = setInterval(() => {
    deps.journal.renew(stage).catch((error: unknown) => deps.logger.warn('lease_not_renewed', { error: String(error) }))
  }, deps.journal.leaseMs / 3)
  renewal.unref()
  try {
    for (;;) {
      switch (stage.state) {
        case 'accepted':
          stage = await intend(deps, change, stage)
          break
        case 'intended':
          stage = await prepare(deps, change, stage)
          break
        case 'prepared':
          stage = await snapshot(deps, change, stage)
          break
        case 'snapshotted':
          stage = await beginActing(deps, stage)
          break
        case 'acting':
          stage = mayHaveActed ? await actAgain(deps, change, stage) : await actOrClose(deps, change, stage)
          mayHaveActed = true
          break
        case 'committed':
          stage = await recordOutcome(deps, change, stage)
          break
        case 'refused':
          stage = await recordRefusal(deps, change, stage)
          break
        case 'recorded':
        case 'closed':
        case 'unknown':
          deps.gate.settle(stage.id)
          return stage
      }
    }
  } catch (error) {
    throw new Stopped(stage, error)
  } finally {
    clearInterval(renewal)
  }
}

async function intend(deps: Deps, change: Change, stage: Stage<'accepted'>): Promise<Stage<'intended'>> {
  await deps.audit.intend(intentOf(change, stage))
  return deps.journal.intended(stage)
}

async function prepare(deps: Deps, { plan }: Change, stage: Stage<'intended'>): Promise<Stage<'prepared'>> {
  // Locked before they are looked at: what is checked below stays so until the operation ends.
  const held = plan.resources.filter((id) => !plan.readsOnly.includes(id))
  await lock(deps, stage, [...held.map((id) => `resource:${id}`), ...plan.locks])
  const loaded = await loadResources(deps.database, stage.account, plan.resources)
  plan.admit(loaded)
  requireBound(stage.sealed.permit, loaded)
  const context = bind(deps, stage, { loaded, mayChange: false, changes: null })
  const names = await plan.prepare(context)
  if (names.length > 0) {
    await lock(
      deps,
      stage,
      names.map((name) => `name:${name}`),
    )
    // Whoever held a name until now may have taken it for good.
    await plan.prepare(context)
  }
  const before = await plan.capture(context, null)
  await plan.examine(context, before)
  const resources = toResourceIds(plan.resources)
  await meetObligations(deps, plan, stage, context, before)
  await requireStillValid(deps, stage, resources)
  return deps.journal.prepared(stage, { resources, before })
}

async function lock(deps: Deps, stage: Stage<'intended'>, keys: readonly string[]): Promise<void> {
  if (keys.length > 0 && !(await deps.journal.lock(stage, keys)))
    throw new Refused(deny('RESOURCE_BUSY', { retry_after_s: 2 }))
}

/** What policy could not know when it permitted: whether the real state holds what only a human may touch. */
async function meetObligations(
  deps: Deps,
  plan: Plan,
  stage: Stage<'intended'>,
  context: ToolContext,
  before: Stage['before'],
): Promise<void> {
  const { sealed } = stage
  const unmet = sealed.permit.obligations.find((obligation) => obligation !== 'critical_dns')
  if (unmet) throw new Refused(deny('APPROVAL_REQUIRED', { why: `obligation ${unmet} is not known here` }))
  // Asked of every tool that knows of critical records, whether the permit says so or not: the two must both be wrong to miss one.
  const records = await plan.findCritical(context, before)
  if (records.length === 0) return
  const subject = plan.resources[0]
  const verdict = sealed.permit.approval_id
    ? await deps.policy.readApproval({ permit: sealed, approval_id: sealed.permit.approval_id })
    : await deps.policy.assess({
        permit: sealed,
        assessment: {
          kind: 'approval',
          reason: 'critical_dns',
          resource_id: ResourceId.parse(subject ?? stage.newResourceId),
          resource_version: subject ? (await context.resources.get(subject)).version : 0,
          impact: { records: records.slice(0, 100) },
        },
      })
  if (!verdict.ok) throw new Refused(verdict.denial)
  // A token was minted where an approval was asked for: no human has been heard.
  if (!sealed.permit.approval_id) throw new Refused(deny('APPROVAL_REQUIRED', { why: 'assessment opened no approval' }))
}

async function requireStillValid(deps: Deps, stage: Stage, resources: readonly ResourceId[]): Promise<void> {
  const verdict = await deps.policy.stillValid({ permit: stage.sealed, resources: [...resources] })
  if (!verdict.ok) throw new Refused(verdict.denial)
}

async function snapshot(deps: Deps, { plan }: Change, stage: Stage<'prepared'>): Promise<Stage<'snapshotted'>> {
  const loaded = await loadResources(deps.database, stage.account, stage.resources)
  const context = bind(deps, stage, { loaded, mayChange: true, changes: null })
  const points = await plan.snapshot(context, stage.before)
  for (const { name, sha256, ...point } of points) {
    const kind = RestorePointKind.parse(point.kind)
    // The keeper read it back; the steward does too, because it is the one that destroys on the strength of it.
    const sound = await deps.vault.verify({ account_id: stage.account, kind, name, sha256 }).then(
      ({ ok }) => ok,
      () => false,
    )
    if (!sound) throw new Refused(deny('SNAPSHOT_FAILED', { why: `restore point ${name} did not verify` }))
  }
  return deps.journal.snapshotted(stage, points)
}

async function beginActing(deps: Deps, stage: Stage<'snapshotted'>): Promise<Stage<'acting'>> {
  // Once more: a snapshot may have taken minutes, and a kill switch or a revoked token counts until the last moment.
  await requireStillValid(deps, stage, stage.resources)
  return deps.journal.acting(stage)
}

/** After a crash in `acting` nobody knows whether the keeper was told. It is asked by operation; nothing is repeated blindly. */
async function actAgain(deps: Deps, change: Change, stage: Stage<'acting'>): Promise<Stage> {
  try {
    return await askAndAct(deps, change, stage)
  } catch (error) {
    if (!isOutage(error) || !isSpent(stage, deps.clock.now(), MAX_ATTEMPTS)) throw error
    return giveUpActing(deps, change, stage, error)
  }
}

async function askAndAct(deps: Deps, change: Change, stage: Stage<'acting'>): Promise<Stage> {
  const { isUnknown, isUntouched } = await probe(deps, stage)
  if (isUnknown) return leaveToHuman(deps, change, stage)
  if (isUntouched) {
    // Nothing has been done: a token revoked or an account frozen while nobody drove this counts as it would have then.
    const verdict = await deps.policy.stillValid({ permit: stage.sealed, resources: [...stage.resources] })
    if (!verdict.ok) return deps.journal.refused(stage, verdict.denial)
  }
  // The keeper's verbs answer a repeated operation with their first answer, so running the handler again finishes what was begun.
  return actOrClose(deps, change, stage)
}

/**
 * Acts. A refusal or a bug where the keeper has done nothing closes the operation; where it has done something, or cannot tell,
 * a human must look. A part that is down leaves it as it is.
 */
async function actOrClose(deps: Deps, change: Change, stage: Stage<'acting'>): Promise<Stage> {
  try {
    return await act(deps, change, stage)
  } catch (error) {
    if (error instanceof LeaseLost || isOutage(error)) throw error
    deps.logger.error('act_failed', { operation: stage.id, tool: stage.tool }, error)
    const denial = toDenial(error)
    const { isUnknown, isUntouched } = await probe(deps, stage)
    // The keeper itself says OUTCOME_UNKNOWN of a step that it began before it died and cannot see on the target.
    if (isUnknown || !isUntouched || denial.code === 'OUTCOME_UNKNOWN') return leaveToHuman(deps, change, stage)
    return deps.journal.refused(stage, denial)
  }
}

/** Both must be over: a caller that hurries uses up attempts, and a slow start of the house uses up time. */
type Bound = { readonly attempts: number; readonly ms: number }
const MAX_ATTEMPTS: Bound = { attempts: 20, ms: 15 * 60_000 }
/** A keeper that cannot even be asked is down for everybody: once it is back, what hung goes on by itself. */
const MAX_UNASKED: Bound = { attempts: 20, ms: 24 * 3_600_000 }
const isSpent = (stage: Stage, now: number, { attempts, ms }: Bound): boolean =>
  stage.attempts > attempts && now - (stage.actingAt ?? stage.startedAt).getTime() > ms

/**
 * What fails as often as this is no outage: data that no handler gets past looks like one. Where the keeper says that nothing was
 * done the operation is refused and lets go of what it held, so that it cannot keep others from it for ever.
 */
async function giveUpActing(deps: Deps, change: Change, stage: Stage<'acting'>, cause: unknown): Promise<Stage> {
  const { attempts } = stage
  const { isUnknown, isUntouched } = await probe(deps, stage).catch((error: unknown) => {
    if (!isOutage(error) || !isSpent(stage, deps.clock.now(), MAX_UNASKED)) throw error
    return { isUnknown: true, isUntouched: false }
  })
  deps.logger.error('recovery_given_up', { operation: stage.id, tool: stage.tool, attempts }, cause)
  if (isUnknown || !isUntouched) return leaveToHuman(deps, change, stage)
  // Without a time to wait: this is the stored answer, and coming again with the same key brings it again.
  const { code, why } = toDenial(cause)
  const detail = 'Given up after many attempts; nothing was done.'
  return deps.journal.refused(stage, deny(code, { detail, why: `${attempts} attempts; ${why ?? code}` }))
}

async function act(deps: Deps, { plan }: Change, stage: Stage<'acting'>): Promise<Stage<'committed'>> {
  const loaded = await loadResources(deps.database, stage.account, stage.resources)
  const changes = noChanges()
  const output = await plan.act(bind(deps, stage, { loaded, mayChange: true, changes }))
  // Read back with the collected changes in view: this is what an undo will compare the world with.
  const after = await plan.capture(bind(deps, stage, { loaded, mayChange: false, changes }), output)
  const touched = toResourceIds([...stage.resources, ...changes.created.keys(), ...changes.changed.keys()])
  const moved = touched.filter((id) => !plan.readsOnly.includes(id))
  const { account, id: operationId } = stage
  return deps.journal.committed(stage, { output, after, resources: touched }, (query) =>
    applyChanges(query, { account, operationId, now: deps.clock.now(), touched: moved }, changes),
  )
}

/** Verbs of the snapshot, before `acting`: what they leave is one more restore point. */
const COPIES: ReadonlySet<string> = new Set(['dump_database', 'dump_zone'])

const probe = async (deps: Deps, stage: Stage): Promise<{ isUnknown: boolean; isUntouched: boolean }> => {
  const reply = await deps.keeper.probe({ account_id: stage.account, operation_id: stage.id })
  if (!reply.ok) throw new Fault('BACKEND_UNAVAILABLE', `keeper cannot probe: ${reply.code}`)
  return {
    isUnknown: reply.steps.some(({ state }) => state === 'unknown'),
    isUntouched: reply.steps.every(({ verb, state }) => state === 'not_done' || COPIES.has(verb)),
  }
}

async function leaveToHuman(deps: Deps, change: Change, stage: Stage<'acting'>): Promise<Stage<'unknown'>> {
  deps.logger.error('outcome_unknown', { operation: stage.id, tool: stage.tool })
  // In the log first: a crash in between costs a second entry, not a missing one.
  await deps.audit.append(entry(change, stage, { kind: 'call', decision: 'allow', code: 'OUTCOME_UNKNOWN' }))
  return deps.journal.unknown(stage)
}

async function recordOutcome(deps: Deps, change: Change, stage: Stage<'committed'>): Promise<Stage<'recorded'>> {
  const resource = await findOwned(deps, stage)
  if (resource?.owner && resource.owner !== stage.account)
    deps.gate.halt(`operation ${stage.id} of account ${stage.account} touched a resource of ${resource.owner}`)
  // Died after this: the outcome is idempotent by operation, and recovery writes the same one.
  const { index } = await deps.audit.outcome(outcomeOf(change, stage, { decision: 'allow', code: null, resource }))
  return deps.journal.recorded(stage, index)
}

/** Asked past row-level security, on purpose: this is the check that would notice if it failed. A foreign owner wins. */
async function findOwned(deps: Deps, stage: Stage): Promise<Exclude<Happened['resource'], undefined>> {
  if (stage.resources.length === 0) return null
  const owners = await deps.database.query<{ resource_id: string; account_id: string }>(
    'SELECT * FROM steward.owners_of($1)',
    [stage.resources],
  )
  const shown =
    owners.find(({ account_id }) => account_id !== stage.account) ??
    owners.find(({ resource_id }) => resource_id === stage.resources[0])
  if (!shown) return null
  const kind = (await loadResources(deps.database, stage.account, [shown.resource_id])).get(shown.resource_id)?.kind
  return { kind: kind ?? null, id: shown.resource_id, owner: shown.account_id }
}

async function recordRefusal(deps: Deps, change: Change, stage: Stage<'refused'>): Promise<Stage<'closed'>> {
  // An operation given up before its intent was written gets both now: an outcome without an intent is refused by the log.
  await deps.audit.intend(intentOf(change, stage))
  const { code, why } = stage.denial!
  const { index } = await deps.audit.outcome(outcomeOf(change, stage, { decision: 'deny', code, why }))
  return deps.journal.closed(stage, index)
}

const entry = (change: Change, stage: Stage, happened: Happened) =>
  entryOf(stage.sealed.permit, change.catalogTool, stage.input, happened)
const intentOf = (change: Change, stage: Stage) => ({
  ...entry(change, stage, { kind: 'intent', decision: 'allow', code: null }),
  kind: 'intent' as const,
  operation_id: stage.id,
})
const outcomeOf = (change: Change, stage: Stage, happened: Omit<Happened, 'kind'>) => ({
  ...entry(change, stage, {
    ...happened,
    kind: 'outcome',
    durationMs: (stage.finishedAt?.getTime() ?? 0) - stage.startedAt.getTime(),
  }),
  kind: 'outcome' as const,
  operation_id: stage.id,
})

/** The stored answer's fresh secret. In the log before it leaves; a crash in between costs a secret that nobody has. */
export async function issueSecret(deps: Deps, change: Change, stage: Stage<'recorded'>): Promise<Output | null> {
  if (!change.plan.issueSecret) return null
  const loaded = await loadResources(deps.database, stage.account, stage.resources)
  const context = bind(deps, stage, { loaded, mayChange: false, changes: null })
  const secret = await change.plan.issueSecret(context, stage.output!)
  await deps.audit.append(
    entry(change, stage, {
      kind: 'secret_issued',
      decision: 'allow',
      code: null,
      resource: await findOwned(deps, stage),
    }),
  )
  return secret
}

function bind(
  deps: Deps,
  stage: Stage,
  more: { loaded: Awaited<ReturnType<typeof loadResources>>; mayChange: boolean; changes: Changes | null },
): ToolContext {
  const { sealed, id: operationId, newResourceId } = stage
  return bindContext(deps, { sealed, operationId, newResourceId, ...more })
}
