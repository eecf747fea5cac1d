-- What is made belongs to the schema's own role, and lands in its schema.
SET ROLE nemsis;
SET search_path = nemsis;

CREATE TABLE patients (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX patients_by_time ON patients (created);

RESET ROLE;
