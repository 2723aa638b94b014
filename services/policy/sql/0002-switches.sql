-- What holds for all accounts: the kill switch, and the epoch that moves with every change of anybody's status.
-- Replicas keep status in memory under the epoch; whoever changes status moves it in the same transaction.
CREATE TABLE policy.settings (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  killed boolean NOT NULL DEFAULT false,
  killed_since timestamptz,
  killed_reason text
);
INSERT INTO policy.settings DEFAULT VALUES;
GRANT SELECT, UPDATE (killed, killed_since, killed_reason) ON policy.settings TO policy;

CREATE TABLE policy.epoch (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  value bigint NOT NULL DEFAULT 1
);
INSERT INTO policy.epoch DEFAULT VALUES;
GRANT SELECT, UPDATE (value) ON policy.epoch TO policy;
