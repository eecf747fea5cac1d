-- What is made belongs to the application; who runs this writes down that it did.
SET ROLE taylordash;

CREATE TABLE projects (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    created timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project bigint NOT NULL REFERENCES projects (id),
    topic text NOT NULL,
    payload jsonb NOT NULL,
    received timestamptz NOT NULL DEFAULT now()
);

RESET ROLE;
