-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE goose;
SET search_path = goose;

CREATE TABLE sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sessions_by_time ON sessions (created);

RESET ROLE;
