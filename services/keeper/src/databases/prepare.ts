// What every database gets: its roles, what each may do, and the `bailiwick` schema with history, stamps and trash.
// All of it can be run again over a half-prepared database.
import type { Sql } from './connections.ts'
import { DUMPER, HISTORIAN, literal, LOADER, quote, SUPERUSER, type DatabaseNames } from './names.ts'
import type { Place } from './step.ts'

export const DEFAULT_LIMITS = { connections: 20, statement_timeout_ms: 60_000 }

/** Functions that a database user could do harm with beyond its tables: change settings in mid query, fill large objects that no table shows, write WAL from a read. */
const CLOSED_FUNCTIONS = [
  'lo_creat(integer)',
  'lo_create(oid)',
  'lo_from_bytea(oid, bytea)',
  'lo_open(oid, integer)',
  'lo_put(oid, bigint, bytea)',
  'lo_unlink(oid)',
  'lowrite(integer, bytea)',
  'lo_truncate(integer, integer)',
  'lo_truncate64(integer, bigint)',
  'pg_logical_emit_message(boolean, text, text)',
  'pg_logical_emit_message(boolean, text, bytea)',
  'set_config(text, text, boolean)',
]
  .map((signature) => `pg_catalog.${signature}`)
  .join(', ')

/**
 * What a read query has no need of: locks that others wait for, snapshots that hold vacuum back, transaction ids, messages, and
 * the paths and records of the machine. The login keeps them. `current_setting` stays open: row policies read theirs with it.
 */
const closedToReader = (login: string): string => `
    DO $closed$
    DECLARE
      closed regprocedure;
    BEGIN
      FOR closed IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
        AND (proname ~ '^pg_(try_)?advisory_' OR proname IN ('pg_export_snapshot', 'pg_notify', 'txid_current',
          'pg_current_xact_id', 'pg_show_all_settings', 'shobj_description'))
      LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION pg_catalog.%s FROM PUBLIC', closed);
        EXECUTE format('GRANT EXECUTE ON FUNCTION pg_catalog.%s TO ${login}, ${HISTORIAN}, ${DUMPER}', closed);
      END LOOP;
    END $closed$;
    REVOKE SELECT ON pg_catalog.pg_settings, pg_catalog.pg_shdescription FROM PUBLIC;
    GRANT SELECT ON pg_catalog.pg_settings, pg_catalog.pg_shdescription TO ${login};`

export async function prepareRoles(place: Place, sql: Sql): Promise<void> {
  const { owner, login, writer, reader } = place.names
  const { rowCount } = await sql.query('SELECT FROM pg_roles WHERE rolname = $1', [reader])
  if (rowCount) return
  const [writerPassword, readerPassword] = [
    await place.cluster.passwordOf(writer),
    await place.cluster.passwordOf(reader),
  ]
  const plain = 'NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS'
  await sql.query(`BEGIN;
    CREATE ROLE ${owner} NOLOGIN NOINHERIT ${plain};
    CREATE ROLE ${login} LOGIN NOINHERIT ${plain} CONNECTION LIMIT ${DEFAULT_LIMITS.connections};
    ALTER ROLE ${login} SET statement_timeout = ${DEFAULT_LIMITS.statement_timeout_ms};
    CREATE ROLE ${writer} LOGIN INHERIT ${plain} IN ROLE ${login} CONNECTION LIMIT 8 PASSWORD ${literal(writerPassword)};
    CREATE ROLE ${reader} LOGIN NOINHERIT ${plain} CONNECTION LIMIT 8 PASSWORD ${literal(readerPassword)};
    ALTER ROLE ${reader} SET default_transaction_read_only = on;
    COMMIT`)
}

/** Run by the superuser inside the new database. */
export async function prepareDatabase(sql: Sql, names: DatabaseNames): Promise<void> {
  const { database, owner, login, writer, reader } = names
  await sql.query(`BEGIN;
    REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
    GRANT CONNECT, TEMPORARY ON DATABASE ${database} TO ${login};
    GRANT CONNECT ON DATABASE ${database} TO ${writer}, ${reader}, ${DUMPER};
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT USAGE, CREATE ON SCHEMA public TO ${login}, ${owner};
    GRANT USAGE ON SCHEMA public TO ${reader};
    ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON TABLES TO ${login};
    ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO ${login};
    ALTER DEFAULT PRIVILEGES FOR ROLE ${owner}, ${login} IN SCHEMA public GRANT SELECT ON TABLES TO ${reader};
    REVOKE EXECUTE ON FUNCTION ${CLOSED_FUNCTIONS} FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO ${login}, ${writer}, ${DUMPER}, ${LOADER};
    ${closedToReader(login)}
    CREATE SCHEMA IF NOT EXISTS bailiwick;
    CREATE TABLE IF NOT EXISTS bailiwick.operations (
      operation_id uuid, verb text, target text, result jsonb NOT NULL, at timestamptz NOT NULL DEFAULT now(),
      xact xid8 NOT NULL UNIQUE DEFAULT pg_current_xact_id(), PRIMARY KEY (operation_id, verb, target));
    CREATE TABLE IF NOT EXISTS bailiwick.bindings (
      xact xid8 PRIMARY KEY DEFAULT pg_current_xact_id(), operation_id uuid NOT NULL);
    CREATE TABLE IF NOT EXISTS bailiwick.history (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, operation_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT now(),
      relation oid NOT NULL, table_name text NOT NULL, key jsonb, before jsonb, after jsonb,
      xact xid8 NOT NULL DEFAULT pg_current_xact_id());
    CREATE INDEX IF NOT EXISTS history_by_operation ON bailiwick.history (operation_id, id);
    CREATE INDEX IF NOT EXISTS history_by_xact ON bailiwick.history (xact, id);
    CREATE TABLE IF NOT EXISTS bailiwick.trash (
      operation_id uuid PRIMARY KEY, relation oid NOT NULL, table_name text NOT NULL, owner text NOT NULL,
      quarantined_at timestamptz NOT NULL, ended_at timestamptz);
    ${historyFunctions(names)}
    REVOKE ALL ON SCHEMA bailiwick FROM PUBLIC;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bailiwick FROM PUBLIC;
    GRANT USAGE ON SCHEMA bailiwick TO ${writer}, ${HISTORIAN};
    GRANT SELECT ON bailiwick.history, bailiwick.operations TO ${writer};
    GRANT INSERT (operation_id, verb, target, result) ON bailiwick.operations TO ${writer};
    GRANT INSERT (operation_id) ON bailiwick.bindings TO ${writer};
    GRANT EXECUTE ON FUNCTION bailiwick.unwatched(), bailiwick.altered(), bailiwick.unrecorded(oid, text, jsonb) TO ${writer};
    GRANT SELECT ON bailiwick.bindings TO ${HISTORIAN};
    GRANT INSERT ON bailiwick.history TO ${HISTORIAN};
    COMMIT`)
}

/**
 * History is kept of what the keeper's writer does under an operation. Work of a handed-out password is not: it has no
 * operation to reverse, and point-in-time recovery covers it.
 *
 * Which operation a transaction belongs to is not a setting, because triggers of a handed-out password run in the same session
 * and could change that. It is a row that the keeper writes first, under the transaction's own id: the writer may give no other
 * id (the column's default does), only one row per transaction fits, and none can be changed. The stamp is bound alike.
 *
 * `record_change` runs as the historian, who may do nothing but write history. to_jsonb calls casts to json, so casts of a
 * user's own making are refused: as the historian they could write a history of things that never happened.
 *
 * Partitions are watched one by one and their parent is not: cloning a parent's trigger would take a right to use
 * `record_change`, and with that a table's owner could replace its trigger by one that records nothing.
 *
 * Known limit: images are jsonb. What jsonb does not tell apart (the order and repetition of json keys, lower bounds of arrays,
 * negative zero) an undo brings back as an equal, not identical, value.
 */
const historyFunctions = ({ writer }: DatabaseNames): string => `
    CREATE OR REPLACE FUNCTION bailiwick.record_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
      SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres'
      SET extra_float_digits = 1 SET bytea_output = 'hex' AS $function$
    DECLARE
      operation uuid;
      old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
      new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
      row_key jsonb;
    BEGIN
      SELECT b.operation_id INTO STRICT operation FROM bailiwick.bindings b WHERE b.xact = pg_current_xact_id();
      SELECT jsonb_object_agg(a.attname, coalesce(old_row, new_row) -> a.attname::text) INTO row_key
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = TG_RELID AND i.indisprimary;
      INSERT INTO bailiwick.history (operation_id, relation, table_name, key, before, after)
        VALUES (operation, TG_RELID, TG_TABLE_NAME, row_key, old_row, new_row);
      RETURN NULL;
    END $function$;
    ALTER FUNCTION bailiwick.record_change() OWNER TO ${HISTORIAN};

    CREATE OR REPLACE FUNCTION bailiwick.watch(watched regclass, renew boolean DEFAULT false) RETURNS void LANGUAGE plpgsql
      SET search_path = pg_catalog, pg_temp AS $function$
    DECLARE
      found_name name;
    BEGIN
      SELECT tgname INTO found_name FROM pg_trigger
        WHERE tgrelid = watched AND tgfoid = 'bailiwick.record_change()'::regprocedure;
      IF found_name IS NULL OR renew THEN
        found_name := coalesce(found_name, 'bailiwick_history');
        EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW
          WHEN (SESSION_USER = %L) EXECUTE FUNCTION bailiwick.record_change()', found_name, watched, '${writer}');
      END IF;
      EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', watched, found_name);
    END $function$;

    CREATE OR REPLACE FUNCTION bailiwick.unwatched() RETURNS SETOF regclass LANGUAGE sql STABLE
      SET search_path = pg_catalog, pg_temp AS $function$
      SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
          AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
            AND t.tgfoid = 'bailiwick.record_change()'::regprocedure)
    $function$;

    -- Whether this transaction altered, emptied or dropped a table: nothing of that is in the history, and a trigger that
    -- switches another table's history off and on again leaves no other trace than the lock that each of these takes.
    CREATE OR REPLACE FUNCTION bailiwick.altered() RETURNS boolean LANGUAGE sql
      SET search_path = pg_catalog, pg_temp AS $function$
      SELECT EXISTS (SELECT FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation
        WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384
          AND l.mode IN ('ShareRowExclusiveLock', 'AccessExclusiveLock') AND c.relpersistence IS DISTINCT FROM 't')
    $function$;

    -- How many of these keys this transaction's history does not have as rows of the table (or its parts) before or after.
    CREATE OR REPLACE FUNCTION bailiwick.unrecorded(changed oid, side text, keys jsonb) RETURNS bigint LANGUAGE sql
      SET search_path = pg_catalog, pg_temp AS $function$
      WITH RECURSIVE parts(part) AS (
        SELECT changed UNION SELECT i.inhrelid FROM pg_inherits i JOIN parts p ON i.inhparent = p.part)
      SELECT count(*) FROM jsonb_array_elements(keys) wanted(image)
        WHERE NOT EXISTS (SELECT FROM bailiwick.history h WHERE h.xact = pg_current_xact_id()
          AND h.relation IN (SELECT part FROM parts) AND CASE side WHEN 'before' THEN h.before ELSE h.after END @> wanted.image)
    $function$;

    -- The time limit: a password may hold a lock on its table for as long as it likes.
    CREATE OR REPLACE FUNCTION bailiwick.watch_all() RETURNS bigint LANGUAGE plpgsql
      SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $function$
    DECLARE
      watched bigint;
    BEGIN
      SELECT count(bailiwick.watch(u)) INTO watched FROM bailiwick.unwatched() u;
      RETURN watched;
    END $function$;

    CREATE OR REPLACE FUNCTION bailiwick.watch_new() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
      SET search_path = pg_catalog, pg_temp AS $function$
    BEGIN
      -- Empty after a crash, and never in the WAL: an undo or a recovery would miss rows that were answered for.
      IF EXISTS (SELECT FROM pg_class WHERE relpersistence = 'u') THEN
        RAISE EXCEPTION 'unlogged tables and sequences are not kept here' USING ERRCODE = 'feature_not_supported';
      END IF;
      -- PostgreSQL computes the constant parts of such a key for whoever opens the table, the superuser below among them.
      IF EXISTS (SELECT FROM pg_partitioned_table WHERE partexprs IS NOT NULL) THEN
        RAISE EXCEPTION 'computed partition keys are not kept here: partition by a column' USING ERRCODE = 'feature_not_supported';
      END IF;
      IF EXISTS (SELECT FROM pg_cast WHERE casttarget = 'json'::regtype AND oid >= 16384) THEN
        RAISE EXCEPTION 'casts to json are not kept here' USING ERRCODE = 'feature_not_supported';
      END IF;
      PERFORM bailiwick.watch(made.objid) FROM pg_event_trigger_ddl_commands() made JOIN pg_class c ON c.oid = made.objid
        WHERE made.classid = 'pg_class'::regclass AND made.object_type = 'table' AND made.schema_name = 'public'
          AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = made.objid
            AND t.tgfoid = 'bailiwick.record_change()'::regprocedure);
    END $function$;`

/** After the tables are in: watches each of them and every later one. */
export async function watchTables(sql: Sql): Promise<void> {
  await sql.query(`
    SELECT bailiwick.watch(oid, true) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`)
  const { rowCount } = await sql.query(`SELECT FROM pg_event_trigger WHERE evtname = 'bailiwick_watch_new'`)
  if (rowCount) return
  await sql.query(`CREATE EVENT TRIGGER bailiwick_watch_new ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE SEQUENCE', 'ALTER SEQUENCE', 'CREATE CAST') EXECUTE FUNCTION bailiwick.watch_new()`)
  await sql.query('ALTER EVENT TRIGGER bailiwick_watch_new ENABLE ALWAYS')
}

/** `CREATE DATABASE` cannot run in a transaction; a repeat finds it made. */
export async function makeDatabase(sql: Sql, names: DatabaseNames): Promise<void> {
  const { rowCount } = await sql.query('SELECT FROM pg_database WHERE datname = $1', [names.database])
  if (rowCount) return
  await sql.query(`CREATE DATABASE ${quote(names.database)} TEMPLATE template0 STRATEGY file_copy OWNER ${SUPERUSER}`)
  // Until it is prepared nobody but the superuser is let in.
  await sql.query(`REVOKE ALL ON DATABASE ${quote(names.database)} FROM PUBLIC`)
}
