// Fake policy and steward behind their real doors (real HTTP, real keys, real message checks), steered by the test.
import { randomBytes } from 'node:crypto'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { serveDoor } from '@bailiwick/kernel/door'
import { silentLogger } from '@bailiwick/kernel/logger'
import { inputHash, sealPermit, type Permit, type SealedPermit } from '@bailiwick/contracts/permit'
import {
  policyDoor,
  type DecideReply,
  type DecideRequest,
  type IdentifyReply,
  type Rate,
} from '@bailiwick/contracts/doors/policy'
import type { Denial } from '@bailiwick/contracts/problem'
import { stewardDoor, type ExecuteReply } from '@bailiwick/contracts/doors/steward'
import type { Json } from '@bailiwick/kernel/canonical'

type ExecuteRequest = { permit: SealedPermit; input: Json }
export type IdentifyRequest = Omit<DecideRequest, 'tool' | 'input' | 'idempotency_key' | 'parse_error'> & {
  method: string
}

export type WatchRequest = Omit<DecideRequest, 'tool' | 'input' | 'idempotency_key' | 'parse_error'> & {
  seen: string | null
}
export type WatchReply = { ok: true; seen: string; tools: string[] } | { ok: false; denial: Denial }

export type FakeDoors = {
  readonly policyUrl: string
  readonly stewardUrl: string
  readonly gatewayPolicyKey: Buffer
  readonly gatewayStewardKey: Buffer
  /** What arrived, in order. */
  readonly decided: DecideRequest[]
  readonly identified: IdentifyRequest[]
  readonly watched: WatchRequest[]
  readonly executed: ExecuteRequest[]
  /** Replace these to steer the answers. */
  onDecide: (request: DecideRequest) => DecideReply | Promise<DecideReply>
  onIdentify: (request: IdentifyRequest) => IdentifyReply | Promise<IdentifyReply>
  /** A watch waits for as long as this does. Default: the first answer at once, then none until the caller goes (`signal`). */
  onWatch: (request: WatchRequest, signal: AbortSignal) => WatchReply | Promise<WatchReply>
  onExecute: (request: ExecuteRequest) => ExecuteReply | Promise<ExecuteReply>
  stopPolicy(): Promise<void>
  stopSteward(): Promise<void>
  close(): Promise<void>
}

export const FAKE_RATE: Rate = { limit: 60, remaining: 59, reset_s: 42 }

/** A genuine permit (under a key of this process) for what was asked. */
export function fakePermit(request: DecideRequest, more: Partial<Permit> = {}): SealedPermit {
  return sealPermit(permitKey, {
    v: 1,
    account: '0190a000-0000-7000-8000-000000000001' as Permit['account'],
    principal: 'pat:0190a000-0000-7000-8000-000000000002' as Permit['principal'],
    user: null,
    token_id: '0'.repeat(64),
    client: null,
    door: request.door,
    scopes: [],
    tier: 'beta',
    tool: request.tool,
    risk: 'read',
    decision: 'allow',
    policy_hash: '0'.repeat(64),
    catalog_hash: '0'.repeat(64),
    input_hash: inputHash(request.input),
    operation_id: null,
    bound: null,
    preview_id: null,
    approval_id: null,
    obligations: [],
    undo_until: null,
    address: request.address,
    agent: request.agent,
    request_id: request.request_id,
    idempotency_key: request.idempotency_key,
    issued_at: Date.now(),
    nonce: uuidv7(),
    ...more,
  })
}

const permitKey = randomBytes(32)

/** A policy that allows everything and a steward that echoes its input, until told otherwise. */
export async function startFakeDoors(): Promise<FakeDoors> {
  const gatewayPolicyKey = randomBytes(32)
  const gatewayStewardKey = randomBytes(32)
  const unused = (): Promise<never> => Promise.reject(new Error('not a call that a gateway makes'))
  const listen = { host: '127.0.0.1', port: 0 }
  const policy = await serveDoor({
    door: policyDoor,
    listen,
    keys: { gateway: gatewayPolicyKey },
    logger: silentLogger,
    handlers: {
      decide: async (request) => {
        fake.decided.push(request)
        return fake.onDecide(request)
      },
      identify: async (request) => {
        fake.identified.push(request)
        return fake.onIdentify(request)
      },
      watch: async (request, { signal }) => {
        fake.watched.push(request)
        return fake.onWatch(request, signal)
      },
      stillValid: unused,
      assess: unused,
      readApproval: unused,
      describe: unused,
    },
  })
  const steward = await serveDoor({
    door: stewardDoor,
    listen,
    keys: { gateway: gatewayStewardKey },
    logger: silentLogger,
    handlers: {
      execute: async (request) => {
        fake.executed.push(request)
        return fake.onExecute(request)
      },
    },
  })
  const fake: FakeDoors = {
    policyUrl: `http://127.0.0.1:${policy.port}`,
    stewardUrl: `http://127.0.0.1:${steward.port}`,
    gatewayPolicyKey,
    gatewayStewardKey,
    decided: [],
    identified: [],
    watched: [],
    executed: [],
    onDecide: (request) => ({ ok: true, permit: fakePermit(request), rate: FAKE_RATE }),
    onIdentify: () => ({ ok: true, rate: FAKE_RATE, principal: 'pat:0190a000-0000-7000-8000-000000000002', tools: [] }),
    onExecute: ({ input }) => ({
      ok: true,
      output: { echo: input },
      replay: false,
      receipt: 7,
      operation_id: null,
    }),
    onWatch: (request, signal) =>
      request.seen === null
        ? { ok: true, seen: 'first', tools: [] }
        : new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(new Error('gone')))),
    stopPolicy: () => policy.close(),
    stopSteward: () => steward.close(),
    close: async () => {
      await policy.close()
      await steward.close()
    },
  }
  return fake
}
