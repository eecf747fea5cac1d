-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE dispatch;
SET search_path = dispatch;

CREATE TABLE incidents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX incidents_by_time ON incidents (created);

RESET ROLE;
