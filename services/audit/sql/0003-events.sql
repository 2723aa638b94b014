-- Events of other systems, each taken once: whoever tells of one again, after a crash on either side, gets the first receipt.
-- The leaf does not name them: its format is final.
CREATE TABLE audit.events (
  event_id uuid PRIMARY KEY,
  index bigint NOT NULL UNIQUE REFERENCES audit.leaves
);
SELECT audit.protect('audit.events');

-- As before, and with the events: a slot whose event stands is `repeated`. One that stands under another kind or account is no
-- repetition: whoever tells of it so is wrong about one of the two, and a receipt would say that it stands as told.
DROP FUNCTION audit.append(bigint, bigint, bigint[], text[], bytea[], text[], text[], text[], uuid[], text[], bytea[]);
CREATE FUNCTION audit.append(
  p_epoch bigint, p_base bigint, p_times bigint[], p_leaves text[], p_hashes bytea[], p_kinds text[], p_accounts text[],
  p_tools text[], p_operations uuid[], p_partitions text[], p_openings bytea[], p_events uuid[]
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
    )
  UNION ALL
  SELECT
    e.slot::integer,
    CASE
      WHEN first.kind = e.kind AND first.account IS NOT DISTINCT FROM e.account THEN 'repeated'
      ELSE 'event_conflict'
    END,
    first.index,
    first.leaf_hash
  FROM unnest(p_kinds, p_accounts, p_events) WITH ORDINALITY AS e (kind, account, event_id, slot)
  JOIN audit.events known ON known.event_id = e.event_id
  JOIN audit.leaves first ON first.index = known.index;
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
  INSERT INTO audit.events (event_id, index)
  SELECT e.event_id, p_base + e.slot - 1
  FROM unnest(p_events) WITH ORDINALITY AS e (event_id, slot)
  WHERE e.event_id IS NOT NULL;
  UPDATE audit.head SET next_index = p_base + cardinality(p_leaves);
END $$;

REVOKE EXECUTE ON FUNCTION audit.append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.append TO audit;
