-- What is made belongs to the application; who runs this writes down that it did.
SET ROLE analytics;
SET search_path = analytics, public;

CREATE TABLE kpis (
    name text NOT NULL,
    day date NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (name, day)
);

CREATE TABLE documents (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    body text NOT NULL,
    attributes jsonb NOT NULL DEFAULT '{}'
);

RESET ROLE;
