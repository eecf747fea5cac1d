-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE nemesis;
SET search_path = nemesis;

CREATE TABLE campaigns (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX campaigns_by_time ON campaigns (created);

RESET ROLE;
