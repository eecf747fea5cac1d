-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE main;
SET search_path = main;

CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX accounts_by_time ON accounts (created);

RESET ROLE;
