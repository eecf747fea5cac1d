//! What a materialized view that is made anew, within one transaction, has as before: its owner,
//! its privileges, its indexes, and the comments on these and on its columns.

use super::sql;

/// The setting in which the statements are kept that give all of it back.
const KEPT: &str = "dollop.kept";

/// Writes down what the view has.
pub(super) fn keep(view: &str) -> String {
    let of = format!("{}::regclass", sql::text(view));
    // An empty text stands for: take away what everybody has of a new one.
    alone(
        "",
        &format!(
            "PERFORM set_config('{KEPT}', (SELECT coalesce(json_agg(s.said ORDER BY s.at), '[]')::text
        FROM (
            SELECT 1 AS at, format('ALTER MATERIALIZED VIEW %s OWNER TO %I', c.oid::regclass,
                    pg_get_userbyid(c.relowner)) AS said
                FROM pg_class c WHERE c.oid = {of} AND pg_get_userbyid(c.relowner) <> current_user
            UNION ALL SELECT 2, ''
            UNION ALL SELECT 3, format('GRANT %s ON %s TO %s%s', e.privilege_type, c.oid::regclass,
                    CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE e.grantee::regrole::text END,
                    CASE WHEN e.is_grantable AND e.grantee <> c.relowner THEN ' WITH GRANT OPTION' END)
                FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) e
                WHERE c.oid = {of}
            UNION ALL SELECT 4, format('GRANT %s (%I) ON %s TO %s%s', e.privilege_type, a.attname,
                    a.attrelid::regclass,
                    CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE e.grantee::regrole::text END,
                    CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' END)
                FROM pg_attribute a, aclexplode(a.attacl) e
                WHERE a.attrelid = {of} AND NOT a.attisdropped
            UNION ALL SELECT 5, pg_get_indexdef(i.indexrelid)
                FROM pg_index i WHERE i.indrelid = {of}
            UNION ALL SELECT 6, format('ALTER INDEX %s SET TABLESPACE %I', c.oid::regclass, t.spcname)
                FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                    JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE i.indrelid = {of}
            UNION ALL SELECT 7, format('COMMENT ON INDEX %s IS %L', d.objoid::regclass, d.description)
                FROM pg_index i JOIN pg_description d ON d.objoid = i.indexrelid
                    AND d.classoid = 'pg_class'::regclass WHERE i.indrelid = {of}
            UNION ALL SELECT 8, format('ALTER MATERIALIZED VIEW %s CLUSTER ON %I', i.indrelid::regclass,
                    c.relname)
                FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                WHERE i.indrelid = {of} AND i.indisclustered
            UNION ALL SELECT 9, format('COMMENT ON COLUMN %s.%I IS %L', a.attrelid::regclass, a.attname,
                    col_description(a.attrelid, a.attnum))
                FROM pg_attribute a WHERE a.attrelid = {of} AND a.attnum > 0 AND NOT a.attisdropped
                    AND col_description(a.attrelid, a.attnum) IS NOT NULL
        ) s), true);"
        ),
    )
}

/// Gives the new one what was written down. What is on a column that is gone goes with that, as
/// it does where a column of a table is dropped.
pub(super) fn give_back(view: &str) -> String {
    let of = format!("{}::regclass", sql::text(view));
    alone(
        "statement pg_catalog.text;\n    everybody pg_catalog.text;",
        &format!(
            "FOR statement IN SELECT json_array_elements_text(current_setting('{KEPT}')::json) LOOP
        IF statement <> '' THEN
            BEGIN
                EXECUTE statement;
            EXCEPTION WHEN undefined_column OR undefined_table OR undefined_object THEN
                RAISE WARNING 'is not back: %', statement;
            END;
            CONTINUE;
        END IF;
        FOR everybody IN SELECT DISTINCT format('REVOKE ALL ON %s FROM %s', c.oid::regclass,
                CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE e.grantee::regrole::text END)
            FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) e
            WHERE c.oid = {of}
        LOOP
            EXECUTE everybody;
        END LOOP;
    END LOOP;"
        ),
    )
}

/// A block that looks for names among the server's own only, and leaves the session as it was.
fn alone(variables: &str, statements: &str) -> String {
    let body = format!(
        "DECLARE
    path pg_catalog.text := pg_catalog.current_setting('search_path');
    {variables}
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
    {statements}
    PERFORM set_config('search_path', path, true);
END"
    );
    let tag = sql::tag(&body);
    format!("DO {tag}{body}{tag}")
}
