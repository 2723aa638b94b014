// The embedded stack as one table: which program runs as which user, listens where, is told what, and needs what.
// Arrows are architecture.md's: a service gets the address of a door only if it has the key to it.
import { asUser, clusterCommand, isClusterReady } from '@bailiwick/kernel/postgres-cluster'
import type { Health, Part } from './child.ts'
import { keycloakCommand } from './keycloak/part.ts'
import { USERS, inState, type Layout, type PartName } from './layout.ts'
import { nginxConfig, powerdnsConfig, valkeyConfig } from './server-configs.ts'
import { sealKeyOf, type State } from './state.ts'

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const BASE_ENV = { PATH, LC_ALL: 'C.UTF-8', NODE_ENV: 'production' }
const FORTY = 40_000

const own = (name: PartName): { uid: number; gid: number } => ({ uid: USERS[name], gid: USERS[name] })

/** Everything is on loopback; only the edge is meant for agents. */
export async function planParts(
  layout: Layout,
  state: State,
  extra: { dnsResolver?: string | undefined; securityContact?: string | undefined; keycloak: string },
): Promise<Part[]> {
  const { ports, root } = layout
  const local = (port: number): string => `127.0.0.1:${port}`
  const doors = {
    BAILIWICK_POLICY_URL: `http://${local(ports.policy)}`,
    BAILIWICK_STEWARD_URL: `http://${local(ports.steward)}`,
    BAILIWICK_KEEPER_URL: `http://${local(ports.keeper)}`,
    BAILIWICK_KEEPER_PURGE_URL: `http://${local(ports.keeperPurge)}`,
    BAILIWICK_VAULT_URL: `http://${local(ports.vault)}`,
    BAILIWICK_VAULT_EXPIRY_URL: `http://${local(ports.vaultExpiry)}`,
    BAILIWICK_AUDIT_URL: `http://${local(ports.audit)}`,
  }
  type Door = keyof typeof doors

  const service = (
    name: Exclude<PartName, 'edge' | 'postgres' | 'valkey' | 'powerdns' | 'keycloak'>,
    row: {
      listen: readonly number[]
      calls: readonly Door[]
      holdsSecrets: boolean
      needs: readonly PartName[]
      settings?: Readonly<Record<string, string>>
      health?: Health
      stopWithinMs?: number
    },
  ): Part => {
    const [first, second] = row.listen
    const secrets = row.holdsSecrets
      ? { BAILIWICK_SECRETS_FILE: inState.secrets(layout.state, name), BAILIWICK_UNSEAL_FD: '3' }
      : {}
    return {
      name,
      uid: USERS[name],
      ports: row.listen,
      health: row.health ?? { kind: 'http', ports: row.listen },
      needs: row.needs,
      command: () => asUser(own(name), process.execPath, [`${root}/services/${name}/src/main.ts`]),
      env: {
        ...BASE_ENV,
        BAILIWICK_KEYS_DIR: inState.keys(layout.state),
        ...(first === undefined ? {} : { BAILIWICK_LISTEN: local(first) }),
        ...(second === undefined ? {} : { BAILIWICK_LISTEN_SECOND: local(second) }),
        ...Object.fromEntries(row.calls.map((door) => [door, doors[door]])),
        ...secrets,
        ...row.settings,
      },
      ...(row.holdsSecrets ? { unsealKey: sealKeyOf(state.master, name).toString('hex') } : {}),
      stopSignal: 'SIGTERM',
      stopWithinMs: row.stopWithinMs ?? 10_000,
    }
  }
  const database = (role: string): Record<string, string> => ({
    BAILIWICK_DATABASE_URL: `postgres://${role}@${local(ports.postgres)}/bailiwick`,
  })
  const issuer = `${layout.publicUrl}/realms/bailiwick`
  const folder = (name: string): Record<string, string> => ({ BAILIWICK_STATE_DIR: `${layout.state}/${name}` })

  return [
    {
      name: 'postgres',
      uid: USERS.postgres,
      ports: [ports.postgres],
      health: { kind: 'asked', isUp: () => isClusterReady(`${layout.state}/postgres`) },
      needs: [],
      command: () =>
        clusterCommand({
          dataDir: `${layout.state}/postgres`,
          port: ports.postgres,
          user: own('postgres'),
          // Compiling a short query costs more than running it, and once in a while 40 ms of everybody's time.
          settings: ['max_connections=170', 'shared_buffers=128MB', 'log_min_messages=warning', 'jit=off'],
        }),
      env: BASE_ENV,
      stopSignal: 'SIGINT',
      stopWithinMs: FORTY,
    },
    {
      name: 'valkey',
      uid: USERS.valkey,
      ports: [ports.valkey],
      health: { kind: 'tcp', port: ports.valkey },
      needs: [],
      command: valkeyConfig(layout, own('valkey'), await state.secretsOf('policy').get('valkey_password')),
      env: BASE_ENV,
      stopSignal: 'SIGTERM',
      stopWithinMs: 10_000,
    },
    {
      name: 'powerdns',
      uid: USERS.powerdns,
      ports: [ports.dns, ports.powerdns],
      health: { kind: 'tcp', port: ports.powerdns },
      needs: [],
      command: powerdnsConfig(layout, own('powerdns'), await state.secretsOf('keeper').get('powerdns_api_key')),
      env: BASE_ENV,
      stopSignal: 'SIGTERM',
      stopWithinMs: 10_000,
    },
    service('audit', {
      listen: [ports.audit],
      calls: [],
      holdsSecrets: true,
      needs: ['postgres'],
      settings: database('audit'),
    }),
    service('vault', {
      listen: [ports.vault, ports.vaultExpiry],
      calls: [],
      holdsSecrets: true,
      needs: [],
      settings: folder('vault'),
    }),
    service('keeper', {
      listen: [ports.keeper, ports.keeperPurge],
      calls: ['BAILIWICK_VAULT_URL'],
      holdsSecrets: true,
      needs: ['vault', 'powerdns', 'egress'],
      settings: {
        ...folder('keeper'),
        BAILIWICK_POWERDNS_URL: `http://${local(ports.powerdns)}`,
        BAILIWICK_CLUSTER_PORTS: `${ports.firstCluster}-${ports.lastCluster}`,
        BAILIWICK_EGRESS_URL: `http://${local(ports.egress)}`,
        ...(extra.dnsResolver ? { BAILIWICK_DNS_RESOLVER: extra.dnsResolver } : {}),
      },
      // It stops every account's cluster in order, and with them the archiving of their last minute.
      stopWithinMs: FORTY,
    }),
    service('policy', {
      listen: [ports.policy],
      calls: ['BAILIWICK_AUDIT_URL'],
      holdsSecrets: true,
      needs: ['postgres', 'valkey', 'audit'],
      settings: {
        ...database('policy'),
        BAILIWICK_VALKEY_URL: `redis://${local(ports.valkey)}`,
        BAILIWICK_ADMIN_SOCKET: inState.adminSocket(layout.state),
        BAILIWICK_ISSUER: issuer,
        BAILIWICK_AUDIENCE: `${layout.publicUrl}/mcp`,
        // Not in its needs: personal tokens are served while Keycloak is down.
        BAILIWICK_KEYCLOAK_URL: `http://${local(ports.keycloak)}`,
      },
    }),
    service('steward', {
      listen: [ports.steward],
      calls: ['BAILIWICK_KEEPER_URL', 'BAILIWICK_VAULT_URL', 'BAILIWICK_AUDIT_URL', 'BAILIWICK_POLICY_URL'],
      holdsSecrets: true,
      needs: ['postgres', 'audit', 'vault', 'keeper', 'policy'],
      settings: database('steward'),
    }),
    service('gateway', {
      listen: [ports.gateway],
      calls: ['BAILIWICK_POLICY_URL', 'BAILIWICK_STEWARD_URL'],
      holdsSecrets: false,
      needs: ['policy', 'steward'],
      settings: {
        BAILIWICK_PUBLIC_URL: layout.publicUrl,
        BAILIWICK_ISSUER: issuer,
        ...(extra.securityContact ? { BAILIWICK_SECURITY_CONTACT: extra.securityContact } : {}),
      },
    }),
    service('reaper', {
      listen: [],
      calls: ['BAILIWICK_KEEPER_PURGE_URL', 'BAILIWICK_VAULT_EXPIRY_URL', 'BAILIWICK_AUDIT_URL'],
      holdsSecrets: false,
      needs: ['audit', 'vault', 'keeper'],
      settings: folder('reaper'),
      health: { kind: 'alive' },
    }),
    service('egress', {
      listen: [ports.egress],
      calls: [],
      holdsSecrets: false,
      needs: [],
      settings: extra.dnsResolver ? { BAILIWICK_DNS_RESOLVER: extra.dnsResolver } : {},
      health: { kind: 'tcp', port: ports.egress },
    }),
    {
      name: 'keycloak',
      uid: USERS.keycloak,
      ports: [ports.keycloak, ports.keycloakManagement],
      health: { kind: 'http', ports: [ports.keycloakManagement], path: '/health/ready' },
      needs: ['postgres', 'egress'],
      command: keycloakCommand(
        layout,
        own('keycloak'),
        extra.keycloak,
        await state.secretsOf('supervisor').get('keycloak_database_password'),
      ),
      env: BASE_ENV,
      stopSignal: 'SIGTERM',
      stopWithinMs: 20_000,
    },
    {
      name: 'edge',
      uid: USERS.edge,
      ports: [ports.https, ports.http],
      health: { kind: 'tcp', port: ports.https },
      needs: ['gateway', 'keycloak'],
      command: nginxConfig(layout, own('edge')),
      env: BASE_ENV,
      stopSignal: 'SIGTERM',
      stopWithinMs: 10_000,
    },
  ]
}

/** Order of stopping: nothing is stopped before what needs it. Groups stop together. */
export function stopOrder(parts: readonly Part[]): Part[][] {
  const left = [...parts]
  const groups: Part[][] = []
  while (left.length > 0) {
    const free = left.filter((part) => !left.some((other) => other.needs.includes(part.name)))
    groups.push(free)
    for (const part of free) left.splice(left.indexOf(part), 1)
  }
  return groups
}
