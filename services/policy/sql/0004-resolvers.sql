-- The only ways to see a row before its account is known. Each answers one narrow question, is owned by a role that nobody
-- can log in as, and runs with a pinned search_path, so that a caller cannot put its own objects in the way.
CREATE POLICY resolve ON policy.accounts FOR SELECT TO bailiwick_resolver USING (true);
CREATE POLICY resolve ON policy.tokens FOR SELECT TO bailiwick_resolver USING (true);
CREATE POLICY resolve ON policy.freezes FOR SELECT TO bailiwick_resolver USING (true);
CREATE POLICY resolve ON policy.previews FOR SELECT TO bailiwick_resolver USING (true);
CREATE POLICY sweep ON policy.previews FOR DELETE TO bailiwick_resolver USING (true);
CREATE POLICY resolve ON policy.idempotency FOR SELECT TO bailiwick_resolver USING (true);
CREATE POLICY sweep ON policy.idempotency FOR DELETE TO bailiwick_resolver USING (true);
GRANT SELECT ON policy.accounts, policy.tokens, policy.freezes TO bailiwick_resolver;
GRANT SELECT, DELETE ON policy.previews, policy.idempotency TO bailiwick_resolver;

-- A token's row with its account's status, by HMAC (a call) or by id (stillValid; the permit names the principal).
CREATE FUNCTION policy.find_token(by_hmac bytea, by_id uuid)
RETURNS TABLE (
  token_id uuid, account_id uuid, hmac bytea, token_name text, scopes text[], addresses text[], user_sub text,
  state text, expires_at timestamptz, last_used_at timestamptz, account_name text, tier text, frozen boolean, frozen_resources uuid[]
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT t.id, t.account_id, t.hmac, t.name, t.scopes, t.addresses, t.user_sub, t.state, t.expires_at, t.last_used_at,
    a.name, a.tier,
    EXISTS (SELECT FROM policy.freezes f WHERE f.account_id = a.id AND f.lifted_at IS NULL AND f.resource_id IS NULL),
    ARRAY(SELECT f.resource_id FROM policy.freezes f
          WHERE f.account_id = a.id AND f.lifted_at IS NULL AND f.resource_id IS NOT NULL)
  FROM policy.tokens t JOIN policy.accounts a ON a.id = t.account_id
  WHERE t.hmac = by_hmac OR t.id = by_id
$$;

-- For the operator's lists, which go through the accounts one by one.
CREATE FUNCTION policy.account_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT id FROM policy.accounts ORDER BY created_at, id
$$;

-- Whether a preview token exists in any account: its holder is told "not yours" instead of "never existed", and the log too.
CREATE FUNCTION policy.is_preview_known(by_sha256 bytea) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM policy.previews WHERE token_sha256 = by_sha256)
$$;

-- Removes what no retry can ask for any more. Keys are kept until they expire; previews longer than any key that spent them.
CREATE FUNCTION policy.sweep(keys_before timestamptz, previews_before timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM policy.idempotency WHERE expires_at < keys_before;
  DELETE FROM policy.previews WHERE expires_at < previews_before;
$$;

GRANT CREATE ON SCHEMA policy TO bailiwick_resolver;
ALTER FUNCTION policy.find_token(bytea, uuid) OWNER TO bailiwick_resolver;
ALTER FUNCTION policy.account_ids() OWNER TO bailiwick_resolver;
ALTER FUNCTION policy.is_preview_known(bytea) OWNER TO bailiwick_resolver;
ALTER FUNCTION policy.sweep(timestamptz, timestamptz) OWNER TO bailiwick_resolver;
REVOKE CREATE ON SCHEMA policy FROM bailiwick_resolver;
REVOKE ALL ON FUNCTION policy.find_token(bytea, uuid), policy.account_ids(), policy.is_preview_known(bytea),
  policy.sweep(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.find_token(bytea, uuid), policy.account_ids(), policy.is_preview_known(bytea),
  policy.sweep(timestamptz, timestamptz) TO policy;
