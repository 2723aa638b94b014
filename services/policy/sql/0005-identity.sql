-- People of the identity provider and the apps that they connected. What an app may do is in its tokens; here is what was
-- taken back: by the identity provider (its events), or by the operator.

-- One row per person and OAuth client, from the first call on: the principal `oauth:<sub>:<client>`.
CREATE TABLE policy.apps (
  account_id uuid NOT NULL REFERENCES policy.accounts,
  sub text NOT NULL,
  client text NOT NULL,
  principal text NOT NULL GENERATED ALWAYS AS ('oauth:' || sub || ':' || client) STORED,
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'blocked')),
  state_reason text,
  -- Refused since then, until the person consents to the client anew.
  revoked_at timestamptz,
  -- Of its newest token.
  scopes text[] NOT NULL,
  first_used_at timestamptz NOT NULL,
  last_used_at timestamptz NOT NULL,
  PRIMARY KEY (account_id, sub, client)
);
ALTER TABLE policy.apps ENABLE ROW LEVEL SECURITY;
ALTER TABLE policy.apps FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON policy.apps TO policy
  USING (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE (state, state_reason, revoked_at, scopes, last_used_at) ON policy.apps TO policy;

-- The rest belongs to no account: facts of the identity provider, which knows none.

-- A token issued at or before `at` is refused. key: nothing (realm), a sub, a principal, a client or a session.
CREATE TABLE policy.not_before (
  kind text NOT NULL CHECK (kind IN ('realm', 'subject', 'app', 'client', 'session')),
  key text NOT NULL,
  at timestamptz NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (kind, key)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON policy.not_before TO policy;

-- When each person last consented to a client: what ends a revocation by the operator.
CREATE TABLE policy.consents (
  principal text PRIMARY KEY,
  at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON policy.consents TO policy;

-- Clients that the operator revoked for everybody, used or not.
CREATE TABLE policy.revoked_clients (
  client text PRIMARY KEY,
  at timestamptz NOT NULL,
  reason text NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON policy.revoked_clients TO policy;

-- How far the identity provider's events are known. The row is also the lock: whoever holds it polls.
CREATE TABLE policy.identity_polls (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- When the newest poll that succeeded began, by this server's clock. None, or older than 5 s: access tokens are refused.
  polled_at timestamptz,
  -- Events before this time (ms, the identity provider's clock) are taken.
  taken_until bigint NOT NULL DEFAULT 0
);
INSERT INTO policy.identity_polls DEFAULT VALUES;
GRANT SELECT, UPDATE (polled_at, taken_until) ON policy.identity_polls TO policy;

-- Events whose effect is in force. `entry` is what the log is still to be told; nothing once it has been.
CREATE TABLE policy.taken_events (
  id uuid PRIMARY KEY,
  at timestamptz NOT NULL,
  entry json
);
CREATE INDEX taken_events_unrecorded ON policy.taken_events (at) WHERE entry IS NOT NULL;
CREATE INDEX taken_events_by_time ON policy.taken_events (at);
GRANT SELECT, INSERT, UPDATE (entry), DELETE ON policy.taken_events TO policy;

CREATE POLICY resolve ON policy.members FOR SELECT TO bailiwick_resolver USING (true);
CREATE POLICY resolve ON policy.apps FOR SELECT TO bailiwick_resolver USING (true);
GRANT SELECT ON policy.members, policy.apps, policy.consents, policy.revoked_clients, policy.not_before TO bailiwick_resolver;

-- Whether the operator took the grant back and the person has not consented since.
CREATE FUNCTION policy.is_grant_revoked(by_principal text, by_client text, app_revoked_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(
    greatest(app_revoked_at, (SELECT at FROM policy.revoked_clients WHERE client = by_client))
      >= coalesce((SELECT at FROM policy.consents WHERE principal = by_principal), '-infinity'),
    false)
$$;

-- The account of a person, before it is known.
CREATE FUNCTION policy.find_member(by_sub text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT account_id FROM policy.members WHERE sub = by_sub
$$;

-- An app with its account's status, by what a verified token says. No row: the person is no member. `not_before`: the newest
-- moment of which this person's, client's, app's or session's tokens must be younger.
CREATE FUNCTION policy.find_app(by_sub text, by_client text, by_session text)
RETURNS TABLE (
  account_id uuid, state text, not_before timestamptz,
  account_name text, tier text, frozen boolean, frozen_resources uuid[]
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.id,
    CASE WHEN policy.is_grant_revoked('oauth:' || by_sub || ':' || by_client, by_client, p.revoked_at) THEN 'revoked'
         ELSE coalesce(p.state, 'active') END,
    greatest(
      p.revoked_at,
      (SELECT r.at FROM policy.revoked_clients r WHERE r.client = by_client),
      (SELECT max(n.at) FROM policy.not_before n WHERE (n.kind, n.key) IN (
        ('realm', ''), ('subject', by_sub), ('client', by_client), ('session', by_session),
        ('app', 'oauth:' || by_sub || ':' || by_client)))),
    a.name, a.tier,
    EXISTS (SELECT FROM policy.freezes f WHERE f.account_id = a.id AND f.lifted_at IS NULL AND f.resource_id IS NULL),
    ARRAY(SELECT f.resource_id FROM policy.freezes f
          WHERE f.account_id = a.id AND f.lifted_at IS NULL AND f.resource_id IS NOT NULL)
  FROM policy.members m
  JOIN policy.accounts a ON a.id = m.account_id
  LEFT JOIN policy.apps p ON p.account_id = m.account_id AND p.sub = m.sub AND p.client = by_client
  WHERE m.sub = by_sub
$$;

GRANT CREATE ON SCHEMA policy TO bailiwick_resolver;
ALTER FUNCTION policy.is_grant_revoked(text, text, timestamptz) OWNER TO bailiwick_resolver;
ALTER FUNCTION policy.find_member(text) OWNER TO bailiwick_resolver;
ALTER FUNCTION policy.find_app(text, text, text) OWNER TO bailiwick_resolver;
REVOKE CREATE ON SCHEMA policy FROM bailiwick_resolver;
REVOKE ALL ON FUNCTION policy.is_grant_revoked(text, text, timestamptz), policy.find_member(text),
  policy.find_app(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.is_grant_revoked(text, text, timestamptz), policy.find_member(text),
  policy.find_app(text, text, text) TO policy;
