-- What no kind is for, and what needs it.
CREATE FUNCTION joined(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT $1 || ', ' || $2$$;
CREATE AGGREGATE all_of(text) (SFUNC = joined, STYPE = text);
CREATE TYPE pair AS (a integer, b text);
CREATE TABLE base (id integer, name text);
CREATE TABLE derived () INHERITS (base);
CREATE VIEW names AS SELECT all_of(name) FROM base;
CREATE VIEW more_names AS SELECT * FROM names;
CREATE FUNCTION pairs() RETURNS SETOF pair LANGUAGE sql AS 'SELECT 1, NULL::text';
CREATE RULE nothing AS ON DELETE TO base DO INSTEAD NOTHING;
CREATE STATISTICS known ON id, name FROM base;
ALTER TABLE base REPLICA IDENTITY FULL, ALTER COLUMN name SET STORAGE EXTERNAL;
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON base DEFERRABLE FOR EACH ROW EXECUTE FUNCTION look();
CREATE TRIGGER all_new AFTER INSERT ON base REFERENCING NEW TABLE AS made EXECUTE FUNCTION look();
CREATE TABLE fine (id integer GENERATED ALWAYS AS IDENTITY (START 100));
CREATE TYPE floats AS RANGE (SUBTYPE = float8);
CREATE VIEW gaps AS SELECT floats(1, 2) AS gap;
CREATE TABLE measured (at floats);
-- What one statement makes can be declared by it, unless it belongs to somebody else.
ALTER AGGREGATE all_of(text) OWNER TO web;
ALTER TYPE pair OWNER TO web;
ALTER TYPE floats OWNER TO web;
