-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE firecrawl;
SET search_path = firecrawl;

CREATE TABLE pages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX pages_by_time ON pages (created);

RESET ROLE;
