// A policy service on real servers, with its doors driven over HTTP; only the log is a stand-in, which can fail on command.
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { auditDoor, type Entry } from '@bailiwick/contracts/doors/audit'
import { adminDoor, policyDoor, type DecideRequest } from '@bailiwick/contracts/doors/policy'
import { PRESETS } from '@bailiwick/contracts/scopes'
import { fakeClock } from '@bailiwick/kernel/clock'
import { AccountId } from '@bailiwick/kernel/ids'
import { connectDoor, serveDoor } from '@bailiwick/kernel/door'
import { silentLogger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import { freshDatabase, freshValkey } from '@bailiwick/testing/database'
import { startPolicy } from '../../src/service.ts'
import { makeCatalog } from './catalog.ts'
import { startIssuer } from './issuer.ts'

export type Stand = Awaited<ReturnType<typeof openStand>>

/** An entry, and the event that it was told under. */
type Recorded = Entry & { event_id: string | null }

/**
 * The log's door with a memory behind it. `failsBefore`: nothing is written, and the caller is told. `failsAfterEffect`: it is
 * written, and the caller hears that it was not. `standsOtherwise`: events that it has under another kind or account.
 */
async function serveFakeAudit(key: Buffer) {
  const entries: Recorded[] = []
  const fake = { entries, failsBefore: false, failsAfterEffect: false, standsOtherwise: new Set<string>() }
  const door = await serveDoor({
    door: auditDoor,
    listen: { host: '127.0.0.1', port: 0 },
    keys: { policy: key },
    logger: silentLogger,
    handlers: {
      append: async (entry) => {
        if (fake.failsBefore) throw new Fault('AUDIT_UNAVAILABLE', 'asked to fail')
        if (fake.standsOtherwise.has(entry.event_id ?? '')) throw new Fault('EVENT_CONFLICT', 'asked to')
        const known = entry.event_id === null ? -1 : entries.findIndex(({ event_id }) => event_id === entry.event_id)
        if (known >= 0) return { index: known, leaf_hash: '' }
        entries.push(entry)
        if (fake.failsAfterEffect) throw new Fault('AUDIT_UNAVAILABLE', 'asked to fail')
        return { index: entries.length - 1, leaf_hash: '' }
      },
      intend: notPolicys,
      outcome: notPolicys,
      query: notPolicys,
      intent_of: notPolicys,
    },
  })
  return Object.assign(fake, door)
}

const notPolicys = async (): Promise<never> => {
  throw new Fault('INTERNAL', 'policy does not call this')
}

/** A database, a Valkey prefix and a log of its own, and one policy on them; `replica` starts another beside it. */
export async function openStand(tools = makeCatalog(), options: { withIssuer?: boolean } = {}) {
  const database = await freshDatabase()
  const valkey = freshValkey()
  const folder = mkdtempSync(`${tmpdir()}/policy-test-`)
  const keys = { gateway: randomBytes(32), steward: randomBytes(32), admin: randomBytes(32), audit: randomBytes(32) }
  const [permitKey, tokenKey] = [randomBytes(32), randomBytes(32)]
  const clock = fakeClock(Date.now())
  const audit = await serveFakeAudit(keys.audit)
  const issuer = await startIssuer(clock)
  const opened: (() => unknown)[] = []

  const replica = async (other: { valkeyUrl?: string; valkeyPrefix?: string; databaseUrl?: string } = {}) => {
    const adminSocket = `${folder}/${randomUUID()}.sock`
    const service = await startPolicy(
      {
        listen: { host: '127.0.0.1', port: 0 },
        adminSocket,
        auditUrl: `http://127.0.0.1:${audit.port}`,
        databaseUrl: other.databaseUrl ?? database.as('policy'),
        valkeyUrl: other.valkeyUrl ?? valkey.url,
        permitKey,
        tokenKey,
        keys,
        identity: options.withIssuer ? issuer.config : null,
      },
      { clock, logger: silentLogger, catalog: tools, valkeyPrefix: other.valkeyPrefix ?? valkey.prefix },
    )
    const url = `http://127.0.0.1:${service.port}`
    const gateway = connectDoor({ door: policyDoor, url, caller: 'gateway', key: keys.gateway })
    const steward = connectDoor({ door: policyDoor, url, caller: 'steward', key: keys.steward })
    const admin = connectDoor({ door: adminDoor, url: `unix:${adminSocket}`, caller: 'admin', key: keys.admin })
    let isClosed = false
    const close = async (): Promise<void> => {
      if (isClosed) return
      isClosed = true
      for (const client of [gateway, steward, admin]) client.close()
      await service.close()
    }
    opened.push(close)
    const decide = (
      credential: string | null,
      tool: string,
      input: DecideRequest['input'] = {},
      more: Partial<DecideRequest> = {},
    ) => gateway.decide({ ...asked(credential), tool, input, idempotency_key: null, ...more })
    /** Valkey is connected: a test's first call must not be refused for a service that has just started. */
    const ready = async (): Promise<void> => {
      while (
        !(await service.deps.limits.readEpoch().then(
          () => true,
          () => false,
        ))
      )
        await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return { url, gateway, steward, admin, decide, ready, close, deps: service.deps }
  }

  const first = await replica()
  const { admin } = first
  return {
    ...first,
    audit,
    issuer,
    clock,
    database,
    valkey,
    keys,
    permitKey,
    tokenKey,
    replica,
    async account(tier: 'none' | 'sandbox' | 'beta' | 'full' = 'full') {
      const account = await admin.accounts_create({ name: 'acme' })
      if (tier !== 'none') await admin.accounts_tier({ account: account.id, tier, reason: 'a test' })
      return account.id
    },
    /** A person of the account, by the identity provider's id. */
    async member(account: string) {
      const sub = randomUUID()
      await admin.members_add({ account: AccountId.parse(account), sub, role: 'owner', reason: 'a test' })
      return sub
    },
    token: (account: string, scopes: readonly string[] = PRESETS.admin, addresses: string[] = []) =>
      admin.tokens_create({ account, name: 'agent', scopes: [...scopes], addresses }),
    async close() {
      for (const close of opened.toReversed()) await close()
      await audit.close()
      await issuer.close()
      await database.drop()
      rmSync(folder, { recursive: true })
    },
  }
}

export const asked = (credential: string | null) => ({
  credential,
  door: 'mcp' as const,
  address: '203.0.113.7',
  agent: 'test agent',
  request_id: randomUUID(),
})

/** Waits for it, as long as one second. True when it came. */
export async function soon(isSo: () => Promise<boolean> | boolean, withinMs = 1000): Promise<boolean> {
  const until = performance.now() + withinMs
  while (performance.now() < until) {
    if (await isSo()) return true
    // A call each time must not fill its window of 60.
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return false
}

/** The code of a refusal, or 'allow'. */
export const codeOf = (reply: { ok: true } | { ok: false; denial: { code: string } }): string =>
  reply.ok ? 'allow' : reply.denial.code
