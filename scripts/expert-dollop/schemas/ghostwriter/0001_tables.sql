-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE ghostwriter;
SET search_path = ghostwriter;

CREATE TABLE articles (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX articles_by_time ON articles (created);

RESET ROLE;
