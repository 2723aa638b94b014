// The real pipeline with the profile's tools in it: nginx, gateway, policy, steward and audit as they are, composed in this process
// on free ports, with a real PostgreSQL and Valkey. No setting of a deployment leads here: only this file hands the services
// another catalog. What the fixtures never touch (keeper, vault) is not there.
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import pg from 'pg'
import { startAudit } from '@bailiwick/audit/service'
import { auditDoor } from '@bailiwick/contracts/doors/audit'
import { keeperDoor } from '@bailiwick/contracts/doors/keeper'
import { adminDoor, policyDoor } from '@bailiwick/contracts/doors/policy'
import { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { vaultDoor } from '@bailiwick/contracts/doors/vault'
import { createApp, listen } from '@bailiwick/gateway/http'
import { systemClock } from '@bailiwick/kernel/clock'
import { connectDoor } from '@bailiwick/kernel/door'
import { uuidv7 } from '@bailiwick/kernel/ids'
import { createLogger } from '@bailiwick/kernel/logger'
import { openSealedFile, writeSealedFile } from '@bailiwick/kernel/secrets'
import { leastRisk } from '@bailiwick/policy/checks/risk'
import { startPolicy } from '@bailiwick/policy/service'
import { buildCatalog } from '@bailiwick/steward/catalog'
import { openDatabase } from '@bailiwick/steward/database'
import { createExecute } from '@bailiwick/steward/execute'
import { createGate } from '@bailiwick/steward/gate'
import { serveSteward } from '@bailiwick/steward/http'
import { createJournal } from '@bailiwick/steward/journal'
import { tools as ownTools } from '@bailiwick/steward/tools/index'
import { freshDatabase, freshValkey } from '@bailiwick/testing/database'
import { freePort } from '@bailiwick/testing/global-setup'
import { startEdge } from './edge.ts'
import { protocolExtras } from './protocol.ts'
import { fixtureTools } from './tools.ts'

const loopback = { host: '127.0.0.1', port: 0 }
const at = (port: number): string => `http://127.0.0.1:${port}`
const NOWHERE = at(9)

export type ProfileStack = {
  /** The edge, over TLS. */
  readonly origin: URL
  readonly ca: Buffer
  /** A fresh personal token of the stack's one account. */
  newToken(): Promise<string>
  /** Each tool that the log has an answered call of. */
  recordedTools(): Promise<string[]>
  /** What the services wrote, when something went wrong. */
  readonly lines: readonly string[]
  close(): Promise<void>
}

export async function startProfileStack(): Promise<ProfileStack> {
  const opened: (() => unknown)[] = []
  const lines: string[] = []
  const logger = createLogger('profile', (line) => void lines.push(line))
  const close = async (): Promise<void> => {
    for (const end of opened.splice(0).toReversed()) await end()
  }
  try {
    const folder = mkdtempSync(`${tmpdir()}/conformance-`)
    // nginx is another user, and looks into its own folder below.
    chmodSync(folder, 0o711)
    opened.push(() => rmSync(folder, { recursive: true, force: true }))
    const database = await freshDatabase()
    opened.push(() => database.drop())
    const valkey = freshValkey()
    const key = Object.fromEntries(
      ['gatewayPolicy', 'gatewaySteward', 'stewardPolicy', 'stewardAudit', 'policyAudit', 'admin', 'unused'].map(
        (arrow) => [arrow, randomBytes(32)],
      ),
    ) as Record<string, Buffer>
    const permitKey = randomBytes(32)

    const sealKey = randomBytes(32)
    writeSealedFile(`${folder}/audit`, sealKey, { database_password: 'test' })
    const audit = await startAudit({
      config: {
        listen: loopback,
        databaseUrl: database.as('audit'),
        arrows: { policy: key['policyAudit']!, steward: key['stewardAudit']!, reaper: key['unused']! },
      },
      secrets: openSealedFile(`${folder}/audit`, sealKey),
      logger,
    })
    opened.push(() => audit.close())

    // The fixture that changes the caller's list of tools does it as an operator would: another tier.
    const tiers = { account: '', tier: 'full' as 'full' | 'sandbox' }
    const tools = [
      ...ownTools,
      ...fixtureTools(async () => {
        tiers.tier = tiers.tier === 'full' ? 'sandbox' : 'full'
        await admin.accounts_tier({ account: tiers.account, tier: tiers.tier, reason: 'a fixture' })
      }),
    ]
    const catalog = buildCatalog(tools)

    const adminSocket = `${folder}/${randomUUID()}.sock`
    const policy = await startPolicy(
      {
        listen: loopback,
        adminSocket,
        auditUrl: at(audit.port),
        databaseUrl: database.as('policy'),
        valkeyUrl: valkey.url,
        permitKey,
        tokenKey: randomBytes(32),
        identity: null,
        keys: {
          gateway: key['gatewayPolicy']!,
          steward: key['stewardPolicy']!,
          admin: key['admin']!,
          audit: key['policyAudit']!,
        },
      },
      {
        clock: systemClock,
        logger,
        catalog,
        valkeyPrefix: valkey.prefix,
        // The suite chooses its tools' names; all of them only read.
        leastRisk: (name) => (name.startsWith('test_') ? 'read' : leastRisk(name)),
      },
    )
    opened.push(() => policy.close())
    const admin = connectDoor({ door: adminDoor, url: `unix:${adminSocket}`, caller: 'admin', key: key['admin']! })
    opened.push(() => admin.close())

    const control = openDatabase({ url: database.as('steward') })
    opened.push(() => control.close())
    const to = { caller: 'steward', key: key['unused']! }
    const peers = {
      keeper: connectDoor({ door: keeperDoor, url: NOWHERE, ...to }),
      vault: connectDoor({ door: vaultDoor, url: NOWHERE, ...to }),
      audit: connectDoor({ door: auditDoor, url: at(audit.port), caller: 'steward', key: key['stewardAudit']! }),
      policy: connectDoor({ door: policyDoor, url: at(policy.port), caller: 'steward', key: key['stewardPolicy']! }),
    }
    opened.push(() => Object.values(peers).forEach((peer) => peer.close()))
    const steward = await serveSteward({
      listen: loopback,
      keys: { gateway: key['gatewaySteward']!, console: key['unused']! },
      logger,
      execute: createExecute(
        {
          ...peers,
          clock: systemClock,
          logger,
          database: control,
          journal: createJournal({ database: control, clock: systemClock, holder: `steward-${uuidv7()}` }),
          gate: createGate(logger),
          catalog,
          tools: new Map(tools.map((tool) => [tool.name, tool])),
        },
        permitKey,
      ),
    })
    opened.push(() => steward.close())

    const toPolicy = { door: policyDoor, url: at(policy.port), caller: 'gateway', key: key['gatewayPolicy']! }
    const doors = {
      policy: connectDoor(toPolicy),
      watcher: connectDoor(toPolicy),
      steward: connectDoor({
        door: stewardDoor,
        url: at(steward.port),
        caller: 'gateway',
        key: key['gatewaySteward']!,
      }),
      logger,
    }
    opened.push(() => [doors.policy, doors.watcher, doors.steward].forEach((door) => door.close()))
    const httpsPort = await freePort()
    const origin = new URL(`https://localhost:${httpsPort}`)
    const gateway = await listen(
      createApp({
        doors,
        catalog,
        publicUrl: origin,
        localNames: ['localhost', '127.0.0.1'],
        trustedHops: ['127.0.0.1'],
        maxInFlight: 128,
        version: '0.1.0',
        extras: protocolExtras,
      }),
      loopback,
    )
    opened.push(() => gateway.close())
    const edge = await startEdge({ folder: `${folder}/edge`, httpsPort, gatewayPort: gateway.port })
    opened.push(() => edge.close())

    const account = await admin.accounts_create({ name: 'conformance' })
    tiers.account = account.id
    await admin.accounts_tier({ account: account.id, tier: 'full', reason: 'the suite' })
    return {
      origin,
      ca: edge.ca,
      lines,
      newToken: async () =>
        (await admin.tokens_create({ account: account.id, name: 'suite', scopes: ['profile:read', 'databases:write'] }))
          .token,
      async recordedTools() {
        const client = new pg.Client({ connectionString: database.superuser })
        await client.connect()
        const { rows } = await client.query<{ tool: string }>(
          `SELECT DISTINCT tool FROM audit.leaves WHERE kind = 'call' AND leaf::json->>'decision' = 'allow' ORDER BY 1`,
        )
        await client.end()
        return rows.map(({ tool }) => tool)
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
