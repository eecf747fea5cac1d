-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE tcg;
SET search_path = tcg;

CREATE TABLE cards (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX cards_by_time ON cards (created);

RESET ROLE;
