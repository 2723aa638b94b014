// Resources as a tool sees them: the account's rows, with what this operation is about to change already applied. Changes are
// collected and written in the `committed` transaction alone.
import { deny } from '@bailiwick/contracts/problem'
import type { Json } from '@bailiwick/kernel/canonical'
import { ResourceId, type AccountId, type OperationId } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'
import { Refused, type Page, type Resource, type Resources, type ZoneVersion } from './context.ts'
import type { Database, Query } from './database.ts'

type Change = { state?: Resource['state']; name?: string; data?: { [key: string]: Json } }
/** What one run of a handler wants to be true. A run after a crash starts with a new one. */
export type Changes = {
  readonly created: Map<string, Resource>
  readonly changed: Map<string, Change>
  readonly zones: { zoneId: string; recordSets: Json }[]
}
export const noChanges = (): Changes => ({ created: new Map(), changed: new Map(), zones: [] })

type Row = {
  id: ResourceId
  kind: string
  name: string
  version: number
  state: Resource['state']
  data: { [key: string]: Json }
  created_at: Date
  updated_at: Date
}
const toResource = (row: Row): Resource => ({
  id: row.id,
  kind: row.kind,
  name: row.name,
  version: row.version,
  state: row.state,
  data: row.data,
  createdAt: row.created_at.getTime(),
  updatedAt: row.updated_at.getTime(),
})

/** Those of `ids` that exist in `account`; one round trip. A foreign id and an absent one look the same from here on. */
export async function loadResources(
  database: Database,
  account: AccountId,
  ids: readonly string[],
): Promise<Map<string, Resource>> {
  if (ids.length === 0) return new Map()
  const rows = await database.query<Row>('SELECT * FROM steward.read_resources($1, $2)', [account, ids])
  return new Map(rows.map((row) => [row.id, toResource(row)]))
}

export function bindResources(
  database: Database,
  scope: { account: AccountId; now: number; loaded: ReadonlyMap<string, Resource>; changes: Changes | null },
): Resources {
  const { account, now, loaded, changes } = scope
  const asChanged = (resource: Resource): Resource => {
    const change = changes?.changed.get(resource.id)
    return change ? { ...resource, ...change } : resource
  }
  const collect = (): Changes => {
    if (!changes) throw new Fault('INTERNAL', 'resources change in handle and undo only')
    return changes
  }
  const change = (id: string, next: Change): void => {
    const { created, changed } = collect()
    const made = created.get(id)
    if (made) created.set(id, { ...made, ...next })
    else changed.set(id, { ...changed.get(id), ...next })
  }
  return {
    async get(id) {
      const parsed = ResourceId.safeParse(id)
      const made = changes?.created.get(id)
      if (made) return made
      const known =
        loaded.get(id) ?? (parsed.success ? (await loadResources(database, account, [id])).get(id) : undefined)
      if (!known) throw new Refused(deny('NOT_FOUND'))
      return asChanged(known)
    },
    async findByName(kind, name) {
      const isIt = (resource: Resource): boolean =>
        resource.kind === kind && resource.name === name && resource.state === 'active'
      const made = [...(changes?.created.values() ?? [])].find(isIt)
      if (made) return made
      const rows = await database.query<Row>('SELECT * FROM steward.find_resource($1, $2, $3)', [account, kind, name])
      return rows.map((row) => asChanged(toResource(row))).find(isIt) ?? null
    },
    async list(kind, { limit, cursor }) {
      const after = cursor === null ? null : readCursor(cursor, (text) => ResourceId.safeParse(text).success)
      const rows = await database.query<Row>('SELECT * FROM steward.list_resources($1, $2, $3, $4)', [
        account,
        kind,
        after,
        limit + 1,
      ])
      return toPage(rows, limit, toResource, (row) => row.id)
    },
    create: ({ id, kind, name, data = {} }) =>
      void collect().created.set(id, {
        id,
        kind,
        name,
        data,
        version: 1,
        state: 'active',
        createdAt: now,
        updatedAt: now,
      }),
    setState: (id, state) => change(id, { state }),
    setData: (id, data) => change(id, { data }),
    rename: (id, name) => change(id, { name }),
  }
}

/** Writes what a run collected; the versions of all that it touched move, whether their rows changed or not. */
export async function applyChanges(
  query: Query,
  scope: { account: AccountId; operationId: OperationId; now: number; touched: readonly string[] },
  changes: Changes,
): Promise<void> {
  const at = new Date(scope.now)
  for (const id of new Set([...scope.touched, ...changes.changed.keys()])) {
    if (changes.created.has(id)) continue
    const { name, state, data } = changes.changed.get(id) ?? {}
    const rows = await query(
      `UPDATE steward.resources SET version = version + 1, updated_at = $2, name = coalesce($3, name),
         state = coalesce($4, state), data = coalesce($5::jsonb, data) WHERE id = $1 RETURNING id`,
      [id, at, name ?? null, state ?? null, data === undefined ? null : JSON.stringify(data)],
    )
    if (rows.length === 0) throw new Fault('INTERNAL', `resource ${id} is not there to change`)
  }
  for (const made of changes.created.values()) {
    await query(
      `INSERT INTO steward.resources (id, account_id, kind, name, state, data, created_at, updated_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $7)`,
      [made.id, scope.account, made.kind, made.name, made.state, JSON.stringify(made.data), at],
    )
  }
  for (const { zoneId, recordSets } of changes.zones) {
    await query(
      `INSERT INTO steward.zone_versions (account_id, zone_id, version, at, operation_id, record_sets)
       SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5::json FROM steward.zone_versions WHERE zone_id = $2`,
      [scope.account, zoneId, at, scope.operationId, JSON.stringify(recordSets)],
    )
  }
}

type ZoneRow = { version: number; at: Date; operation_id: string; record_sets: Json }
const toZoneVersion = (row: ZoneRow): ZoneVersion => ({
  version: row.version,
  at: row.at.getTime(),
  operationId: row.operation_id,
  recordSets: row.record_sets,
})

/** Zone versions, newest first; the cursor is the version before which the next page starts. */
export async function listZoneVersions(
  database: Database,
  account: AccountId,
  zoneId: string,
  { limit, cursor }: { limit: number; cursor: string | null },
): Promise<Page<ZoneVersion>> {
  const before = cursor === null ? null : Number(readCursor(cursor, (text) => /^\d{1,9}$/.test(text)))
  const rows = await database.query<ZoneRow>('SELECT * FROM steward.list_zone_versions($1, $2, $3, $4)', [
    account,
    zoneId,
    before,
    limit + 1,
  ])
  return toPage(rows, limit, toZoneVersion, (row) => String(row.version))
}

export async function readZoneVersion(
  database: Database,
  account: AccountId,
  zoneId: string,
  version: number,
): Promise<ZoneVersion | null> {
  const rows = await database.query<ZoneRow>('SELECT * FROM steward.list_zone_versions($1, $2, $3, 1)', [
    account,
    zoneId,
    version + 1,
  ])
  return rows[0]?.version === version ? toZoneVersion(rows[0]) : null
}

/** `rows` holds one more than the page when there is a next one. */
export function toPage<R, T>(
  rows: readonly R[],
  limit: number,
  map: (row: R) => T,
  position: (row: R) => string,
): Page<T> {
  const page = rows.slice(0, limit)
  return {
    items: page.map(map),
    nextCursor: rows.length > limit ? Buffer.from(position(page.at(-1)!)).toString('base64url') : null,
  }
}

export function readCursor(cursor: string, isPosition: (text: string) => boolean): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8')
  if (!isPosition(text))
    throw new Refused(
      deny('INPUT_INVALID', { extra: { errors: [{ path: 'cursor', message: 'not a cursor of this list' }] } }),
    )
  return text
}
