-- Reads in one round trip: setting and query together. They run as the caller, so row-level security applies inside them; the
-- setting ends with the statement's transaction.

CREATE FUNCTION steward.read_resources(p_account uuid, p_ids uuid[]) RETURNS SETOF steward.resources
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('bailiwick.account', p_account::text, true);
  RETURN QUERY SELECT * FROM steward.resources r WHERE r.id = ANY (p_ids);
END $$;

CREATE FUNCTION steward.find_resource(p_account uuid, p_kind text, p_name text) RETURNS SETOF steward.resources
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('bailiwick.account', p_account::text, true);
  RETURN QUERY SELECT * FROM steward.resources r WHERE r.kind = p_kind AND r.name = p_name AND r.state = 'active';
END $$;

-- Active ones in id order (oldest first) after `p_after`.
CREATE FUNCTION steward.list_resources(p_account uuid, p_kind text, p_after uuid, p_limit integer)
RETURNS SETOF steward.resources
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('bailiwick.account', p_account::text, true);
  RETURN QUERY SELECT * FROM steward.resources r
    WHERE r.kind = p_kind AND r.state = 'active' AND (p_after IS NULL OR r.id > p_after)
    ORDER BY r.id LIMIT p_limit;
END $$;

CREATE FUNCTION steward.read_operation(p_account uuid, p_id uuid) RETURNS SETOF steward.operations
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('bailiwick.account', p_account::text, true);
  RETURN QUERY SELECT * FROM steward.operations o WHERE o.id = p_id;
END $$;

-- Newest first, before `p_before`; null: from the newest.
CREATE FUNCTION steward.list_zone_versions(p_account uuid, p_zone uuid, p_before integer, p_limit integer)
RETURNS SETOF steward.zone_versions
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('bailiwick.account', p_account::text, true);
  RETURN QUERY SELECT * FROM steward.zone_versions v
    WHERE v.zone_id = p_zone AND (p_before IS NULL OR v.version < p_before)
    ORDER BY v.version DESC LIMIT p_limit;
END $$;

-- Deeds that removed something and can still be undone, newest first, of the domains that the token may read.
CREATE FUNCTION steward.list_trash(
  p_account uuid, p_now timestamptz, p_domains text[], p_before_at timestamptz, p_before_id uuid, p_limit integer)
RETURNS TABLE (operation_id uuid, tool text, kind text, resource_id uuid, name text, deleted_at timestamptz,
               undo_until timestamptz, scopes text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('bailiwick.account', p_account::text, true);
  RETURN QUERY SELECT o.id, o.tool, r.kind, r.id, r.name, o.finished_at, o.undo_until, o.scopes
    FROM steward.operations o JOIN steward.resources r ON r.id = o.resources[1]
    WHERE o.destructive AND o.state IN ('committed', 'recorded') AND o.undone_by IS NULL AND o.undo_until > p_now
      AND (SELECT array_agg(split_part(s, ':', 1)) FROM unnest(o.scopes) s) <@ p_domains
      AND (p_before_at IS NULL OR (o.finished_at, o.id) < (p_before_at, p_before_id))
    ORDER BY o.finished_at DESC, o.id DESC LIMIT p_limit;
END $$;

-- What must be found before the account is known. Owned by the resolver: the tables' own owner sees no rows under forced
-- row-level security. They name rows and owners, and change nothing.
CREATE FUNCTION steward.find_unattended(p_now timestamptz, p_forgotten_before timestamptz, p_limit integer)
RETURNS TABLE (id uuid, account_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT o.id, o.account_id FROM steward.operations o
  WHERE o.state NOT IN ('recorded', 'closed', 'unknown')
    AND (o.lease_until <= p_now OR (o.lease_until IS NULL AND o.started_at <= p_forgotten_before))
  ORDER BY o.lease_until NULLS LAST LIMIT p_limit
$$;

CREATE FUNCTION steward.owners_of(p_ids uuid[]) RETURNS TABLE (resource_id uuid, account_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.id, r.account_id FROM steward.resources r WHERE r.id = ANY (p_ids)
$$;

-- Tells a foreign id from an absent one, after the fact, to anomaly alone.
CREATE VIEW steward.ownership AS SELECT id AS resource_id, account_id FROM steward.resources;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA steward FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA steward TO steward;
GRANT SELECT ON steward.ownership TO anomaly;

-- Grants stay with a change of owner. CREATE is needed for the change only.
GRANT CREATE ON SCHEMA steward TO bailiwick_resolver;
ALTER FUNCTION steward.find_unattended(timestamptz, timestamptz, integer) OWNER TO bailiwick_resolver;
ALTER FUNCTION steward.owners_of(uuid[]) OWNER TO bailiwick_resolver;
ALTER VIEW steward.ownership OWNER TO bailiwick_resolver;
REVOKE CREATE ON SCHEMA steward FROM bailiwick_resolver;
