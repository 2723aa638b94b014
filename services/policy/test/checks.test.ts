// Every combination of token, switch, tier, scope and freeze, against tables that are read off mechanisms.md §2 to §4.
import { assert, property, string } from 'fast-check'
import { CODES } from '@bailiwick/contracts/codes'
import { effectiveScopes, PRESETS } from '@bailiwick/contracts/scopes'
import { AccountId, Principal, uuidv7 } from '@bailiwick/kernel/ids'
import type { Current } from '../src/checks/facts.ts'
import { checkFreezes, namedResources } from '../src/checks/freezes.ts'
import { readIdempotencyKey } from '../src/checks/idempotency-key.ts'
import { findCatalogFaults, leastRisk } from '../src/checks/risk.ts'
import { checkScopes, mayCall, needOf, scopesFor } from '../src/checks/scopes.ts'
import { checkSwitches } from '../src/checks/switches.ts'
import { checkTier } from '../src/checks/tier.ts'
import { formOf, makePersonalToken } from '../src/checks/token-format.ts'
import { checkToken, readAddressList } from '../src/checks/token.ts'
import type { Tier } from '../src/rules.ts'
import { catalogTool, makeCatalog, toolNamed, TOOLS } from './support/catalog.ts'

const NOW = Date.UTC(2026, 5, 1)
const HERE = uuidv7(NOW)
const catalog = makeCatalog()

const GRANTS = {
  nothing: [],
  'offline only': ['offline_access'],
  'databases read': ['databases:read'],
  'databases write': ['databases:write'],
  'databases delete': ['databases:delete'],
  'dns write': ['dns:write'],
  'websites write': ['websites:write'],
  admin: PRESETS.admin,
} as const
/** Which grants may call which tool; everybody else lacks a scope. */
const ALLOWED: Readonly<Record<string, readonly (keyof typeof GRANTS)[]>> = {
  get_database: ['databases read', 'databases write', 'admin'],
  preview_delete_database: ['databases read', 'databases write', 'databases delete', 'admin'],
  set_database_limits: ['databases write', 'admin'],
  delete_database: ['databases delete', 'admin'],
  install_wordpress: ['admin'],
}
const STATES = ['active', 'paused', 'blocked', 'revoked', 'expired'] as const
const TIERS: readonly Tier[] = ['none', 'sandbox', 'beta', 'full']
const FREEZES = ['nothing', 'account', 'this', 'other'] as const

type Case = {
  tool: string
  grant: keyof typeof GRANTS
  state: (typeof STATES)[number]
  tier: Tier
  killed: boolean
  frozen: (typeof FREEZES)[number]
}
type Rule = { readonly when: { readonly [K in keyof Case]?: readonly Case[K][] }; readonly code: string }

const CHANGING = ['set_database_limits', 'delete_database', 'install_wordpress']
/** First match wins; none is "allow". Scopes come between the fourth and the fifth. */
const BEFORE_SCOPES: readonly Rule[] = [
  { when: { state: ['revoked', 'expired'] }, code: 'UNAUTHENTICATED' },
  { when: { state: ['blocked'] }, code: 'TOKEN_BLOCKED' },
  { when: { state: ['paused'] }, code: 'TOKEN_PAUSED' },
  { when: { killed: [true] }, code: 'AI_DEPLOY_GLOBALLY_DISABLED' },
  { when: { tier: ['none'] }, code: 'AI_DEPLOY_NOT_ENABLED' },
  { when: { tier: ['sandbox'], tool: CHANGING }, code: 'AI_DEPLOY_TIER_TOO_LOW' },
]
const AFTER_SCOPES: readonly Rule[] = [
  { when: { frozen: ['account'], tool: CHANGING }, code: 'RESOURCE_FROZEN' },
  { when: { frozen: ['this'], tool: ['set_database_limits', 'delete_database'] }, code: 'RESOURCE_FROZEN' },
]

const matching = (rules: readonly Rule[], one: Case): string | undefined =>
  rules.find(({ when }) =>
    Object.entries(when).every(([field, values]) => (values as readonly unknown[]).includes(one[field as keyof Case])),
  )?.code

const expected = (one: Case): string =>
  matching(BEFORE_SCOPES, one) ??
  (ALLOWED[one.tool]!.includes(one.grant) ? undefined : 'INSUFFICIENT_SCOPE') ??
  matching(AFTER_SCOPES, one) ??
  'allow'

function decided({ tool: name, grant, state, tier, killed, frozen }: Case): string {
  const tool = toolNamed(name)
  const current: Current = {
    killed,
    token: {
      id: HERE,
      principal: Principal.parse(`pat:${HERE}`),
      name: 'agent',
      granted: GRANTS[grant],
      scopes: effectiveScopes(GRANTS[grant]),
      state: state === 'expired' ? 'active' : state,
      expiresAt: state === 'expired' ? NOW : NOW + 1,
      addresses: null,
      user: null,
      client: null,
      grant: null,
    },
    account: {
      id: AccountId.parse(HERE),
      name: 'acme',
      tier,
      frozen: frozen === 'account',
      frozenResources: new Set(frozen === 'this' ? [HERE] : frozen === 'other' ? [uuidv7(NOW)] : []),
    },
  }
  const live = checkToken(current, '192.0.2.1', NOW)
  if (!live.ok) return live.error.code
  const enabled = checkSwitches(live.value)
  if (!enabled.ok) return enabled.error.code
  const tiered = checkTier(enabled.value, tool.risk)
  if (!tiered.ok) return tiered.error.code
  const scopes = scopesFor(tool, current.token.scopes, catalog)
  const scoped = checkScopes({ ...tiered.value, need: needOf(tool) }, scopes)
  if (!scoped.ok) return scoped.error.code
  const unfrozen = checkFreezes(scoped.value, tool.risk, namedResources(tool, { database_id: HERE }))
  return unfrozen.ok ? 'allow' : unfrozen.error.code
}

test('every combination of tool, scopes, token state, tier, kill switch and freeze is decided as the tables say', () => {
  const seen = new Map<string, number>()
  for (const tool of Object.keys(ALLOWED))
    for (const grant of Object.keys(GRANTS) as (keyof typeof GRANTS)[])
      for (const state of STATES)
        for (const tier of TIERS)
          for (const killed of [false, true])
            for (const frozen of FREEZES) {
              const one = { tool, grant, state, tier, killed, frozen }
              expect({ ...one, code: decided(one) }).toEqual({ ...one, code: expected(one) })
              seen.set(expected(one), (seen.get(expected(one)) ?? 0) + 1)
            }
  // The tables are not vacuous: each answer occurs.
  expect([...seen.keys()].sort()).toEqual(
    [...BEFORE_SCOPES, ...AFTER_SCOPES]
      .map(({ code }) => code)
      .concat('INSUFFICIENT_SCOPE', 'allow')
      .filter((code, index, all) => all.indexOf(code) === index)
      .sort(),
  )
  for (const code of seen.keys()) expect(code === 'allow' || code in CODES).toBe(true)
})

test('what is listed is what may be called', () => {
  for (const [grant, scopes] of Object.entries(GRANTS))
    for (const [name, allowed] of Object.entries(ALLOWED))
      expect([grant, name, mayCall(toolNamed(name), effectiveScopes(scopes), catalog)]).toEqual([
        grant,
        name,
        (allowed as readonly string[]).includes(grant),
      ])
})

test('a delete scope opens the preview of its own domain only', () => {
  const foreign = catalogTool({
    ...toolNamed('preview_delete_database'),
    name: 'preview_delete_shop',
    scopes: ['databases:read', 'websites:read'],
  })
  const tools = makeCatalog([...TOOLS, foreign])
  expect(mayCall(foreign, ['databases:delete'], tools)).toBe(false)
  expect(mayCall(foreign, ['databases:delete', 'websites:read'], tools)).toBe(true)
  expect(mayCall(toolNamed('get_database'), ['databases:delete'], tools)).toBe(false)
})

test('a delete scope opens a preview only together with all that the deletion needs', () => {
  const target = catalogTool({
    ...toolNamed('delete_database'),
    name: 'delete_shop',
    scopes: ['databases:delete', 'websites:delete'],
    confirms: { preview_tool: 'preview_delete_shop', field: 'database_id' },
  })
  const preview = catalogTool({
    ...toolNamed('preview_delete_database'),
    name: 'preview_delete_shop',
    previews: 'delete_shop',
  })
  const tools = makeCatalog([...TOOLS, target, preview])
  expect(mayCall(preview, ['databases:delete'], tools)).toBe(false)
  expect(mayCall(preview, ['databases:delete', 'websites:delete'], tools)).toBe(true)
})

test('a personal token is told from a typo by its checksum, and every made one is well formed', () => {
  for (let n = 0; n < 200; n += 1) {
    const token = makePersonalToken()
    expect(formOf(token)).toBe('personal')
    const at = 4 + Math.floor(Math.random() * 64)
    const flipped = token.slice(0, at) + (token[at] === 'f' ? '0' : 'f') + token.slice(at + 1)
    expect(formOf(flipped)).toBe('unknown')
  }
  expect(formOf(makePersonalToken().toUpperCase())).toBe('unknown')
  expect(formOf('eyJhbGciOiJSUzI1NiJ9.e30.c2ln')).toBe('jwt')
})

test('no string makes the credential parser throw', () => {
  assert(property(string({ maxLength: 200, unit: 'binary' }), (text) => formOf(text) !== 'personal'))
})

test('an address list with anything but addresses and prefixes is refused whole', () => {
  for (const bad of [
    'localhost',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::1/129',
    '',
    '10.0.0.0/-1',
    '10.0.0.0/1e1',
  ])
    expect(readAddressList(['10.0.0.1', bad])).toBeNull()
  expect(readAddressList(['10.0.0.0/8', '::1'])).not.toBeNull()
})

test.each([
  ['list_anything', 'read'],
  ['preview_delete_database', 'read'],
  ['run_read_query', 'read'],
  ['server_metrics', 'read'],
  ['set_dns_records', 'write'],
  ['remove_rows', 'write'],
  ['undo', 'write'],
  ['remove_everything', 'destructive'],
  ['delete_database', 'destructive'],
  ['listen_and_drop', 'destructive'],
  ['reset_world', 'destructive'],
  ['settle', 'destructive'],
])('%s is at least %s', (name, risk) => {
  expect(leastRisk(name)).toBe(risk)
})

test('a catalog that declares less than policy’s own table, or leaves a gap, is not served', () => {
  const faults = (tool: Partial<ReturnType<typeof catalogTool>> & { name: string }) =>
    findCatalogFaults(
      makeCatalog([...TOOLS, catalogTool({ domain: 'dns', scopes: ['dns:read'], risk: 'read', ...tool })]),
    )
  expect(findCatalogFaults(catalog)).toEqual([])
  expect(faults({ name: 'list_more' })).toEqual([])
  expect(faults({ name: 'delete_zone' })).toEqual([expect.stringContaining('at least destructive')])
  expect(faults({ name: 'wipe' })).toEqual([expect.stringContaining('at least destructive')])
  expect(faults({ name: 'set_more', risk: 'write', effect: 'exact' })).toEqual([
    expect.stringContaining('none of its scopes'),
  ])
  expect(faults({ name: 'list_all', scopes: [] })).toEqual([expect.stringContaining('no rule of its own')])
  expect(faults({ name: 'list_all', scopes: ['dns:admin'] })).toEqual([expect.stringContaining('does not exist')])
  expect(faults({ name: 'delete_zone', risk: 'destructive', scopes: ['dns:delete'] })).toEqual([
    expect.stringContaining('no preview tool'),
  ])
  expect(faults({ name: 'preview_more', previews: 'delete_database' })).toEqual([
    expect.stringContaining('its own domain'),
  ])
})

test('two keys that differ are no key', () => {
  const [one, two] = ['4f2c3f0e-3b0e-4f6a-9d0a-0a3b1c2d3e4f', '4f2c3f0e-3b0e-4f6a-9d0a-0a3b1c2d3e40']
  expect(readIdempotencyKey(null, {})).toEqual({ ok: true, value: null })
  expect(readIdempotencyKey(one, { idempotency_key: one.toUpperCase() })).toEqual({ ok: true, value: one })
  expect(readIdempotencyKey(one, { idempotency_key: two }).ok).toBe(false)
  expect(readIdempotencyKey('', {}).ok).toBe(false)
})
