// The keeper's doors. First, for the steward: verbs that cannot destroy, each stamped with its operation and probed by it.
// Second, for the reaper alone: purge of what is quarantined.
import { z } from 'zod'
import { AnyJson } from '../json.ts'
import type { Door, Route } from '@bailiwick/kernel/door'
import { AccountId, OperationId, ResourceId } from '@bailiwick/kernel/ids'
import { OutsideView, ParentDs, RecordSet, Registration, Signing, SigningKey, ZoneName } from '../dns.ts'
import { ColumnSpec, Identifier, KeyValues, RowValues } from '../tables.ts'

/** An expected no of the keeper: `code` is one of contracts/codes.ts, `detail` is safe for the caller. */
export const KeeperRefusal = z.strictObject({
  ok: z.literal(false),
  code: z.string(),
  detail: z.string(),
  conflicts: z.array(z.record(z.string(), AnyJson)).optional(),
})
export type KeeperRefusal = z.infer<typeof KeeperRefusal>

const read = <I extends z.ZodRawShape, O extends z.ZodRawShape>(input: I, output: O) =>
  ({
    kind: 'json',
    callers: ['steward'],
    input: z.strictObject({ account_id: AccountId, ...input }),
    output: z.union([z.strictObject({ ok: z.literal(true), ...output }), KeeperRefusal]),
  }) as const satisfies Route

/** A change. The same operation, verb and target again: the first answer, nothing done twice. */
const change = <I extends z.ZodRawShape, O extends z.ZodRawShape>(input: I, output: O) =>
  read({ operation_id: OperationId, ...input }, output)

const TableInfo = z.strictObject({
  name: z.string(),
  columns: z.array(
    z.strictObject({ name: z.string(), type: z.string(), nullable: z.boolean(), default: z.string().nullable() }),
  ),
  primary_key: z.array(z.string()),
  rows: z.number().int(),
})
export type TableInfo = z.infer<typeof TableInfo>
/** Work whose length is the data's: a dump, a recovery; a first cluster. */
const long = <R extends Route>(route: R, timeoutMs: number) => ({ ...route, timeoutMs })
const MINUTE = 60_000

const Limits = z.strictObject({
  connections: z.number().int().min(1).max(100),
  statement_timeout_ms: z.number().int().min(100).max(600_000),
})
const Connection = z.strictObject({
  host: z.string(),
  port: z.number().int(),
  database: z.string(),
  username: z.string(),
})
const RestorePoint = z.strictObject({
  kind: z.literal('snapshot'),
  name: z.string(),
  sha256: z.string(),
  size_bytes: z.number().int(),
})
const ZoneState = z.strictObject({
  state: z.enum(['staged', 'published', 'quarantined', 'absent']),
  serial: z.number().int().nullable(),
  record_sets: z.array(RecordSet),
})

export const keeperDoor = {
  service: 'keeper',
  unavailable: 'BACKEND_UNAVAILABLE',
  routes: {
    // Databases. `database_id` is a resource id; physical names derive from it.
    /** Makes the account's cluster first where there is none. */
    create_database: long(change({ database_id: ResourceId }, { connection: Connection }), 45_000),
    /** A fresh password of the database's login role, each time: the only verb that returns a secret, and it keeps none. */
    issue_password: read({ database_id: ResourceId }, { connection: Connection, password: z.string() }),
    describe_database: read(
      { database_id: ResourceId },
      {
        state: z.enum(['active', 'quarantined', 'absent']),
        size_bytes: z.number().int(),
        limits: Limits.nullable(),
        tables: z.array(TableInfo),
        connection: Connection.nullable(),
        restorable_from: z.number().int().nullable(),
      },
    ),
    /** Rows in primary-key order after `after` (a key), or exactly those with `keys`. */
    read_rows: read(
      {
        database_id: ResourceId,
        table: Identifier,
        keys: z.array(KeyValues).max(100).nullable(),
        after: KeyValues.nullable(),
        limit: z.number().int().min(1).max(101),
      },
      { rows: z.array(z.record(z.string(), AnyJson)), primary_key: z.array(z.string()) },
    ),
    /** As the database's read-only role, in a read-only transaction. */
    run_read_query: read(
      {
        database_id: ResourceId,
        sql: z.string().max(20_000),
        timeout_ms: z.number().int().max(30_000),
        row_cap: z.number().int().max(1000),
      },
      { columns: z.array(z.string()), rows: z.array(z.array(AnyJson)), truncated: z.boolean() },
    ),
    create_table: change(
      {
        database_id: ResourceId,
        table: Identifier,
        columns: z.array(ColumnSpec).min(1).max(100),
        primary_key: z.array(Identifier).min(1).max(8),
      },
      {},
    ),
    /** Moves the table, with all that hangs on it, out of sight; nothing is dropped. */
    quarantine_table: change({ database_id: ResourceId, table: Identifier }, {}),
    restore_table: change({ database_id: ResourceId, table: Identifier }, {}),
    insert_rows: change(
      { database_id: ResourceId, table: Identifier, rows: z.array(RowValues).min(1).max(100) },
      { keys: z.array(KeyValues) },
    ),
    /** Every key must exist (else NOT_FOUND, nothing changed). */
    update_rows: change(
      {
        database_id: ResourceId,
        table: Identifier,
        updates: z
          .array(z.strictObject({ key: KeyValues, values: RowValues }))
          .min(1)
          .max(100),
      },
      { updated: z.number().int() },
    ),
    remove_rows: change(
      { database_id: ResourceId, table: Identifier, keys: z.array(KeyValues).min(1).max(100) },
      { removed: z.number().int() },
    ),
    /** Undoes every row change stamped with `of_operation` (cascades too), unless a row changed since: UNDO_CONFLICT with `conflicts`, nothing changed. */
    reverse_rows: change({ database_id: ResourceId, of_operation: OperationId }, { reversed: z.number().int() }),
    set_database_limits: change({ database_id: ResourceId, limits: Limits }, {}),
    /** A dump into the vault, read back and verified there. Fails: SNAPSHOT_FAILED. */
    dump_database: long(change({ database_id: ResourceId }, { restore_point: RestorePoint }), 15 * MINUTE),
    quarantine_database: long(change({ database_id: ResourceId }, {}), MINUTE),
    restore_database: long(change({ database_id: ResourceId }, {}), MINUTE),
    /** A new database with the source's content at `target_time` (ms). The source is not touched; it may be quarantined. */
    restore_database_to_new: long(
      change(
        { database_id: ResourceId, new_database_id: ResourceId, target_time: z.number().int() },
        { connection: Connection, recovered_to: z.number().int() },
      ),
      15 * MINUTE,
    ),

    // Zones. `name` is the domain; until it is published the zone lives under a name derived from its id, so that names of
    // other accounts stay invisible. Record names are relative to the zone (`@` is the apex).
    create_zone: change({ zone_id: ResourceId, name: ZoneName }, {}),
    read_zone: read({ zone_id: ResourceId, name: ZoneName }, { zone: ZoneState }),
    /** All sets in one write, or none; a set without records is removed. */
    replace_record_sets: change(
      { zone_id: ResourceId, name: ZoneName, record_sets: z.array(RecordSet).min(1).max(500) },
      {},
    ),
    /** Serves the zone under its own name. Taken by another zone: CONFLICT. */
    publish_zone: long(change({ zone_id: ResourceId, name: ZoneName }, {}), MINUTE),
    unpublish_zone: long(change({ zone_id: ResourceId, name: ZoneName }, {}), MINUTE),
    /** The zone's image, keys included, in the vault, read back and verified there. Fails: SNAPSHOT_FAILED. */
    dump_zone: long(change({ zone_id: ResourceId, name: ZoneName }, { restore_point: RestorePoint }), MINUTE),
    /** Makes such an image by itself, whatever came before, and only then stops serving the zone. */
    quarantine_zone: long(change({ zone_id: ResourceId, name: ZoneName }, { restore_point: RestorePoint }), 2 * MINUTE),
    /** Back as it was; staged when its name is served by another zone now. */
    restore_zone: long(
      change({ zone_id: ResourceId, name: ZoneName }, { state: z.enum(['staged', 'published']) }),
      2 * MINUTE,
    ),
    /**
     * Signs with the zone's one key, made now where it has none; so a DS that was once handed to the registrar stays right.
     * `dnskey`: with that key and no other (CONFLICT where the zone has it not).
     */
    sign_zone: change(
      { zone_id: ResourceId, name: ZoneName, dnskey: z.string().max(2000).nullable() },
      { key: SigningKey },
    ),
    /** Parks the key: kept, and not used. No verb removes one; it goes with its zone, by the reaper. */
    unsign_zone: change({ zone_id: ResourceId, name: ZoneName }, {}),
    read_signing: read({ zone_id: ResourceId, name: ZoneName }, { signing: Signing }),
    /** Whether the parent names a key of `name`. Never an error: `unknown` instead. */
    read_parent_ds: read({ name: ZoneName }, { ds: ParentDs }),
    /** The domain as the world sees it, within 5 s. Never an error: what nobody answered is `unknown` or null. */
    look_outside: read({ zone_id: ResourceId, name: ZoneName, texts: z.array(ZoneName).max(4) }, { view: OutsideView }),
    /** The registry's data, by RDAP, within 5 s. Never an error: `unknown` instead. */
    read_registration: read({ name: ZoneName }, { registration: Registration }),
    /** TXT records at `name` as the configured resolver sees them from outside. */
    resolve_txt: read({ name: ZoneName }, { values: z.array(z.string()) }),

    /** What became of an operation's steps. `unknown` means that the backend cannot tell: never repeat. */
    probe: read(
      { operation_id: OperationId },
      {
        steps: z.array(
          z.strictObject({ verb: z.string(), target: z.string(), state: z.enum(['done', 'not_done', 'unknown']) }),
        ),
      },
    ),
  },
} as const satisfies Door

export const keeperPurgeDoor = {
  service: 'keeper',
  unavailable: 'BACKEND_UNAVAILABLE',
  routes: {
    list_quarantined: {
      kind: 'json',
      callers: ['reaper'],
      input: z.strictObject({}),
      output: z.strictObject({
        items: z.array(
          z.strictObject({
            account_id: AccountId,
            kind: z.enum(['database', 'table', 'zone']),
            target: z.string(),
            operation_id: OperationId,
            quarantined_at: z.number().int(),
          }),
        ),
      }),
    },
    /** Destroys one quarantined thing; refused (Fault NOT_QUARANTINED) when it is in use, TOO_YOUNG when the keeper saw it quarantined too recently. */
    purge: {
      kind: 'json',
      callers: ['reaper'],
      input: z.strictObject({
        account_id: AccountId,
        kind: z.enum(['database', 'table', 'zone']),
        target: z.string(),
        operation_id: OperationId,
      }),
      output: z.strictObject({ purged: z.boolean() }),
    },
  },
} as const satisfies Door
