-- Accounts, their humans, their tokens, their tiers. Every table here belongs to one account: without the transaction-local
-- setting bailiwick.account a query sees no rows and writes none, for the owner of the tables too.
GRANT USAGE ON SCHEMA policy TO policy;
GRANT USAGE ON SCHEMA policy TO bailiwick_resolver;

CREATE TABLE policy.accounts (
  id uuid PRIMARY KEY,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  tier text NOT NULL DEFAULT 'none' CHECK (tier IN ('none', 'sandbox', 'beta', 'full')),
  tier_since timestamptz NOT NULL,
  time_zone text NOT NULL,
  created_at timestamptz NOT NULL
);
ALTER TABLE policy.accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE policy.accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON policy.accounts TO policy
  USING (id = nullif(current_setting('bailiwick.account', true), '')::uuid)
  WITH CHECK (id = nullif(current_setting('bailiwick.account', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE (tier, tier_since) ON policy.accounts TO policy;

-- sub is Keycloak's: one account per human for now, resolved from the token's sub and never from an input.
CREATE TABLE policy.members (
  account_id uuid NOT NULL REFERENCES policy.accounts,
  sub text NOT NULL UNIQUE,
  role text NOT NULL CHECK (role IN ('owner', 'member')),
  created_at timestamptz NOT NULL,
  PRIMARY KEY (account_id, sub)
);
ALTER TABLE policy.members ENABLE ROW LEVEL SECURITY;
ALTER TABLE policy.members FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON policy.members TO policy
  USING (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid);
GRANT SELECT, INSERT, DELETE ON policy.members TO policy;

-- Of the token itself only its HMAC under a key from the secret store: a dump of this table opens nothing.
CREATE TABLE policy.tokens (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES policy.accounts,
  hmac bytea NOT NULL UNIQUE CHECK (octet_length(hmac) = 32),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  scopes text[] NOT NULL,
  addresses text[] NOT NULL DEFAULT '{}',
  user_sub text,
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'blocked', 'revoked')),
  state_reason text,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  last_used_at timestamptz
);
CREATE INDEX tokens_by_account ON policy.tokens (account_id);
ALTER TABLE policy.tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE policy.tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON policy.tokens TO policy
  USING (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE (state, state_reason, last_used_at) ON policy.tokens TO policy;

CREATE TABLE policy.tier_history (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES policy.accounts,
  at timestamptz NOT NULL,
  from_tier text NOT NULL,
  to_tier text NOT NULL,
  -- The owner's consent and what was looked at, in the admin's words.
  reason text NOT NULL,
  days_in_tier numeric NOT NULL
);
ALTER TABLE policy.tier_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE policy.tier_history FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON policy.tier_history TO policy
  USING (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid);
GRANT SELECT, INSERT ON policy.tier_history TO policy;

-- resource_id null: the whole account. A lifted freeze stays as history.
CREATE TABLE policy.freezes (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES policy.accounts,
  resource_id uuid,
  since timestamptz NOT NULL,
  reason text NOT NULL,
  lifted_at timestamptz,
  lift_reason text
);
CREATE UNIQUE INDEX freezes_standing ON policy.freezes (account_id, resource_id) NULLS NOT DISTINCT WHERE lifted_at IS NULL;
ALTER TABLE policy.freezes ENABLE ROW LEVEL SECURITY;
ALTER TABLE policy.freezes FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON policy.freezes TO policy
  USING (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('bailiwick.account', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE (lifted_at, lift_reason) ON policy.freezes TO policy;
