-- The writer's and the readers' ways in. SQLSTATE BW001: another writer has taken over. BW002: the head is elsewhere.

-- Makes `p_writer` the only one whose appends count. A writer that merely lost its connection does not take over: if another
-- one came in the meantime, it stays out. Waits for an append in flight, so its answer tells for certain what has landed.
CREATE FUNCTION audit.claim(p_writer uuid, p_take_over boolean)
RETURNS TABLE (claimed_epoch bigint, claimed_next bigint, last_hash bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE audit.head SET epoch = epoch + 1, writer = p_writer WHERE p_take_over OR writer = p_writer
  RETURNING epoch, next_index INTO claimed_epoch, claimed_next;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'another writer has taken over' USING ERRCODE = 'BW001';
  END IF;
  SELECT leaf_hash INTO last_hash FROM audit.leaves WHERE index = claimed_next - 1;
  RETURN NEXT;
END $$;

-- Writes a batch at `p_base`, whole, and returns nothing; or writes nothing and returns why the named slots (from 1) cannot
-- stand: `repeated` (with the first receipt), `conflict` (the operation is another account's or tool's), `intent_missing`.
-- The planner is held to index look-ups: a plan cached while the table was small would scan the whole log later. Without
-- `jit = off` the price that it puts on forbidden plans makes it compile each batch, for 40 ms.
CREATE FUNCTION audit.append(
  p_epoch bigint, p_base bigint, p_times bigint[], p_leaves text[], p_hashes bytea[], p_kinds text[], p_accounts text[],
  p_tools text[], p_operations uuid[], p_partitions text[], p_openings bytea[]
) RETURNS TABLE (slot integer, verdict text, first_index bigint, first_hash bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_next bigint;
BEGIN
  SELECT next_index INTO v_next FROM audit.head WHERE epoch = p_epoch FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'another writer has taken over' USING ERRCODE = 'BW001';
  END IF;
  IF v_next <> p_base THEN
    RAISE EXCEPTION 'the head is at %, not at %', v_next, p_base USING ERRCODE = 'BW002';
  END IF;

  RETURN QUERY
  SELECT
    e.slot::integer,
    CASE
      WHEN first.index IS NULL THEN 'intent_missing'
      WHEN first.account IS NOT DISTINCT FROM e.account AND first.tool IS NOT DISTINCT FROM e.tool THEN 'repeated'
      ELSE 'conflict'
    END,
    first.index,
    first.leaf_hash
  FROM unnest(p_kinds, p_accounts, p_tools, p_operations) WITH ORDINALITY AS e (kind, account, tool, operation_id, slot)
  LEFT JOIN audit.leaves first ON first.operation_id = e.operation_id AND first.kind = e.kind
  WHERE e.kind IN ('intent', 'outcome')
    AND (
      first.index IS NOT NULL
      OR e.kind = 'outcome' AND NOT EXISTS (
        SELECT 1 FROM audit.leaves intent
        WHERE intent.operation_id = e.operation_id AND intent.kind = 'intent' AND intent.account IS NOT DISTINCT FROM e.account
      )
    );
  IF FOUND THEN
    RETURN;
  END IF;

  INSERT INTO audit.leaves (index, time_ms, leaf, leaf_hash, kind, account, tool, operation_id, partition)
  SELECT p_base + e.slot - 1, e.time_ms, e.leaf, e.leaf_hash, e.kind, e.account, e.tool, e.operation_id, e.partition
  FROM unnest(p_times, p_leaves, p_hashes, p_kinds, p_accounts, p_tools, p_operations, p_partitions) WITH ORDINALITY
    AS e (time_ms, leaf, leaf_hash, kind, account, tool, operation_id, partition, slot);
  INSERT INTO audit.openings (partition, index, sealed)
  SELECT e.partition, p_base + e.slot - 1, e.sealed
  FROM unnest(p_partitions, p_openings) WITH ORDINALITY AS e (partition, sealed, slot);
  UPDATE audit.head SET next_index = p_base + cardinality(p_leaves);
END $$;

-- Makes the partition and registers its key's check, once; returns the registered check, which may be another key's.
CREATE FUNCTION audit.create_partition(p_name text, p_key_check bytea) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table text := 'openings_' || translate(p_name, '-.', '__');
  v_check bytea;
BEGIN
  -- The table's CHECK on `name` is what keeps foreign text out of the statement below.
  INSERT INTO audit.partitions (name, key_check) VALUES (p_name, p_key_check) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    EXECUTE format('CREATE TABLE audit.%I PARTITION OF audit.openings FOR VALUES IN (%L)', v_table, p_name);
    PERFORM audit.protect(format('audit.%I', v_table)::regclass);
  END IF;
  SELECT key_check INTO STRICT v_check FROM audit.partitions WHERE name = p_name;
  RETURN v_check;
END $$;

-- One account's entries, newest first. Runs with the caller's rights: row-level security decides what is visible. Planned
-- anew each time, so that an absent filter costs nothing.
CREATE FUNCTION audit.entries_of(p_account text, p_before bigint, p_limit integer, p_tool text, p_operation uuid)
RETURNS TABLE (index bigint, time_ms bigint, leaf text, leaf_hash bytea, partition text, sealed bytea)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  PERFORM set_config('bailiwick.account', p_account, true);
  RETURN QUERY
  SELECT l.index, l.time_ms, l.leaf, l.leaf_hash, l.partition, o.sealed
  FROM audit.leaves l LEFT JOIN audit.openings o ON o.partition = l.partition AND o.index = l.index
  WHERE l.account = p_account
    AND (p_before IS NULL OR l.index < p_before)
    AND (p_tool IS NULL OR l.tool = p_tool)
    AND (p_operation IS NULL OR l.operation_id = p_operation)
  ORDER BY l.index DESC LIMIT p_limit;
END $$;

-- For the reaper, which has an operation and must learn whose deed it was: runs as the resolver, which sees intents alone.
CREATE FUNCTION audit.intent_of(p_operation uuid) RETURNS TABLE (time_ms bigint, account text, tool text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT l.time_ms, l.account, l.tool FROM audit.leaves l
  WHERE l.operation_id = p_operation AND l.kind = 'intent' AND l.account IS NOT NULL AND l.tool IS NOT NULL
$$;

GRANT USAGE ON SCHEMA audit TO audit, bailiwick_resolver;
GRANT SELECT ON audit.leaves, audit.openings, audit.partitions, audit.head TO audit;
GRANT SELECT ON audit.leaves TO bailiwick_resolver;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.claim, audit.append, audit.create_partition, audit.entries_of, audit.intent_of TO audit;
-- A function's owner needs CREATE on its schema at the moment it becomes the owner, and not after.
GRANT CREATE ON SCHEMA audit TO bailiwick_resolver;
ALTER FUNCTION audit.intent_of OWNER TO bailiwick_resolver;
REVOKE CREATE ON SCHEMA audit FROM bailiwick_resolver;
