-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE integration;
SET search_path = integration;

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_by_time ON events (created);

RESET ROLE;
