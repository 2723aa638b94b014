-- What a change claims, spends and counts in its one deciding transaction.
CREATE TABLE policy.operations (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES policy.accounts,
  principal text NOT NULL,
  tool text NOT NULL,
  -- Of the deed that an undo takes back: what undoing it needs, and what it must watch.
  domain text NOT NULL,
  scopes text[] NOT NULL,
  obligations text[] NOT NULL,
  input_hash text NOT NULL,
  -- For an undo: the operation that it takes back.
  undoes uuid REFERENCES policy.operations,
  created_at timestamptz NOT NULL,
  undo_until timestamptz NOT NULL
);
CREATE INDEX operations_by_account ON policy.operations (account_id, created_at DESC);
ALTER TABLE policy.operations ENABLE ROW LEVEL SECURITY;
ALTER TABLE policy.operations FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON policy.operations TO policy
  USING (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid);
GRANT SELECT, INSERT ON policy.operations TO policy;

-- key: the caller's UUID v4, or `same:<hash>` for a destructive call repeated identically without one.
CREATE TABLE policy.idempotency (
  account_id uuid NOT NULL REFERENCES policy.accounts,
  principal text NOT NULL,
  key text NOT NULL,
  tool text NOT NULL,
  input_hash text NOT NULL,
  operation_id uuid NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (account_id, principal, key)
);
CREATE INDEX idempotency_by_expiry ON policy.idempotency (expires_at);
ALTER TABLE policy.idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE policy.idempotency FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON policy.idempotency TO policy
  USING (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON policy.idempotency TO policy;

-- A preview token is kept as its SHA-256 only (256 random bits need no slow hash).
CREATE TABLE policy.previews (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES policy.accounts,
  token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
  principal text NOT NULL,
  tool text NOT NULL,
  resource_kind text NOT NULL,
  resource_id uuid NOT NULL,
  resource_version bigint NOT NULL,
  -- What confirm_action sends; the hash is what a direct call must match.
  input json NOT NULL,
  input_hash text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  spent_at timestamptz,
  operation_id uuid
);
CREATE INDEX previews_by_expiry ON policy.previews (expires_at);
ALTER TABLE policy.previews ENABLE ROW LEVEL SECURITY;
ALTER TABLE policy.previews FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON policy.previews TO policy
  USING (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE (spent_at, operation_id) ON policy.previews TO policy;

CREATE TABLE policy.daily_counts (
  account_id uuid NOT NULL REFERENCES policy.accounts,
  -- The UTC day.
  day date NOT NULL,
  changes integer NOT NULL,
  PRIMARY KEY (account_id, day)
);
ALTER TABLE policy.daily_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE policy.daily_counts FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON policy.daily_counts TO policy
  USING (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON policy.daily_counts TO policy;
