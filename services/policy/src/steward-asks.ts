// What the steward asks about a permit: is it still good (stillValid), mint a preview or open an approval (assess), who is
// behind it (describe). A permit that is not ours is refused on the record, whoever brought it.
import type { policyDoor, Assessment } from '@bailiwick/contracts/doors/policy'
import { inputHash, type SealedPermit } from '@bailiwick/contracts/permit'
import { deny, withoutWhy, type Denial } from '@bailiwick/contracts/problem'
import type { Handlers } from '@bailiwick/kernel/door'
import { readAppPrincipal, readTokenPrincipal } from '@bailiwick/kernel/ids'
import { err, Fault, ok } from '@bailiwick/kernel/result'
import type { AccountFacts, Verdict } from './checks/facts.ts'
import { checkFreezes } from './checks/freezes.ts'
import { checkSwitches } from './checks/switches.ts'
import { checkTier } from './checks/tier.ts'
import { checkToken } from './checks/token.ts'
import type { Query } from './database.ts'
import type { Deps } from './deps.ts'
import { readChanges } from './operations.ts'
import { readPermit, type Genuine } from './permits.ts'
import { mintPreview } from './previews.ts'
import { TIERS, type Tier } from './rules.ts'
import type { StatusKey } from './status.ts'

type Answers = Handlers<typeof policyDoor>
type Verdicts = Awaited<ReturnType<Answers['stillValid']>>

/** Token, tier, kill switch and freezes as they are at this moment. */
export async function stillValid(
  deps: Deps,
  request: { permit: SealedPermit; resources: readonly string[] },
): Promise<Verdicts> {
  const permit = await requireGenuine(deps, 'stillValid', request.permit)
  if (!permit.ok) return { ok: false, denial: permit.error }
  // Without Valkey the truth itself is asked: slower, and right. A call that was admitted is not lost to a limit's outage.
  await deps.status.catchUp(await deps.limits.readEpoch().catch(() => null))
  const verdict =
    permit.value.door === 'admin'
      ? await standsForAdmin(deps, permit.value, request.resources)
      : await standsForToken(deps, permit.value, request.resources)
  return verdict.ok ? { ok: true } : { ok: false, denial: withoutWhy(verdict.error) }
}

async function standsForToken(deps: Deps, permit: Genuine, resources: readonly string[]): Promise<Verdict<unknown>> {
  const key = keyOf(permit)
  const current = key && (await deps.status.find(key))
  // A person who moved to another account left this permit's behind.
  if (current?.account.id !== permit.account) return err(deny('UNAUTHENTICATED', { why: 'the token is gone' }))
  const live = checkToken(current, permit.address, deps.clock.now())
  if (!live.ok) return live
  const enabled = checkSwitches(live.value)
  if (!enabled.ok) return enabled
  const tiered = checkTier(enabled.value, permit.risk)
  if (!tiered.ok) return tiered
  return checkFreezes(tiered.value, permit.risk, resources)
}

/** A human on the host is stopped by no switch meant for agents, but by a freeze: that is lifted knowingly, or not at all. */
async function standsForAdmin(deps: Deps, permit: Genuine, resources: readonly string[]): Promise<Verdict<unknown>> {
  const frozen = await deps.database.inAccount(permit.account, (query) =>
    query<{ resource_id: string | null }>('SELECT resource_id FROM policy.freezes WHERE lifted_at IS NULL'),
  )
  const account: Pick<AccountFacts, 'frozen' | 'frozenResources'> = {
    frozen: frozen.some((freeze) => freeze.resource_id === null),
    frozenResources: new Set(frozen.flatMap(({ resource_id }) => resource_id ?? [])),
  }
  return checkFreezes({ account: account as AccountFacts }, permit.risk, resources)
}

/** Mints a preview token for what a preview tool found, or says that a human must approve. */
export async function assess(
  deps: Deps,
  request: { permit: SealedPermit; assessment: Assessment },
): Promise<Awaited<ReturnType<Answers['assess']>>> {
  const permit = await requireGenuine(deps, 'assess', request.permit)
  if (!permit.ok) return { ok: false, denial: permit.error }
  const { assessment } = request
  if (assessment.kind === 'approval') {
    // Nothing is opened: until approvals exist only the owner's own hands can do it.
    return { ok: false, denial: deny('APPROVAL_REQUIRED', { extra: { reason: assessment.reason } }) }
  }
  const fitting = checkAssessment(deps, permit.value, assessment)
  if (!fitting.ok) return { ok: false, denial: await refuseForged(deps, 'assess', request.permit, fitting.error) }
  const now = deps.clock.now()
  const { token, expiresAt } = await mintPreview(
    deps.database,
    permit.value.account,
    {
      principal: permit.value.principal,
      tool: assessment.for_tool,
      resourceKind: assessment.resource_kind,
      resourceId: assessment.resource_id,
      resourceVersion: assessment.resource_version,
      input: assessment.input,
      inputHash: inputHash(assessment.input),
    },
    now,
  )
  return { ok: true, preview_token: token, expires_at: expiresAt }
}

/** May the call behind this permit assess this? Only the preview of that tool, about the resource that its input names. */
function checkAssessment(
  deps: Deps,
  permit: Genuine,
  assessment: Extract<Assessment, { kind: 'preview' }>,
): Verdict<true> {
  const target = deps.catalog.tools.get(assessment.for_tool)
  const refuse = (why: string): Verdict<true> => err(deny('PERMIT_REFUSED', { why }))
  if (permit.catalog_hash !== deps.catalog.hash) return err(deny('CATALOG_MISMATCH', { retry_after_s: 5 }))
  if (deps.catalog.tools.get(permit.tool)?.previews !== assessment.for_tool || !target?.confirms)
    return refuse(`${permit.tool} may not preview ${assessment.for_tool}`)
  if (assessment.input[target.confirms.field] !== assessment.resource_id)
    return refuse('the input names another resource')
  if ('preview_token' in assessment.input || 'confirm' in assessment.input)
    return refuse('the input brings its own confirmation')
  return ok(true)
}

/** No approvals are given yet, so none can be read: what needs one stays refused. */
export async function readApproval(deps: Deps, request: { permit: SealedPermit }): Promise<Verdicts> {
  const permit = await requireGenuine(deps, 'readApproval', request.permit)
  if (!permit.ok) return { ok: false, denial: permit.error }
  return { ok: false, denial: deny('APPROVAL_REQUIRED') }
}

export async function describe(
  deps: Deps,
  request: { permit: SealedPermit },
): Promise<Awaited<ReturnType<Answers['describe']>>> {
  const permit = await requireGenuine(deps, 'describe', request.permit)
  if (!permit.ok) throw new Fault(permit.error.code, 'describe: permit refused')
  const { account, principal, scopes, door } = permit.value
  const now = deps.clock.now()
  return deps.database.inAccount(account, async (query) => {
    const [row] = await query<{ name: string; tier: Tier; tier_since: Date; time_zone: string; created_at: Date }>(
      'SELECT name, tier, tier_since, time_zone, created_at FROM policy.accounts WHERE id = $1',
      [account],
    )
    const [token] = door === 'admin' ? [] : await readCredential(query, permit.value)
    return {
      account: {
        id: account,
        name: row!.name,
        tier: row!.tier,
        tier_since: row!.tier_since.getTime(),
        time_zone: row!.time_zone,
        created_at: row!.created_at.getTime(),
        changes_today: await readChanges(query, account, now),
        changes_per_day: TIERS[row!.tier].changesPerDay,
      },
      token: {
        name: token?.name ?? principal,
        scopes: [...scopes],
        expires_at: token?.expires_at?.getTime() ?? null,
        last_used_at: (token && deps.lastUse.pending(principal)) ?? token?.last_used_at?.getTime() ?? null,
      },
    }
  })
}

async function requireGenuine(deps: Deps, route: string, sealed: SealedPermit): Promise<Verdict<Genuine>> {
  const permit = readPermit(deps, sealed)
  return permit.ok ? permit : err(await refuseForged(deps, route, sealed, permit.error))
}

const refuseForged = (deps: Deps, route: string, { permit }: SealedPermit, denial: Denial): Promise<Denial> =>
  deps.refusals.recordForged(route, permit, denial)

/**
 * An access token's own end does not end a change that it was good for when the call was permitted: the change may come back
 * hours later from a crash. What was taken back since its issue does.
 */
function keyOf({ principal, grant, scopes }: Genuine): StatusKey | null {
  const id = readTokenPrincipal(principal)
  if (id !== null) return { id }
  const app = readAppPrincipal(principal)
  if (!app || !grant) return null
  const { issued_at: issuedAt, session } = grant
  return { grant: { ...app, session, scopes, effective: scopes, issuedAt, expiresAt: Number.POSITIVE_INFINITY } }
}

/** An app's token expires by itself, minutes from now; its grant does not. */
function readCredential(query: Query, { principal }: Genuine) {
  const id = readTokenPrincipal(principal)
  return query<{ name: string; expires_at: Date | null; last_used_at: Date | null }>(
    id === null
      ? 'SELECT client AS name, NULL AS expires_at, last_used_at FROM policy.apps WHERE principal = $1'
      : 'SELECT name, expires_at, last_used_at FROM policy.tokens WHERE id = $1',
    [id ?? principal],
  )
}
