// Every changing tool, set up on real backends: what to call, and how to look at what it touched from outside.
// Used twice: undone in peace (reversibility.test.ts), and with the steward killed in every journal state (crash.test.ts).
import pg from 'pg'
import { idHex } from '@bailiwick/kernel/ids'
import {
  clusterSuperuser,
  secretOf,
  snapshotDatabase,
  snapshotKeys,
  snapshotZone,
  type ClusterLogin,
} from './backends.ts'
import type { Account } from './shared-stack.ts'
import type { Stack } from './support.ts'

export type Prepared = {
  tool: string
  input: Record<string, unknown>
  /** The touched part of the backends, as text; `absent` when it is out of sight. */
  look: () => Promise<string>
  /** For tools whose effect is only to add (`kept`): there is nothing to undo. */
  undoable: boolean
  /** For destructive tools: gets the confirmation into the input. */
  confirm?: () => Promise<Record<string, unknown>>
}

export type Scenario = { tool: string; prepare: (stack: Stack, account: Account, tag: string) => Promise<Prepared> }

type Database = { id: string; login: ClusterLogin }

async function database(stack: Stack, account: Account, tag: string): Promise<Database> {
  const made = await stack.must(account.token, 'create_database', { name: `db-${tag}` })
  const id = made['database_id'] as string
  await stack.must(account.token, 'create_table', {
    database_id: id,
    table: 'orders',
    columns: [
      { name: 'id', type: 'integer', nullable: false },
      { name: 'item', type: 'text' },
      { name: 'price', type: 'numeric' },
      { name: 'extra', type: 'jsonb' },
    ],
    primary_key: ['id'],
  })
  await stack.must(account.token, 'insert_rows', {
    database_id: id,
    table: 'orders',
    rows: [1, 2, 3].map((n) => ({ id: n, item: `item "${n}" 'ü'`, price: `${n}.10`, extra: { n } })),
  })
  // What an application would add through its password: a sequence in use, a reference that cascades, an index, a view.
  const login = made['secret'] as ClusterLogin
  const app = new pg.Client({
    host: login.host,
    port: login.port,
    user: login.username,
    password: login.password,
    database: login.database,
  })
  await app.connect()
  await app.query(
    `CREATE TABLE lines (id serial PRIMARY KEY, note text); INSERT INTO lines (note) SELECT 'n' || g FROM generate_series(1, 5) g;
     CREATE INDEX lines_note ON lines (note); CREATE VIEW notes AS SELECT note FROM lines`,
  )
  await app.end()
  return { id, login }
}

/** Looks at a database as a whole, also when it came into being only now. */
async function lookAtDatabase(
  stack: Stack,
  account: Account,
  id: string | null,
  sample: { host: string; port: number },
): Promise<string> {
  const login = await clusterSuperuser(stack, account.id, sample)
  const client = new pg.Client({ ...login, database: 'postgres' })
  await client.connect()
  const { rows } = await client.query<{ datname: string }>(
    `SELECT datname FROM pg_database WHERE datname LIKE 'db\\_%' ORDER BY 1`,
  )
  await client.end()
  if (id === null)
    return rows.length === 0 ? 'absent' : rows.map(({ datname }) => datname.replace(/[0-9a-f]{32}/, '<id>')).join(' ')
  return rows.some(({ datname }) => datname === `db_${idHex(id)}`) ? snapshotDatabase(login, id) : 'absent'
}

const onDatabase = (tool: string, input: Record<string, unknown>): Scenario => ({
  tool,
  prepare: async (stack, account, tag) => {
    const { id, login } = await database(stack, account, tag)
    return {
      tool,
      input: { database_id: id, ...input },
      undoable: true,
      look: () => lookAtDatabase(stack, account, id, login),
    }
  },
})

type Domain = { id: string; name: string; proof: string }
async function domain(stack: Stack, account: Account, tag: string, name: string = `d-${tag}.example`): Promise<Domain> {
  const made = await stack.must(account.token, 'add_domain', { name })
  const id = made['domain_id'] as string
  const set = (record: Record<string, unknown>): Promise<unknown> =>
    stack.must(account.token, 'set_dns_records', { domain_id: id, ...record })
  await set({ name: 'www', type: 'A', ttl_seconds: 300, records: ['192.0.2.1', '192.0.2.2'] })
  await set({
    name: 'txt',
    type: 'TXT',
    ttl_seconds: 120,
    records: ['a "quoted" value; with \\ and ü', 'x'.repeat(300)],
  })
  await set({ name: '*.apps', type: 'CNAME', ttl_seconds: 60, records: [`www.${name}`] })
  await set({ name: '_sip._tcp', type: 'SRV', ttl_seconds: 60, records: [`1 2 5060 www.${name}`] })
  return { id, name, proof: (made['verification'] as { value: string }).value }
}
const lookAtZone = async (stack: Stack, { id, name }: Omit<Domain, 'proof'>): Promise<string> =>
  (await snapshotZone(stack, id, name)) ?? 'absent'

const onDomain = (
  tool: string,
  input: (domain: Domain) => Record<string, unknown>,
  before?: (stack: Stack, account: Account, domain: Domain) => Promise<void>,
): Scenario => ({
  tool,
  prepare: async (stack, account, tag) => {
    const made = await domain(stack, account, tag)
    await before?.(stack, account, made)
    return { tool, input: { domain_id: made.id, ...input(made) }, undoable: true, look: () => lookAtZone(stack, made) }
  },
})

const withPreview = (scenario: Scenario, preview: string): Scenario => ({
  tool: scenario.tool,
  prepare: async (stack, account, tag) => {
    const prepared = await scenario.prepare(stack, account, tag)
    return {
      ...prepared,
      confirm: async () => {
        const { preview_token } = await stack.must(account.token, preview, prepared.input)
        return { ...prepared.input, preview_token, confirm: true }
      },
    }
  },
})

/** A zone in the world outside, which for the tests is the stack's own name server. */
export async function outsideZone(
  stack: Stack,
  zone: string,
  sets: readonly { name: string; type: string; contents: readonly string[] }[],
): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${stack.portBase + 23}/api/v1/servers/localhost/zones`, {
    method: 'POST',
    headers: { 'x-api-key': await secretOf(stack, 'keeper', 'powerdns_api_key'), 'content-type': 'application/json' },
    body: JSON.stringify({
      name: zone,
      kind: 'Native',
      nameservers: ['ns1.outside.invalid.'],
      rrsets: sets.map(({ name, type, contents }) => ({
        name,
        type,
        ttl: 60,
        changetype: 'REPLACE',
        records: contents.map((content) => ({ content, disabled: false })),
      })),
    }),
  })
  if (response.status !== 201) throw new Error(`outside zone: ${response.status} ${await response.text()}`)
}

/** Puts the verification record where the stack's resolver looks: into a zone of its own, as the domain's real DNS would. */
export async function proveControl(
  stack: Stack,
  _account: unknown,
  { name, proof }: { name: string; proof: string },
): Promise<void> {
  const zone = `_bailiwick.${name}.`
  await outsideZone(stack, zone, [{ name: zone, type: 'TXT', contents: [`"${proof}"`] }])
}

/** A served domain under a parent of its own that holds no DS for it: without one, nobody outside could say that there is none. */
async function published(stack: Stack, account: Account, tag: string): Promise<Domain> {
  const parent = `p-${tag}.example`
  await outsideZone(stack, `${parent}.`, [])
  const made = await domain(stack, account, tag, `d.${parent}`)
  await proveControl(stack, account, made)
  await stack.must(account.token, 'verify_domain', { domain_id: made.id })
  return made
}
const onPublished = (
  tool: string,
  before?: (stack: Stack, account: Account, domain: Domain) => Promise<unknown>,
): Scenario => ({
  tool,
  prepare: async (stack, account, tag) => {
    const made = await published(stack, account, tag)
    await before?.(stack, account, made)
    return {
      tool,
      input: { domain_id: made.id },
      undoable: true,
      look: async () => `${await lookAtZone(stack, made)}\n${await snapshotKeys(stack, made.name)}`,
    }
  },
})

export const SCENARIOS: readonly Scenario[] = [
  {
    tool: 'create_database',
    prepare: async (stack, account, tag) => {
      // The account's cluster exists already, so that what is looked at is the database alone.
      const first = await database(stack, account, `${tag}-first`)
      return {
        tool: 'create_database',
        input: { name: `db-${tag}` },
        undoable: true,
        look: () => lookAtDatabase(stack, account, null, first.login),
      }
    },
  },
  onDatabase('create_table', {
    table: 'extra',
    columns: [
      { name: 'id', type: 'uuid' },
      { name: 'at', type: 'timestamptz', unique: true },
    ],
    primary_key: ['id'],
  }),
  onDatabase('insert_rows', {
    table: 'orders',
    rows: [
      { id: 10, item: 'ten', price: '10.00', extra: null },
      { id: 11, item: null, price: null, extra: [1] },
    ],
  }),
  onDatabase('update_rows', {
    table: 'orders',
    updates: [
      { key: { id: 1 }, values: { item: 'changed', price: '99' } },
      { key: { id: 3 }, values: { extra: { n: 'x' } } },
    ],
  }),
  onDatabase('remove_rows', { table: 'orders', keys: [{ id: 1 }, { id: 2 }] }),
  onDatabase('set_database_limits', { limits: { connections: 7, statement_timeout_ms: 12_000 } }),
  withPreview(onDatabase('delete_database', {}), 'preview_delete_database'),
  {
    tool: 'add_domain',
    prepare: async (stack, account, tag) => {
      const name = `d-${tag}.example`
      return {
        tool: 'add_domain',
        input: { name },
        undoable: true,
        look: async () => {
          const { domains } = (await stack.must(account.token, 'list_domains', {})) as {
            domains: { domain_id: string; name: string }[]
          }
          const found = domains.find((item) => item.name === name)
          return found ? lookAtZone(stack, { id: found.domain_id, name }) : 'absent'
        },
      }
    },
  },
  onDomain('verify_domain', () => ({}), proveControl),
  // Signed before and parked, so that what comes and goes is the use of one key: making the first one takes nothing from anybody.
  onPublished('sign_domain', async (stack, account, { id }) => {
    await stack.must(account.token, 'sign_domain', { domain_id: id })
    await stack.must(account.token, 'unsign_domain', { domain_id: id })
  }),
  onPublished('unsign_domain', (stack, account, { id }) => stack.must(account.token, 'sign_domain', { domain_id: id })),
  onDomain('set_dns_records', () => ({ name: 'www', type: 'A', ttl_seconds: 900, records: ['198.51.100.1'] })),
  onDomain('restore_dns_version', () => ({ version: 2 })),
  withPreview(
    onDomain('delete_dns_records', () => ({
      sets: [
        { name: 'txt', type: 'TXT' },
        { name: 'www', type: 'A' },
      ],
    })),
    'preview_delete_dns_records',
  ),
  withPreview(
    onDomain('delete_domain', () => ({})),
    'preview_delete_domain',
  ),
]

/** Changes that add and take nothing away: no undo, but done once whatever happens. */
export const KEPT: readonly string[] = ['rotate_database_password', 'restore_database_to_new']
