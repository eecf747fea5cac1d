-- Many tenants in one database, kept apart by the server.
CREATE EXTENSION pgcrypto SCHEMA extensions;
CREATE EXTENSION btree_gist;
CREATE EXTENSION postgres_fdw;
GRANT USAGE ON SCHEMA app, auth TO web, "Read Only";
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
    AS $$SELECT nullif(current_setting('request.jwt.sub', true), '')::uuid$$;
CREATE TYPE app.account_role AS ENUM ('owner', 'member');
CREATE TABLE app.accounts (
    id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
    slug text UNIQUE CHECK (slug ~ '^[a-z0-9-]+$'),
    name text NOT NULL,
    salt bytea DEFAULT extensions.gen_random_bytes(8),
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_by uuid DEFAULT auth.uid()
);
CREATE TABLE app.members (
    account_id uuid NOT NULL REFERENCES app.accounts ON DELETE CASCADE,
    user_id uuid NOT NULL,
    role app.account_role DEFAULT 'member' NOT NULL,
    PRIMARY KEY (user_id, account_id)
);
CREATE FUNCTION app.has_role(account uuid, wanted app.account_role DEFAULT NULL) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path TO 'app'
    AS $$SELECT EXISTS (SELECT FROM members m WHERE m.account_id = account AND m.user_id = auth.uid()
        AND (wanted IS NULL OR m.role = wanted))$$;
ALTER TABLE app.accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.members ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.members FORCE ROW LEVEL SECURITY;
CREATE POLICY "members see it" ON app.accounts FOR SELECT TO web USING (app.has_role(id));
CREATE POLICY "owners change it" ON app.accounts FOR UPDATE TO "Read Only"
    USING (app.has_role(id, 'owner')) WITH CHECK (slug IS NOT NULL);
CREATE POLICY "anybody makes one" ON app.accounts FOR INSERT WITH CHECK (true);
CREATE POLICY own ON app.members AS RESTRICTIVE USING (user_id = auth.uid());
ALTER TABLE app.accounts OWNER TO "App Owner";
ALTER TABLE app.members OWNER TO "App Owner";
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA app TO web;
GRANT SELECT ON app.accounts TO "Read Only" WITH GRANT OPTION;
GRANT UPDATE (name, slug) ON app.accounts TO web;
REVOKE EXECUTE ON FUNCTION app.has_role(uuid, app.account_role) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.has_role(uuid, app.account_role) TO web;
GRANT USAGE ON TYPE app.account_role TO web;
REVOKE ALL ON DATABASE "Saas ü" FROM PUBLIC;
GRANT CONNECT ON DATABASE "Saas ü" TO web;
ALTER DEFAULT PRIVILEGES FOR ROLE "App Owner" IN SCHEMA app GRANT SELECT ON TABLES TO "Read Only";
ALTER DEFAULT PRIVILEGES FOR ROLE "App Owner" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE SERVER billing FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'billing.invalid', dbname 'b');
CREATE USER MAPPING FOR web SERVER billing OPTIONS (user 'web', password 'h0st''s secret');
CREATE FOREIGN TABLE app.invoices (id bigint OPTIONS (column_name 'no') NOT NULL, total numeric(10,2))
    SERVER billing OPTIONS (schema_name 'public', table_name 'invoices');
GRANT USAGE ON FOREIGN SERVER billing TO web;
CREATE VIEW app.owed WITH (security_invoker = true) AS
    SELECT a.id, sum(i.total) AS total FROM app.accounts a CROSS JOIN app.invoices i GROUP BY a.id;
CREATE PUBLICATION accounts FOR TABLE app.accounts (id, name) WHERE (slug IS NOT NULL), app.members
    WITH (publish = 'insert, update');
ALTER DEFAULT PRIVILEGES IN SCHEMA auth GRANT EXECUTE ON FUNCTIONS TO web;
