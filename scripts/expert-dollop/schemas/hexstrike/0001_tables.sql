-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE hexstrike;
SET search_path = hexstrike;

CREATE TABLE matches (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX matches_by_time ON matches (created);

RESET ROLE;
