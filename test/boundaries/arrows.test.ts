import { auditDoor } from '@bailiwick/contracts/doors/audit'
import { keeperDoor, keeperPurgeDoor } from '@bailiwick/contracts/doors/keeper'
import { adminDoor, policyDoor } from '@bailiwick/contracts/doors/policy'
import { stewardDoor } from '@bailiwick/contracts/doors/steward'
import { vaultDoor, vaultExpiryDoor } from '@bailiwick/contracts/doors/vault'
import type { Door } from '@bailiwick/kernel/door'
import type { SecretStore } from '@bailiwick/kernel/secrets'
import { layoutOf, USERS } from '../../scripts/embedded/layout.ts'
import { planParts } from '../../scripts/embedded/plan.ts'
import { ARROWS } from '../../scripts/embedded/state.ts'

// Services that the design has and this checkout does not run yet: their callers stand in the doors already.
const NOT_HERE = ['anomaly', 'courier', 'notary', 'console']

const DOORS: readonly [string, Door][] = [
  ['policy', policyDoor],
  ['policy', adminDoor],
  ['steward', stewardDoor],
  ['keeper', keeperDoor],
  ['keeper-purge', keeperPurgeDoor],
  ['vault', vaultDoor],
  ['vault-expiry', vaultExpiryDoor],
  ['audit', auditDoor],
]

const PORTS = layoutOf({ root: '/checkout', state: '/state', portBase: 8400 })
const secrets = { get: async (name: string) => `hush-hush-${name}` } as unknown as SecretStore
const plan = planParts(
  PORTS,
  { master: Buffer.alloc(32, 7), secretsOf: () => secrets },
  { keycloak: '/cache/keycloak' },
)

test('a key exists for every caller of every door, and for nobody else', () => {
  const wanted = new Set(
    DOORS.flatMap(([callee, door]) =>
      Object.values(door.routes).flatMap((route) => route.callers.map((caller) => `${caller}->${callee}`)),
    ).filter((arrow) => !NOT_HERE.includes(arrow.split('->')[0]!)),
  )
  // Used by ./bailiwick admin until there is a console.
  wanted.add('console->steward')
  expect(new Set(ARROWS.map(({ caller, callee }) => `${caller}->${callee}`))).toEqual(wanted)
})

test('a service is told the address of exactly those doors that it has a key to', async () => {
  for (const part of await plan) {
    const told = Object.keys(part.env)
      .map((name) => /^BAILIWICK_(POLICY|STEWARD|KEEPER|KEEPER_PURGE|VAULT|VAULT_EXPIRY|AUDIT)_URL$/.exec(name)?.[1])
      .filter((name) => name !== undefined)
      .map((name) => name.toLowerCase().replace('_', '-'))
    const keys = ARROWS.filter(({ caller }) => caller === part.name).map(({ callee }) => callee)
    expect([part.name, told.sort()]).toEqual([part.name, keys.sort()])
  }
})

test('no secret is in any part’s environment or arguments', async () => {
  for (const part of await plan) {
    const text = JSON.stringify(part.env)
    expect(text).not.toContain('hush-hush')
    if (part.unsealKey !== undefined) expect(text).not.toContain(part.unsealKey)
  }
})

test('each part runs as a user of its own, none as root, and gets only settings and PATH', async () => {
  const parts = await plan
  expect(new Set(parts.map(({ uid }) => uid)).size).toBe(parts.length)
  expect(parts.every(({ uid }) => uid > 61000)).toBe(true)
  expect(parts.map(({ name }) => name).sort()).toEqual(Object.keys(USERS).sort())
  const names = new Set(parts.flatMap(({ env }) => Object.keys(env)))
  expect([...names].filter((name) => !name.startsWith('BAILIWICK_')).sort()).toEqual(['LC_ALL', 'NODE_ENV', 'PATH'])
})

test('gateway and reaper hold no secret; no two services are unsealed with one key', async () => {
  const parts = await plan
  const holders = parts.filter(({ unsealKey }) => unsealKey !== undefined)
  expect(holders.map(({ name }) => name).sort()).toEqual(['audit', 'keeper', 'policy', 'steward', 'vault'])
  expect(new Set(holders.map(({ unsealKey }) => unsealKey)).size).toBe(holders.length)
})

test('every part listens on ports of its own, below the account clusters’', async () => {
  const ports = (await plan).flatMap((part) => part.ports)
  expect(new Set(ports).size).toBe(ports.length)
  expect(ports.every((port) => port > PORTS.portBase && port < PORTS.ports.firstCluster)).toBe(true)
})
