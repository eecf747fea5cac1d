-- A shop that rents films: what a dump of years ago looks like.
SET check_function_bodies = off;
CREATE TYPE rating AS ENUM ('G', 'PG', 'PG-13', 'it''s "R"');
COMMENT ON TYPE rating IS 'Who may see it';
CREATE DOMAIN year AS integer CONSTRAINT year_check CHECK (VALUE >= 1901 AND VALUE <= 2155);
CREATE DOMAIN "bıgınt" AS bigint DEFAULT 7 NOT NULL;
CREATE SEQUENCE film_film_id_seq;
CREATE SEQUENCE countdown AS integer INCREMENT -2 MAXVALUE 100 START 100 CYCLE CACHE 5;
CREATE TABLE language (
    language_id serial PRIMARY KEY,
    name character(20) NOT NULL,
    last_update timestamp DEFAULT now() NOT NULL
);
CREATE TABLE film (
    film_id integer DEFAULT nextval('film_film_id_seq'::regclass) NOT NULL PRIMARY KEY,
    title character varying(255) NOT NULL,
    description text,
    release_year year,
    language_id smallint NOT NULL REFERENCES language ON UPDATE CASCADE ON DELETE RESTRICT,
    rental_rate numeric(4,2) DEFAULT 4.99 NOT NULL,
    rating rating DEFAULT 'G'::rating,
    special_features text[] DEFAULT '{}',
    fulltext tsvector,
    last_update timestamptz DEFAULT now() NOT NULL
) WITH (fillfactor = 80);
ALTER SEQUENCE film_film_id_seq OWNED BY film.film_id;
CREATE INDEX film_fulltext_idx ON film USING gist (fulltext);
CREATE INDEX idx_title ON film (lower(title), release_year DESC NULLS LAST) WHERE rating <> 'G';
-- Both need the other.
CREATE TABLE staff (
    staff_id bigserial PRIMARY KEY,
    first_name text NOT NULL,
    store_id integer NOT NULL,
    picture bytea,
    boss bigint REFERENCES staff
);
CREATE TABLE store (
    store_id serial PRIMARY KEY,
    manager_staff_id bigint NOT NULL REFERENCES staff ON DELETE RESTRICT
);
ALTER TABLE staff ADD CONSTRAINT staff_store_id_fkey FOREIGN KEY (store_id) REFERENCES store
    DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT staff_store_id_fkey ON staff IS 'Where they work';
ALTER TABLE store RENAME TO shop_store;
CREATE TABLE payment (
    payment_id bigint GENERATED ALWAYS AS IDENTITY,
    staff_id bigint NOT NULL REFERENCES staff,
    amount numeric(5,2) NOT NULL CHECK (amount >= 0),
    payment_date timestamptz NOT NULL,
    PRIMARY KEY (payment_date, payment_id)
) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_p2022_01 PARTITION OF payment
    FOR VALUES FROM ('2022-01-01 00:00:00+00') TO ('2022-02-01 00:00:00+00');
CREATE TABLE payment_late PARTITION OF payment DEFAULT PARTITION BY HASH (payment_id);
CREATE TABLE payment_late_one PARTITION OF payment_late FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE INDEX payment_staff_idx ON payment (staff_id);
COMMENT ON COLUMN payment_p2022_01.amount IS 'In euros';
CREATE FUNCTION last_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.last_update = CURRENT_TIMESTAMP;
    RETURN NEW;
END $$;
CREATE FUNCTION film_in_stock(p_film_id integer, VARIADIC stores integer[] DEFAULT '{}', OUT p_count integer)
    RETURNS SETOF integer LANGUAGE sql STABLE AS $_$
    SELECT film_id FROM film WHERE film_id = $1 AND price_of(film.*) > 0;
$_$;
CREATE FUNCTION film_in_stock(title character varying(9)) RETURNS boolean LANGUAGE sql STABLE
    AS $$SELECT EXISTS (SELECT FROM film f WHERE f.title = $1)$$;
-- The types of this one are longer together than a name may be.
CREATE FUNCTION between_them(timestamp with time zone, timestamp with time zone, double precision)
    RETURNS boolean LANGUAGE sql IMMUTABLE AS $$SELECT $1 < $2$$;
-- Nothing but its body says what it uses, and that only by where it looks.
CREATE SCHEMA media;
CREATE DOMAIN media."text/plain" AS text;
SET search_path TO media;
CREATE FUNCTION as_plain(data text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT $1::"text/plain"$$;
RESET search_path;
CREATE FUNCTION price_of(film) RETURNS numeric LANGUAGE sql STRICT IMMUTABLE PARALLEL SAFE COST 7
    SET search_path TO 'public', 'pg_temp'
    AS $$SELECT $1.rental_rate * 2$$;
CREATE PROCEDURE close_store(id integer) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE found_one film%ROWTYPE;
BEGIN
    DELETE FROM payment WHERE staff_id IN (SELECT s.staff_id FROM staff s WHERE s.store_id = id);
END $$;
COMMENT ON PROCEDURE close_store(integer) IS 'For ever';
CREATE TRIGGER last_updated BEFORE UPDATE ON film FOR EACH ROW EXECUTE FUNCTION last_updated();
CREATE TRIGGER film_fulltext_trigger BEFORE INSERT OR UPDATE OF title, description ON film
    FOR EACH ROW WHEN (NEW.title IS NOT NULL AND NEW.title::text <> ''::text)
    EXECUTE FUNCTION tsvector_update_trigger('fulltext', 'pg_catalog.english', 'title', 'description');
CREATE VIEW a_list WITH (security_barrier = true) AS
    SELECT f.film_id, f.title, l.name AS language, price_of(f.*) AS price
    FROM film f JOIN language l USING (language_id)
    WHERE f.rating = ANY (ARRAY['G'::rating, 'PG'::rating]);
COMMENT ON COLUMN a_list.price IS 'What it''s worth';
CREATE VIEW "0 list" AS SELECT * FROM a_list WHERE price > 1;
CREATE MATERIALIZED VIEW sales AS
    SELECT s.store_id, sum(p.amount) AS total
    FROM payment p JOIN staff s USING (staff_id) GROUP BY s.store_id WITH DATA;
CREATE UNIQUE INDEX sales_store ON sales (store_id);
CREATE INDEX sales_total ON sales (total DESC);
-- What inherits, what runs for every change, and comments on what has no kind.
CREATE TABLE rental (id bigint NOT NULL, made date DEFAULT '2026-01-01', CONSTRAINT id_check CHECK (id > 0));
CREATE TABLE "old rental" (closed date NOT NULL, made date NOT NULL) INHERITS (rental);
COMMENT ON CONSTRAINT year_check ON DOMAIN year IS 'No film is older';
CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER "note It" ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE')
    EXECUTE FUNCTION noted();
ALTER EVENT TRIGGER "note It" ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER "note It" IS 'Who changed what';
-- It brings composite types along.
CREATE EXTENSION tablefunc;
-- When this is made again, everybody must have been given what they have.
CREATE FUNCTION refused() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'nobody is given anything any more';
END $$;
CREATE EVENT TRIGGER enough ON ddl_command_start WHEN TAG IN ('GRANT', 'REVOKE')
    EXECUTE FUNCTION refused();
