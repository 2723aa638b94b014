// Where everything of one embedded stack is: folders, ports, users. Pure; the two settings are read in config.ts.
// Two stacks live side by side when their state folder and their port base differ.
import { createHash } from 'node:crypto'

/** Numeric users (uid = gid). They need no entry in /etc/passwd; nothing else on the machine uses them. */
export const USERS = {
  edge: 61001,
  gateway: 61002,
  policy: 61003,
  steward: 61004,
  keeper: 61005,
  vault: 61006,
  reaper: 61007,
  audit: 61008,
  keycloak: 61009,
  postgres: 61010,
  valkey: 61011,
  powerdns: 61012,
  egress: 61013,
} as const
export type PartName = keyof typeof USERS

const OFFSETS = {
  https: 43,
  http: 80,
  gateway: 1,
  policy: 2,
  steward: 3,
  keeper: 4,
  keeperPurge: 5,
  vault: 6,
  vaultExpiry: 7,
  audit: 8,
  egress: 9,
  postgres: 20,
  valkey: 21,
  dns: 22,
  powerdns: 23,
  keycloak: 24,
  keycloakManagement: 25,
  firstCluster: 100,
  lastCluster: 599,
} as const
export type Ports = Readonly<Record<keyof typeof OFFSETS, number>>

export const portsFrom = (base: number): Ports =>
  Object.fromEntries(Object.entries(OFFSETS).map(([name, offset]) => [name, base + offset])) as Ports

export type Layout = {
  /** The checkout and the state folder as the parts see them. */
  readonly root: string
  readonly state: string
  /** The same folders as the operator sees them: other paths when the checkout is mounted elsewhere for the parts. */
  readonly shownState: string
  readonly portBase: number
  readonly ports: Ports
  readonly publicUrl: string
}

export function layoutOf(place: { root: string; state: string; shownState?: string; portBase: number }): Layout {
  const ports = portsFrom(place.portBase)
  return {
    root: place.root,
    state: place.state,
    shownState: place.shownState ?? place.state,
    portBase: place.portBase,
    ports,
    publicUrl: `https://localhost:${ports.https}`,
  }
}

export const inState = {
  marker: (state: string): string => `${state}/state.json`,
  sealKey: (state: string): string => `${state}/seal.key`,
  keys: (state: string): string => `${state}/keys`,
  secrets: (state: string, service: string): string => `${state}/secrets/${service}/${service}.sealed`,
  caCertificate: (state: string): string => `${state}/edge/tls/ca.pem`,
  tls: (state: string): string => `${state}/edge/tls`,
  logs: (state: string): string => `${state}/logs`,
  log: (state: string, name: string): string => `${state}/logs/${name}.log`,
  supervisorSocket: (state: string): string => `${state}/run/supervisor.sock`,
  supervisorRecord: (state: string): string => `${state}/run/supervisor.json`,
  children: (state: string): string => `${state}/run/children.json`,
  failure: (state: string): string => `${state}/run/failure.json`,
  adminSocket: (state: string): string => `${state}/policy/admin.sock`,
  /** Written by nginx itself, in its own user's folder. */
  accessLog: (state: string): string => `${state}/edge/data/access.log`,
  /** PowerDNS' own control socket; the longest of all socket paths. */
  powerdnsFolder: (state: string): string => `${state}/powerdns/data`,
  firstToken: (state: string): string => `${state}/first-token.json`,
}

/** Where checkout and state are mounted for the parts when their own paths are closed to other users. */
export const mountFolder = (state: string): string =>
  `/run/bailiwick-${createHash('sha256').update(state).digest('hex').slice(0, 12)}`

/** Longest path that a unix socket may have (sun_path, with its end). */
export const MAX_SOCKET_PATH = 107
