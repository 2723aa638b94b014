// The fake keeper's databases: typed tables, rows with a history by operation, quarantine, and every past moment.
import type { ColumnSpec, KeyValues, RowValues } from '@bailiwick/contracts/tables'
import { canonical, type Json } from '@bailiwick/kernel/canonical'
import type { Clock } from '@bailiwick/kernel/clock'
import { idHex } from '@bailiwick/kernel/ids'
import { plain, Refused, restorePoint, type KeeperVerb, type Verbs } from './fake-keeper-verbs.ts'

type Row = { [column: string]: Json }
type Table = { columns: ColumnSpec[]; primaryKey: string[]; rows: Map<string, Row> }
type Change = { operation: string | null; table: string; before: Row | null; after: Row | null }
type Tables = Map<string, Table>
type FakeDatabase = {
  account: string
  state: 'active' | 'quarantined'
  limits: { connections: number; statement_timeout_ms: number }
  tables: Tables
  /** What is neither table nor row: views, functions, sequences. */
  others: string[]
  hidden: { table: string; operation: string; content: Table }[]
  history: Change[]
  timeline: { at: number; tables: Tables }[]
}
export type DatabaseVerb = Extract<
  KeeperVerb,
  | `${string}_database`
  | `${string}_table`
  | `${string}_rows`
  | `${string}_to_new`
  | `${string}_limits`
  | 'issue_password'
  | 'run_read_query'
>

/** Numbers in keys sort as numbers, though 64-bit ones read as text. */
const sortable = (value: Json): Json => {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^\d+$/.test(text) ? text.padStart(20, '0') : value
}

export function createFakeDatabases(clock: Clock) {
  const databases = new Map<string, FakeDatabase>()
  let passwords = 0

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
    const isText = column.type === 'bigint' || column.type === 'numeric'
    return isText && typeof value !== 'string' ? JSON.stringify(value) : value
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
        else conflicts.push({ table: name, key: key })
      }
      if (conflicts.length > 0) throw new Refused('UNDO_CONFLICT', 'rows changed since', conflicts)
      return deeds.length
    })

  const verbs: Verbs<DatabaseVerb> = {
    create_database({ account_id, database_id }) {
      if (databases.has(database_id)) throw new Refused('CONFLICT', 'there is such a database')
      const limits = { connections: 20, statement_timeout_ms: 60_000 }
      const made: FakeDatabase = {
        account: account_id,
        state: 'active',
        limits,
        tables: new Map(),
        others: [],
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
      const order = (key: Row): string => JSON.stringify(table.primaryKey.map((column) => sortable(key[column]!)))
      const all = [...table.rows.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1))
      const after = input.after && order(input.after)
      const wanted = input.keys?.map((key) => keyText(table, key))
      const rows = all.filter((row) =>
        wanted ? wanted.includes(keyText(table, keyOf(table, row))) : after === null || order(row) > after,
      )
      return { rows: rows.slice(0, input.limit), primary_key: table.primaryKey }
    },
    /** Understands `select * from <table>`, and the steward's question which objects there are. */
    run_read_query(input) {
      if (input.sql.includes('pg_catalog.pg_class')) {
        const { tables, others } = databaseOf(input)
        return { columns: ['objects'], rows: [[[...tables.keys(), ...others].join()]], truncated: false }
      }
      const name = /^select \* from ([a-z_0-9]+)$/.exec(input.sql)?.[1]
      if (!name) throw new Refused('QUERY_REFUSED', 'not a read')
      const table = tableOf(databaseOf(input), name)
      const columns = table.columns.map((column) => column.name)
      const rows = [...table.rows.values()].map((row) => columns.map((column) => row[column]!))
      return { columns, rows: rows.slice(0, input.row_cap), truncated: rows.length > input.row_cap }
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
        others: [],
        hidden: [],
        history: [],
        timeline: [{ at: clock.now(), tables: structuredClone(then.tables) }],
      })
      return { connection: connectionOf(input.new_database_id), recovered_to: input.target_time }
    },
  }
  return {
    verbs,
    direct: (databaseId: string) => ({
      /** A view, a function, a sequence: anything but a table. */
      create: (name: string) => void databases.get(databaseId)!.others.push(name),
      insert: (table: string, row: Row) => insert(databases.get(databaseId)!, null, table, [row as RowValues]),
      update: (table: string, key: KeyValues, values: Row) =>
        update(databases.get(databaseId)!, null, table, [{ key, values: values as RowValues }]),
      remove: (table: string, key: KeyValues) => remove(databases.get(databaseId)!, null, table, [key]),
    }),
    world: (): Json =>
      Object.fromEntries(
        [...databases]
          .filter(([, { state }]) => state === 'active')
          .map(([id, { account, limits, tables }]) => [id, { account, limits, tables: plain(tables) }]),
      ),
  }
}
