-- What is made belongs to the application; who runs this writes down that it did.
SET ROLE dictamesh;

CREATE TABLE dictamesh_entity_catalog (
    id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
    domain text NOT NULL,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    UNIQUE (domain, name)
);
CREATE INDEX dictamesh_entity_by_words ON dictamesh_entity_catalog USING gin (description gin_trgm_ops);

CREATE TABLE dictamesh_entity_relationships (
    source uuid NOT NULL REFERENCES dictamesh_entity_catalog (id) ON DELETE CASCADE,
    target uuid NOT NULL REFERENCES dictamesh_entity_catalog (id) ON DELETE CASCADE,
    kind text NOT NULL,
    PRIMARY KEY (source, target, kind)
);

CREATE TABLE dictamesh_schemas (
    entity uuid NOT NULL REFERENCES dictamesh_entity_catalog (id) ON DELETE CASCADE,
    version integer NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (entity, version)
);

CREATE TABLE dictamesh_event_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity uuid REFERENCES dictamesh_entity_catalog (id),
    event jsonb NOT NULL,
    happened timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dictamesh_event_by_time ON dictamesh_event_log (happened DESC);

CREATE TABLE dictamesh_data_lineage (
    upstream uuid NOT NULL REFERENCES dictamesh_entity_catalog (id),
    downstream uuid NOT NULL REFERENCES dictamesh_entity_catalog (id),
    PRIMARY KEY (upstream, downstream)
);

CREATE TABLE dictamesh_cache_status (
    key text PRIMARY KEY,
    expires timestamptz NOT NULL
);

RESET ROLE;
