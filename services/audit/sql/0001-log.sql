-- The log: leaves, their encrypted openings, and the head that one writer at a time may move.
-- Trusted for order and durability. Not trusted for truth: leaves are hashed, opened values are checked against commitments.
-- The service logs in as `audit`, owns nothing here, and can only read one account's rows and call the functions below.

CREATE TABLE audit.head (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  next_index bigint NOT NULL DEFAULT 0 CHECK (next_index >= 0),
  -- Moves with each claim. An append under an older epoch is refused: that is what fences off a writer that was replaced,
  -- and what makes a lost batch final (it landed before the claim or it never will).
  epoch bigint NOT NULL DEFAULT 0,
  writer uuid
);
INSERT INTO audit.head DEFAULT VALUES;

CREATE TABLE audit.leaves (
  index bigint PRIMARY KEY CHECK (index >= 0),
  time_ms bigint NOT NULL,
  -- RFC 8785 JSON, without personal data; kept for ever.
  leaf text NOT NULL,
  -- RFC 6962 §2.1: SHA-256(0x00 || leaf).
  leaf_hash bytea NOT NULL CHECK (leaf_hash = sha256('\x00'::bytea || convert_to(leaf, 'UTF8'))),
  -- Copies of what the leaf says, for looking up. The leaf is the truth; readers compare.
  kind text NOT NULL,
  account text,
  tool text,
  operation_id uuid,
  partition text NOT NULL
);
CREATE INDEX leaves_by_account ON audit.leaves (account, index);
CREATE INDEX leaves_by_tool ON audit.leaves (account, tool, index);
CREATE INDEX leaves_by_operation ON audit.leaves (operation_id) WHERE operation_id IS NOT NULL;
CREATE UNIQUE INDEX leaves_once ON audit.leaves (operation_id, kind) WHERE kind IN ('intent', 'outcome');

-- One row per leaf: nonce, tag and ciphertext of {field: {value, blind}} under the key of its partition. A partition is a
-- retention class and a month, so that it can be destroyed whole, with its key, when its time has come.
CREATE TABLE audit.openings (
  partition text NOT NULL,
  index bigint NOT NULL,
  sealed bytea NOT NULL,
  PRIMARY KEY (partition, index)
) PARTITION BY LIST (partition);

-- `key_check` is the SHA-256 of the partition's key: a writer whose secret store has lost or replaced the key notices before
-- it seals something that nobody will open.
CREATE TABLE audit.partitions (
  name text PRIMARY KEY CHECK (name ~ '^(standard|long)-[0-9]{4}-(0[1-9]|1[0-2])(\.[2-9])?$'),
  key_check bytea NOT NULL CHECK (length(key_check) = 32)
);

-- Append-only for everybody, the owner and the superuser included, until they change the tables themselves.
CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the log is append-only: % of % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

-- Attached per table, because a statement trigger of a partitioned table does not fire for its partitions; ALWAYS, so that
-- session_replication_role does not switch it off.
CREATE FUNCTION audit.protect(p_table regclass) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format(
    'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()',
    p_table);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', p_table);
END $$;
SELECT audit.protect('audit.leaves'), audit.protect('audit.openings'), audit.protect('audit.partitions');

CREATE FUNCTION audit.guard_head() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.next_index < OLD.next_index OR NEW.epoch < OLD.epoch THEN
    RAISE EXCEPTION 'the head of the log never goes back' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER forward_only BEFORE UPDATE ON audit.head FOR EACH ROW EXECUTE FUNCTION audit.guard_head();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON audit.head FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.head ENABLE ALWAYS TRIGGER forward_only, ENABLE ALWAYS TRIGGER append_only;

-- One account at a time: without the setting the service reads nothing. An opening is visible where its leaf is.
ALTER TABLE audit.leaves ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit.openings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON audit.leaves FOR SELECT TO audit
  USING (account = nullif(current_setting('bailiwick.account', true), ''));
CREATE POLICY own ON audit.openings FOR SELECT TO audit
  USING (EXISTS (SELECT 1 FROM audit.leaves visible WHERE visible.index = openings.index));
CREATE POLICY writing ON audit.leaves TO bailiwick_owner USING (true) WITH CHECK (true);
CREATE POLICY writing ON audit.openings TO bailiwick_owner USING (true) WITH CHECK (true);
CREATE POLICY intents ON audit.leaves FOR SELECT TO bailiwick_resolver USING (kind = 'intent');
