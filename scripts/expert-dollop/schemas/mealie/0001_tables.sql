-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE mealie;
SET search_path = mealie;

CREATE TABLE recipes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recipes_by_time ON recipes (created);

RESET ROLE;
