-- Roles of the control database. Run once by the superuser; passwords are set apart, from generated secrets.
-- bailiwick_owner owns every schema and runs migrations; no service holds it. bailiwick_resolver owns the few functions that
-- must find a row before the account is known; nobody can log in as either.
CREATE ROLE bailiwick_owner NOLOGIN;
CREATE ROLE bailiwick_resolver NOLOGIN;
GRANT bailiwick_resolver TO bailiwick_owner;
CREATE ROLE policy LOGIN NOINHERIT;
CREATE ROLE steward LOGIN NOINHERIT;
CREATE ROLE audit LOGIN NOINHERIT;
CREATE ROLE anomaly LOGIN NOINHERIT;
