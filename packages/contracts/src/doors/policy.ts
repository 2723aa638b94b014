// Policy's doors: the deciding one (gateway, console, steward) and the operator's, on a root-only unix socket.
import { z } from 'zod'
import { AnyJson } from '../json.ts'
import type { Door } from '@bailiwick/kernel/door'
import { AccountId, OperationId, Principal, ResourceId } from '@bailiwick/kernel/ids'
import { Denial } from '../problem.ts'
import { SealedPermit } from '../permit.ts'

/** Present once a principal is known: what the X-RateLimit-* headers say. */
export const Rate = z.strictObject({ limit: z.number().int(), remaining: z.number().int(), reset_s: z.number().int() })
export type Rate = z.infer<typeof Rate>

const asserted = {
  /** The Authorization header's bearer token as received; null when there was none. Policy verifies it itself. */
  credential: z.string().max(8192).nullable(),
  door: z.enum(['mcp', 'rest', 'console']),
  address: z.string().max(64),
  agent: z.string().max(256),
  request_id: z.string().max(64),
}

export const DecideRequest = z.strictObject({
  ...asserted,
  tool: z.string().max(128),
  /** The arguments as received; `idempotency_key` may be among them. */
  input: AnyJson,
  /** From the header or `_meta`; the argument wins nothing: two different keys are IDEMPOTENCY_KEY_INVALID. */
  idempotency_key: z.string().max(128).nullable(),
  /** Set when the gateway could not read the request: policy records it and denies. */
  parse_error: z.string().max(200).nullable().default(null),
})
export type DecideRequest = z.infer<typeof DecideRequest>

export const DecideReply = z.union([
  z.strictObject({
    ok: z.literal(true),
    permit: SealedPermit,
    rate: Rate,
    /** confirm_action only: the previewed input to send to the steward in place of the caller's. */
    input: AnyJson.optional(),
  }),
  z.strictObject({ ok: z.literal(false), denial: Denial, rate: Rate.nullable() }),
])
export type DecideReply = z.infer<typeof DecideReply>

export const IdentifyReply = z.union([
  z.strictObject({
    ok: z.literal(true),
    rate: Rate,
    principal: z.string(),
    /** Names of the tools that this token may call now: tier and scopes considered. */
    tools: z.array(z.string()),
  }),
  z.strictObject({ ok: z.literal(false), denial: Denial, rate: Rate.nullable() }),
])
export type IdentifyReply = z.infer<typeof IdentifyReply>

const Verdict = z.union([
  z.strictObject({ ok: z.literal(true) }),
  z.strictObject({ ok: z.literal(false), denial: Denial }),
])

/** The steward's word to policy about the real state. `for_tool`/`input`: what the preview token will allow. */
export const Assessment = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('preview'),
    for_tool: z.string(),
    /** What `confirm_action` will send: the input that the bound tool is called with, without preview_token and confirm. */
    input: z.record(z.string(), AnyJson),
    resource_kind: z.string(),
    resource_id: ResourceId,
    resource_version: z.number().int(),
    impact: AnyJson,
  }),
  z.strictObject({
    kind: z.literal('approval'),
    reason: z.enum(['critical_dns', 'operator_rule', 'proposal']),
    resource_id: ResourceId,
    resource_version: z.number().int(),
    impact: AnyJson,
  }),
])
export type Assessment = z.infer<typeof Assessment>

export const policyDoor = {
  service: 'policy',
  unavailable: 'POLICY_UNAVAILABLE',
  routes: {
    identify: {
      kind: 'json',
      callers: ['gateway', 'console'],
      input: z.strictObject({ ...asserted, method: z.string().max(128) }),
      output: IdentifyReply,
    },
    decide: { kind: 'json', callers: ['gateway', 'console'], input: DecideRequest, output: DecideReply },
    /**
     * Waits until the tools that this credential may call are others than `seen` (a hash of an earlier answer; null: answer at
     * once), or it may call none any more; after 25 s answers with what stands. Not counted: whoever opened the stream was.
     */
    watch: {
      kind: 'json',
      callers: ['gateway'],
      input: z.strictObject({ ...asserted, seen: z.string().max(64).nullable() }),
      output: z.union([
        z.strictObject({ ok: z.literal(true), seen: z.string(), tools: z.array(z.string()) }),
        z.strictObject({ ok: z.literal(false), denial: Denial }),
      ]),
      timeoutMs: 35_000,
    },
    /** Token, tier, kill switch and freezes as they are now; asked before capture and once more right before acting. */
    stillValid: {
      kind: 'json',
      callers: ['steward'],
      input: z.strictObject({ permit: SealedPermit, resources: z.array(ResourceId) }),
      output: Verdict,
    },
    /** Mints a preview token, or says why not. The permit must be genuine and for a call that may assess this. */
    assess: {
      kind: 'json',
      callers: ['steward'],
      input: z.strictObject({ permit: SealedPermit, assessment: Assessment }),
      output: z.union([
        z.strictObject({ ok: z.literal(true), preview_token: z.string(), expires_at: z.number().int() }),
        z.strictObject({ ok: z.literal(false), denial: Denial }),
      ]),
    },
    readApproval: {
      kind: 'json',
      callers: ['steward'],
      input: z.strictObject({ permit: SealedPermit, approval_id: z.uuid() }),
      output: Verdict,
    },
    /** The account and the token behind a permit, for whoami and get_profile. */
    describe: {
      kind: 'json',
      callers: ['steward'],
      input: z.strictObject({ permit: SealedPermit }),
      output: z.strictObject({
        account: z.strictObject({
          id: AccountId,
          name: z.string(),
          tier: z.string(),
          tier_since: z.number().int(),
          time_zone: z.string(),
          created_at: z.number().int(),
          changes_today: z.number().int(),
          changes_per_day: z.number().int().nullable(),
        }),
        token: z.strictObject({
          name: z.string(),
          scopes: z.array(z.string()),
          expires_at: z.number().int().nullable(),
          last_used_at: z.number().int().nullable(),
        }),
      }),
    },
  },
} as const satisfies Door

const reason = z.string().min(3).max(500)
const TokenState = z.enum(['active', 'paused', 'blocked', 'revoked', 'expired'])
const TokenRow = z.strictObject({
  id: z.uuid(),
  account: AccountId,
  name: z.string(),
  scopes: z.array(z.string()),
  state: TokenState,
  created_at: z.number().int(),
  expires_at: z.number().int(),
  last_used_at: z.number().int().nullable(),
  addresses: z.array(z.string()),
})
const AccountRow = z.strictObject({
  id: AccountId,
  name: z.string(),
  tier: z.string(),
  tier_since: z.number().int(),
  created_at: z.number().int(),
  frozen: z.boolean(),
})
const MemberRow = z.strictObject({
  account: AccountId,
  sub: z.string(),
  role: z.enum(['owner', 'member']),
  created_at: z.number().int(),
})
/** One person's grant to one OAuth client: the principal `oauth:<sub>:<client>`. */
const AppRow = z.strictObject({
  principal: Principal,
  account: AccountId,
  sub: z.string(),
  client: z.string(),
  state: z.enum(['active', 'paused', 'blocked', 'revoked']),
  /** Of its newest token. */
  scopes: z.array(z.string()),
  first_used_at: z.number().int(),
  last_used_at: z.number().int(),
})
const AppAct = z.strictObject({ principal: Principal, reason })
const Done = z.strictObject({ ok: z.literal(true), receipt: z.number().int() })

/** The operator's door. Every act records its intent before its effect. Bad input: Fault with a code and a plain sentence. */
export const adminDoor = {
  service: 'policy',
  unavailable: 'POLICY_UNAVAILABLE',
  routes: {
    accounts_list: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({}),
      output: z.strictObject({ accounts: z.array(AccountRow) }),
    },
    accounts_create: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ name: z.string().min(1).max(100), time_zone: z.string().default('UTC') }),
      output: AccountRow,
    },
    accounts_tier: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ account: AccountId, tier: z.enum(['none', 'sandbox', 'beta', 'full']), reason }),
      output: Done,
    },
    kill: { kind: 'json', callers: ['admin'], input: z.strictObject({ on: z.boolean(), reason }), output: Done },
    kill_status: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({}),
      output: z.strictObject({ on: z.boolean(), since: z.number().int().nullable(), reason: z.string().nullable() }),
    },
    freeze: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ account: AccountId, resource: ResourceId.nullable(), on: z.boolean(), reason }),
      output: Done,
    },
    freezes_list: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({}),
      output: z.strictObject({
        freezes: z.array(
          z.strictObject({
            account: AccountId,
            resource: ResourceId.nullable(),
            since: z.number().int(),
            reason: z.string(),
          }),
        ),
      }),
    },
    tokens_create: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({
        account: AccountId,
        name: z.string().min(1).max(100),
        scopes: z.array(z.string()).min(1),
        expires_in_days: z.number().int().min(1).max(366).default(90),
        addresses: z.array(z.string()).max(50).default([]),
      }),
      /** `token` is shown once; only its HMAC is kept. */
      output: z.strictObject({ id: z.uuid(), token: z.string(), expires_at: z.number().int() }),
    },
    tokens_list: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ account: AccountId.nullable() }),
      output: z.strictObject({ tokens: z.array(TokenRow) }),
    },
    tokens_pause: { kind: 'json', callers: ['admin'], input: z.strictObject({ id: z.uuid(), reason }), output: Done },
    tokens_resume: { kind: 'json', callers: ['admin'], input: z.strictObject({ id: z.uuid(), reason }), output: Done },
    tokens_revoke: { kind: 'json', callers: ['admin'], input: z.strictObject({ id: z.uuid(), reason }), output: Done },
    /** Revokes every token and every app used at or after `seen_since` (ms); `apps`: their principals. */
    tokens_revoke_seen_since: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ seen_since: z.number().int(), account: AccountId.nullable(), reason }),
      output: z.strictObject({ revoked: z.array(z.uuid()), apps: z.array(z.string()), receipt: z.number().int() }),
    },
    members_list: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ account: AccountId.nullable() }),
      output: z.strictObject({ members: z.array(MemberRow) }),
    },
    /** `sub`: the identity provider's id of the person. One account per person: CONFLICT when there is one. */
    members_add: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ account: AccountId, sub: z.uuid(), role: z.enum(['owner', 'member']), reason }),
      output: Done,
    },
    /** The person's apps and tokens stop working at once. */
    members_remove: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ sub: z.uuid(), reason }),
      output: Done,
    },
    /** Records that the operator resets how the person signs in; the identity provider does it after that. */
    members_reset: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ sub: z.uuid(), reason }),
      output: Done,
    },
    /** Apps that people of the account have connected and used. */
    apps_list: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ account: AccountId.nullable() }),
      output: z.strictObject({ apps: z.array(AppRow) }),
    },
    apps_pause: { kind: 'json', callers: ['admin'], input: AppAct, output: Done },
    apps_resume: { kind: 'json', callers: ['admin'], input: AppAct, output: Done },
    /** Refused from now on, until the person consents to the app anew. */
    apps_revoke: { kind: 'json', callers: ['admin'], input: AppAct, output: Done },
    /** The same for everybody who connected the client, used or not. */
    apps_revoke_client: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ client: z.string().min(1).max(256), reason }),
      output: z.strictObject({ revoked: z.array(z.string()), receipt: z.number().int() }),
    },
    /** A permit with door `admin` for one call that a human on the host makes on an account's behalf (restore to a point in time). */
    permit: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ account: AccountId, tool: z.string(), input: AnyJson, reason }),
      output: z.union([
        z.strictObject({ ok: z.literal(true), permit: SealedPermit }),
        z.strictObject({ ok: z.literal(false), denial: Denial }),
      ]),
    },
    operations: {
      kind: 'json',
      callers: ['admin'],
      input: z.strictObject({ account: AccountId.nullable(), limit: z.number().int().min(1).max(100).default(50) }),
      output: z.strictObject({
        operations: z.array(
          z.strictObject({
            id: OperationId,
            account: AccountId,
            tool: z.string(),
            created_at: z.number().int(),
            undo_until: z.number().int(),
          }),
        ),
      }),
    },
  },
} as const satisfies Door
