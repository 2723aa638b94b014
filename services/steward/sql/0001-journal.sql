-- The steward's tables: resources, the journal of operations, locks, zone versions.
-- Every row belongs to one account. The account is a transaction-local setting; without it a query sees nothing.

CREATE TABLE steward.resources (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  version integer NOT NULL DEFAULT 1,
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'quarantined')),
  placement text NOT NULL DEFAULT 'local',
  data jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
-- A name is free again as soon as its holder is quarantined.
CREATE UNIQUE INDEX resources_active_name ON steward.resources (account_id, kind, name) WHERE state = 'active';
CREATE INDEX resources_listed ON steward.resources (account_id, kind, id);

CREATE TABLE steward.operations (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL,
  -- A permit opens one operation: its nonce cannot open another.
  nonce text NOT NULL UNIQUE,
  permit json NOT NULL,
  tool text NOT NULL,
  scopes text[] NOT NULL,
  destructive boolean NOT NULL,
  -- As received, without idempotency_key, preview_token and confirm: no token is stored.
  input json NOT NULL,
  state text NOT NULL CHECK (state IN ('accepted', 'intended', 'prepared', 'snapshotted', 'acting', 'committed', 'recorded',
                                       'refused', 'closed', 'unknown')),
  -- Why it last did not go on.
  code text,
  lease_holder text NOT NULL,
  -- The fencing token: moves with every change of hands, and every write names the one that it was given.
  lease_epoch integer NOT NULL,
  -- Null: nobody drives it; it waits for its caller.
  lease_until timestamptz,
  -- Bound recovery: when it first came to `acting`, and how often it was taken up again there.
  acting_at timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  new_resource_id uuid NOT NULL,
  -- For an undo: the operation that it reverses, and the tool call at the root of a chain of undos.
  deed_id uuid REFERENCES steward.operations,
  root_id uuid REFERENCES steward.operations,
  resources uuid[] NOT NULL DEFAULT '{}',
  before json,
  restore_points json,
  output json,
  after json,
  denial json,
  undo_until timestamptz NOT NULL,
  undone_by uuid REFERENCES steward.operations,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  intent_index bigint,
  outcome_index bigint
);
CREATE INDEX operations_unfinished ON steward.operations (lease_until) WHERE state NOT IN ('recorded', 'closed', 'unknown');
CREATE INDEX operations_trash ON steward.operations (account_id, finished_at DESC, id) WHERE destructive;

CREATE INDEX operations_undone ON steward.operations (undone_by) WHERE undone_by IS NOT NULL;

-- What an unfinished operation holds: `resource:<id>`, `name:<kind>:<name>`, `deed:<operation id>`.
CREATE TABLE steward.locks (
  account_id uuid NOT NULL,
  key text NOT NULL,
  operation_id uuid NOT NULL REFERENCES steward.operations,
  PRIMARY KEY (account_id, key)
);
CREATE INDEX locks_of ON steward.locks (operation_id);

CREATE TABLE steward.zone_versions (
  account_id uuid NOT NULL,
  zone_id uuid NOT NULL,
  version integer NOT NULL,
  at timestamptz NOT NULL,
  operation_id uuid NOT NULL REFERENCES steward.operations,
  record_sets json NOT NULL,
  PRIMARY KEY (zone_id, version)
);

GRANT USAGE ON SCHEMA steward TO steward, bailiwick_resolver, anomaly;
GRANT SELECT, INSERT, UPDATE ON steward.resources, steward.operations TO steward;
GRANT SELECT, INSERT, DELETE ON steward.locks TO steward;
GRANT SELECT, INSERT ON steward.zone_versions TO steward;
GRANT SELECT ON steward.resources, steward.operations TO bailiwick_resolver;

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['resources', 'operations', 'locks', 'zone_versions'] LOOP
    EXECUTE format('ALTER TABLE steward.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE steward.%I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY own_account ON steward.%I TO steward
         USING (account_id = nullif(current_setting(''bailiwick.account'', true), '''')::uuid)
         WITH CHECK (account_id = nullif(current_setting(''bailiwick.account'', true), '''')::uuid)', name);
  END LOOP;
END $$;
CREATE POLICY resolver_looks ON steward.resources FOR SELECT TO bailiwick_resolver USING (true);
CREATE POLICY resolver_looks ON steward.operations FOR SELECT TO bailiwick_resolver USING (true);
