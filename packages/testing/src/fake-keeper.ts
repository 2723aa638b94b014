// An in-memory keeper of the keeper's first door: the same messages, refusals and idempotency by operation, verb and target.
// Tests steer how it fails, act with a handed-out password (`direct`), and compare its whole world.
import type { z } from 'zod'
import { keeperDoor } from '@bailiwick/contracts/doors/keeper'
import { parseRecordValue, type RecordSet } from '@bailiwick/contracts/dns'
import type { ColumnSpec, KeyValues, RowValues } from '@bailiwick/contracts/tables'
import { canonical, hashJson, type Json } from '@bailiwick/kernel/canonical'
import { systemClock, type Clock } from '@bailiwick/kernel/clock'
import type { Client } from '@bailiwick/kernel/door'
import { idHex } from '@bailiwick/kernel/ids'
import { Fault } from '@bailiwick/kernel/result'

type Routes = (typeof keeperDoor)['routes']
export type KeeperVerb = keyof Routes
type Input<V extends KeeperVerb> = z.output<Routes[V]['input']>
type Answer<V extends KeeperVerb> = Omit<Extract<z.input<Routes[V]['output']>, { ok: true }>, 'ok'>
type Refusal = { code: string; detail: string; conflicts?: { [key: string]: Json }[] }

type Row = { [column: string]: Json }
type Table = { columns: ColumnSpec[]; primaryKey: string[]; rows: Map<string, Row> }
type Change = { operation: string | null; table: string; before: Row | null; after: Row | null }
type Tables = Map<string, Table>
type FakeDatabase = {
  account: string
  state: 'active' | 'quarantined'
  limits: { connections: number; statement_timeout_ms: number }
  tables: Tables
  hidden: { table: string; operation: string; content: Table }[]
  history: Change[]
  timeline: { at: number; tables: Tables }[]
}
type FakeZone = {
  account: string
  name: string
  state: 'staged' | 'published' | 'quarantined'
  wasPublished: boolean
  serial: number
  sets: Map<string, RecordSet>
}

class Refused extends Error {
  readonly refusal: Refusal
  constructor(code: string, detail: string, conflicts?: Refusal['conflicts']) {
    super(code)
    this.refusal = { code, detail, ...(conflicts ? { conflicts } : {}) }
  }
}

export const FAKE_NAME_SERVERS = ['ns1.bailiwick.invalid.', 'ns2.bailiwick.invalid.']

export type FakeKeeper = ReturnType<typeof createFakeKeeper>

export function createFakeKeeper({ clock = systemClock }: { clock?: Clock } = {}) {
  const databases = new Map<string, FakeDatabase>()
  const zones = new Map<string, FakeZone>()
  const memory = new Map<string, { operation: string; verb: string; target: string; input: string; answer: object }>()
  /** What resolvers outside see, beside what is published. */
  const txt = new Map<string, string[]>()
  let passwords = 0

  // Databases
  const databaseOf = (input: { account_id: string; database_id: string }, evenQuarantined = false): FakeDatabase => {
    const found = databases.get(input.database_id)
    if (!found || found.account !== input.account_id || (found.state === 'quarantined' && !evenQuarantined))
      throw new Refused('NOT_FOUND', 'there is no such database')
    return found
  }
  const tableOf = (database: FakeDatabase, name: string): Table => {
    const found = database.tables.get(name)
    if (!found) throw new Refused('NOT_FOUND', 'there is no such table')
    return found
  }
  const connectionOf = (id: string) => ({
    host: '127.0.0.1',
    port: 8500,
    database: `db_${idHex(id)}`,
    username: `u_${idHex(id)}`,
  })
  const moved = (database: FakeDatabase): void =>
    void database.timeline.push({ at: clock.now(), tables: structuredClone(database.tables) })
  const keyOf = (table: Table, row: Row): KeyValues =>
    Object.fromEntries(table.primaryKey.map((column) => [column, row[column] as string | number | boolean]))
  /** The key as stored values are: `{id: 1}` finds a bigint that reads as "1". */
  const keyText = (table: Table, key: Row): string => {
    if (Object.keys(key).sort().join() !== [...table.primaryKey].sort().join())
      throw new Refused('INPUT_INVALID', 'not the primary key')
    return canonical(Object.fromEntries(Object.entries(key).map(([name, value]) => [name, stored(table, name, value)])))
  }
  const stored = (table: Table, name: string, value: Json): Json => {
    const column = table.columns.find((each) => each.name === name)
    if (!column) throw new Refused('INPUT_INVALID', 'there is no such column')
    if (value === null) {
      if (column.nullable && !table.primaryKey.includes(name)) return null
      throw new Refused('INPUT_INVALID', `a column that must have a value has none (${name})`)
    }
    return column.type === 'bigint' || column.type === 'numeric' ? String(value as string | number) : value
  }
  const write = (database: FakeDatabase, change: Change): void => {
    const table = tableOf(database, change.table)
    if (change.before) table.rows.delete(keyText(table, keyOf(table, change.before)))
    if (change.after) {
      const key = keyText(table, keyOf(table, change.after))
      if (table.rows.has(key)) throw new Refused('CONFLICT', 'a row with the same unique value exists')
      table.rows.set(key, change.after)
    }
    database.history.push(change)
  }
  /** All or nothing. */
  const atomically = <T>(database: FakeDatabase, act: () => T): T => {
    const { tables, history } = structuredClone({ tables: database.tables, history: database.history })
    try {
      const result = act()
      moved(database)
      return result
    } catch (error) {
      Object.assign(database, { tables, history })
      throw error
    }
  }
  const rowOf = (table: Table, values: RowValues): Row =>
    Object.fromEntries(
      [...new Set([...table.columns.map(({ name }) => name), ...Object.keys(values)])].map((name) => [
        name,
        stored(table, name, (values[name] ?? null) as Json),
      ]),
    )
  const present = (table: Table, key: KeyValues): Row => {
    const row = table.rows.get(keyText(table, key))
    if (!row) throw new Refused('NOT_FOUND', 'there is no such row')
    return row
  }
  const insert = (database: FakeDatabase, operation: string | null, name: string, rows: readonly RowValues[]) =>
    atomically(database, () => {
      const table = tableOf(database, name)
      return rows.map((values) => {
        const after = rowOf(table, values)
        write(database, { operation, table: name, before: null, after })
        return keyOf(table, after)
      })
    })
  const update = (
    database: FakeDatabase,
    operation: string | null,
    name: string,
    updates: readonly { key: KeyValues; values: RowValues }[],
  ): void =>
    atomically(database, () => {
      for (const { key, values } of updates) {
        const table = tableOf(database, name)
        const before = present(table, key)
        write(database, { operation, table: name, before, after: rowOf(table, { ...before, ...values } as RowValues) })
      }
    })
  /** What is not there is not removed, and not counted. */
  const remove = (database: FakeDatabase, operation: string | null, name: string, keys: readonly KeyValues[]): number =>
    atomically(database, () => {
      const table = tableOf(database, name)
      const found = keys.map((key) => table.rows.get(keyText(table, key))).filter((row) => row !== undefined)
      for (const before of found) write(database, { operation, table: name, before, after: null })
      return found.length
    })
  const reverse = (database: FakeDatabase, operation: string, of: string): number =>
    atomically(database, () => {
      const conflicts: { [key: string]: Json }[] = []
      const deeds = database.history.filter((change) => change.operation === of).toReversed()
      for (const { table: name, before, after } of deeds) {
        const table = tableOf(database, name)
        const key = keyOf(table, (after ?? before)!)
        const now = table.rows.get(keyText(table, key)) ?? null
        if (canonical(now) === canonical(after))
          write(database, { operation, table: name, before: after, after: before })
        else conflicts.push({ table: name, key: key as Json })
      }
      if (conflicts.length > 0) throw new Refused('UNDO_CONFLICT', 'rows changed since', conflicts)
      return deeds.length
    })

  // Zones
  const zoneOf = (input: { account_id: string; zone_id: string; name: string }): FakeZone => {
    const found = zones.get(input.zone_id)
    if (!found || found.account !== input.account_id || found.name !== input.name || found.state === 'quarantined')
      throw new Refused('NOT_FOUND', 'No zone with this id in this account.')
    return found
  }
  const isServed = (name: string): boolean =>
    [...zones.values()].some((zone) => zone.name === name && zone.state === 'published')
  const replaceSets = (zone: FakeZone, sets: readonly RecordSet[]): void => {
    const next = new Map(zone.sets)
    for (const set of sets) {
      const id = `${set.name} ${set.type}`
      if (set.records.length === 0 && id === '@ NS')
        throw new Refused('CONFLICT', 'A zone cannot be without NS records at its apex.')
      if (set.records.length === 0) next.delete(id)
      else next.set(id, { ...set, records: set.records.map((value) => parseRecordValue(set.type, value)!).sort() })
    }
    for (const { name, type } of next.values())
      if (type === 'CNAME' && [...next.values()].some((other) => other.name === name && other.type !== 'CNAME'))
        throw new Refused('CONFLICT', `${name} cannot have a CNAME beside other records.`)
    zone.sets = next
    zone.serial += 1
  }
  const restorePoint = (operation: string, content: Json) => ({
    kind: 'snapshot' as const,
    name: `${operation}.fake`,
    sha256: hashJson(content),
    size_bytes: canonical(content).length,
  })

  const acts: { readonly [V in KeeperVerb]: (input: Input<V>) => Answer<V> } = {
    create_database({ account_id, database_id }) {
      if (databases.has(database_id)) throw new Refused('CONFLICT', 'there is such a database')
      const limits = { connections: 20, statement_timeout_ms: 60_000 }
      const made: FakeDatabase = {
        account: account_id,
        state: 'active',
        limits,
        tables: new Map(),
        hidden: [],
        history: [],
        timeline: [],
      }
      databases.set(database_id, made)
      moved(made)
      return { connection: connectionOf(database_id) }
    },
    issue_password(input) {
      databaseOf(input)
      passwords += 1
      return { connection: connectionOf(input.database_id), password: `password-${passwords}` }
    },
    describe_database(input) {
      const found = databases.get(input.database_id)
      if (!found || found.account !== input.account_id)
        return { state: 'absent', size_bytes: 0, limits: null, tables: [], connection: null, restorable_from: null }
      const restorable_from = found.timeline[0]?.at ?? null
      if (found.state === 'quarantined')
        return { state: 'quarantined', size_bytes: 0, limits: null, tables: [], connection: null, restorable_from }
      return {
        state: 'active',
        size_bytes: 8192,
        limits: found.limits,
        tables: [...found.tables].map(([name, table]) => ({
          name,
          columns: table.columns.map(({ name, type, nullable }) => ({ name, type, nullable, default: null })),
          primary_key: table.primaryKey,
          rows: table.rows.size,
        })),
        connection: connectionOf(input.database_id),
        restorable_from,
      }
    },
    read_rows(input) {
      const table = tableOf(databaseOf(input), input.table)
      const order = (key: Row): string => JSON.stringify(table.primaryKey.map((column) => order1(key[column]!)))
      const all = [...table.rows.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1))
      const after = input.after && order(input.after)
      const wanted = input.keys?.map((key) => keyText(table, key))
      const rows = all.filter((row) =>
        wanted ? wanted.includes(keyText(table, keyOf(table, row))) : after === null || order(row) > after,
      )
      return { rows: rows.slice(0, input.limit) as never, primary_key: table.primaryKey }
    },
    /** Understands `select * from <table>` alone. */
    run_read_query(input) {
      const name = /^select \* from ([a-z_0-9]+)$/.exec(input.sql)?.[1]
      if (!name) throw new Refused('QUERY_REFUSED', 'not a read')
      const table = tableOf(databaseOf(input), name)
      const columns = table.columns.map((column) => column.name)
      const rows = [...table.rows.values()].map((row) => columns.map((column) => row[column]!))
      return { columns, rows: rows.slice(0, input.row_cap) as never, truncated: rows.length > input.row_cap }
    },
    create_table(input) {
      const database = databaseOf(input)
      if (database.tables.has(input.table)) throw new Refused('CONFLICT', 'something of that name exists')
      database.tables.set(input.table, { columns: input.columns, primaryKey: input.primary_key, rows: new Map() })
      moved(database)
      return {}
    },
    quarantine_table(input) {
      const database = databaseOf(input)
      database.hidden.push({
        table: input.table,
        operation: input.operation_id,
        content: tableOf(database, input.table),
      })
      database.tables.delete(input.table)
      moved(database)
      return {}
    },
    restore_table(input) {
      const database = databaseOf(input)
      const index = database.hidden.findLastIndex(({ table }) => table === input.table)
      if (index < 0) throw new Refused('NOT_FOUND', 'there is no such table')
      if (database.tables.has(input.table)) throw new Refused('CONFLICT', 'something of that name exists')
      database.tables.set(input.table, database.hidden.splice(index, 1)[0]!.content)
      moved(database)
      return {}
    },
    insert_rows: (input) => ({ keys: insert(databaseOf(input), input.operation_id, input.table, input.rows) }),
    update_rows(input) {
      update(databaseOf(input), input.operation_id, input.table, input.updates)
      return { updated: input.updates.length }
    },
    remove_rows: (input) => ({
      removed: remove(databaseOf(input), input.operation_id, input.table, input.keys),
    }),
    reverse_rows: (input) => ({ reversed: reverse(databaseOf(input), input.operation_id, input.of_operation) }),
    set_database_limits(input) {
      databaseOf(input).limits = input.limits
      return {}
    },
    dump_database: (input) => ({
      restore_point: restorePoint(input.operation_id, plain(databaseOf(input).tables)),
    }),
    quarantine_database(input) {
      databaseOf(input).state = 'quarantined'
      return {}
    },
    restore_database(input) {
      const database = databaseOf(input, true)
      if (database.state === 'active') throw new Refused('CONFLICT', 'the database is not quarantined')
      database.state = 'active'
      return {}
    },
    restore_database_to_new(input) {
      const source = databaseOf(input, true)
      const then = source.timeline.findLast(({ at }) => at <= input.target_time)
      if (!then) throw new Refused('INPUT_INVALID', 'nothing is archived for this time')
      databases.set(input.new_database_id, {
        ...source,
        state: 'active',
        tables: structuredClone(then.tables),
        hidden: [],
        history: [],
        timeline: [{ at: clock.now(), tables: structuredClone(then.tables) }],
      })
      return { connection: connectionOf(input.new_database_id), recovered_to: input.target_time }
    },
    create_zone({ account_id, zone_id, name }) {
      if (zones.has(zone_id)) throw new Refused('CONFLICT', 'there is such a zone')
      const ns: RecordSet = { name: '@', type: 'NS', ttl_seconds: 3600, records: FAKE_NAME_SERVERS }
      const sets = new Map([['@ NS', ns]])
      zones.set(zone_id, { account: account_id, name, state: 'staged', wasPublished: false, serial: 1, sets })
      return {}
    },
    read_zone(input) {
      const found = zones.get(input.zone_id)
      if (!found || found.account !== input.account_id || found.name !== input.name)
        return { zone: { state: 'absent', serial: null, record_sets: [] } }
      if (found.state === 'quarantined') return { zone: { state: 'quarantined', serial: null, record_sets: [] } }
      return { zone: { state: found.state, serial: found.serial, record_sets: [...found.sets.values()] } }
    },
    replace_record_sets(input) {
      replaceSets(zoneOf(input), input.record_sets)
      return {}
    },
    publish_zone(input) {
      const zone = zoneOf(input)
      if (zone.state !== 'published' && isServed(input.name))
        throw new Refused('CONFLICT', 'This name is served by another zone.')
      zone.state = 'published'
      return {}
    },
    unpublish_zone(input) {
      zoneOf(input).state = 'staged'
      return {}
    },
    quarantine_zone(input) {
      const zone = zoneOf(input)
      zone.wasPublished = zone.state === 'published'
      zone.state = 'quarantined'
      return { restore_point: restorePoint(input.operation_id, plain(zone.sets)) }
    },
    restore_zone(input) {
      const zone = zones.get(input.zone_id)
      if (!zone || zone.account !== input.account_id) throw new Refused('NOT_FOUND', 'No zone with this id.')
      if (zone.state !== 'quarantined') throw new Refused('CONFLICT', 'The zone is not in the trash.')
      const state = zone.wasPublished && !isServed(zone.name) ? 'published' : 'staged'
      zone.state = state
      return { state }
    },
    resolve_txt({ name }) {
      const served = [...zones.values()]
        .filter((zone) => zone.state === 'published')
        .flatMap((zone) =>
          [...zone.sets.values()].filter(
            (set) => set.type === 'TXT' && (set.name === '@' ? zone.name : `${set.name}.${zone.name}`) === name,
          ),
        )
      return { values: [...(txt.get(name) ?? []), ...served.flatMap(({ records }) => records)] }
    },
    probe: ({ operation_id }) => ({
      steps: [...memory.values()]
        .filter(({ operation }) => operation === operation_id)
        .map(({ verb, target }) => ({ verb, target, state: 'done' as const })),
    }),
  }

  // How it fails
  const failsBefore = new Set<KeeperVerb>()
  const failsAfterEffect = new Set<KeeperVerb>()
  const refuses = new Map<KeeperVerb, Refusal>()
  const calls: { verb: KeeperVerb; input: object }[] = []

  function call(verb: KeeperVerb, raw: unknown): object {
    const input = keeperDoor.routes[verb].input.parse(raw) as { [key: string]: Json }
    calls.push({ verb, input })
    if (failsBefore.has(verb)) throw new Fault('BACKEND_UNAVAILABLE', `${verb} fails before`)
    const refusal = refuses.get(verb)
    if (refusal) return { ok: false, ...refusal }
    const operation = 'operation_id' in input && verb !== 'probe' ? String(input['operation_id']) : null
    const target = [input['database_id'] ?? input['zone_id'], input['table'] ?? input['of_operation']].join('/')
    const id = `${String(input['account_id'])} ${operation} ${verb} ${target}`
    const before = operation ? memory.get(id) : undefined
    if (before && before.input !== hashJson(input))
      throw new Fault('OPERATION_REUSED', `${verb} of operation ${operation} came with another input`)
    try {
      const answer = before?.answer ?? { ok: true, ...(acts[verb] as (input: never) => object)(input as never) }
      if (operation) memory.set(id, { operation, verb, target, input: hashJson(input), answer })
      if (failsAfterEffect.has(verb)) throw new Fault('BACKEND_UNAVAILABLE', `${verb} fails after its effect`)
      return keeperDoor.routes[verb].output.parse(structuredClone(answer))
    } catch (error) {
      if (error instanceof Refused) return { ok: false, ...error.refusal }
      throw error
    }
  }

  const verbs = Object.keys(acts) as KeeperVerb[]
  return {
    /** As `connectDoor` would make it. */
    client: Object.fromEntries(
      verbs.map((verb) => [verb, async (input: unknown) => call(verb, input)]),
    ) as unknown as Client<typeof keeperDoor>,
    txt,
    failsBefore,
    failsAfterEffect,
    refuses,
    /** Every message that arrived, in order. */
    calls,
    /** As whoever holds the database's password: outside every operation. */
    direct: (databaseId: string) => ({
      insert: (table: string, row: Row) => insert(databases.get(databaseId)!, null, table, [row as RowValues]),
      update: (table: string, key: KeyValues, values: Row) =>
        update(databases.get(databaseId)!, null, table, [{ key, values: values as RowValues }]),
      remove: (table: string, key: KeyValues) => remove(databases.get(databaseId)!, null, table, [key]),
    }),
    /** All that users could see, in one canonical form for deep comparison: no serials, no history, nothing quarantined. */
    world: (): Json => ({
      databases: Object.fromEntries(
        [...databases]
          .filter(([, { state }]) => state === 'active')
          .map(([id, { account, limits, tables }]) => [id, { account, limits, tables: plain(tables) }]),
      ),
      zones: Object.fromEntries(
        [...zones]
          .filter(([, { state }]) => state !== 'quarantined')
          .map(([id, { account, name, state, sets }]) => [id, { account, name, state, sets: plain(sets) }]),
      ),
    }),
  }
}

const order1 = (value: Json): Json => (/^\d+$/.test(String(value)) ? String(value).padStart(20, '0') : value)

/** Maps as sorted objects. Told by tag: jest's modules have another `Map` than structuredClone makes. */
function plain(value: unknown): Json {
  if (Object.prototype.toString.call(value) === '[object Map]')
    return plain(Object.fromEntries([...(value as Map<string, unknown>)].sort(([a], [b]) => (a < b ? -1 : 1))))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value as Json
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}
