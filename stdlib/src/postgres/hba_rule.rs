//! `postgres::hba_rule`: who may connect from where, in the server's `pg_hba.conf`.
//!
//! The file is read and written by the server itself (`pg_read_file`, `lo_export`); see "The
//! pg_hba.conf File" in the PostgreSQL manual.

use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::{Nothing, Object};
use super::server::Server;
use super::sql;

/// A rule of `pg_hba.conf`. dollop's rules stand before all others, in their `order`; the first
/// one that fits a connection decides. A file that the server would not understand is not
/// left behind.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The rule, as it stands in the file: `hostssl shop app 10.0.0.0/8 scram-sha-256`.
    pub rule: String,
    /// Where it stands among dollop's rules: smaller ones come first, equal ones by name.
    #[serde(default)]
    pub order: u16,
}

/// The kind.
pub struct HbaRule;

impl Object for HbaRule {
    const KIND: &'static str = "postgres::hba_rule";
    const NEEDS: &'static str = "a superuser, since the server's own file is written; where nobody \
                                 is one, the console of the one who runs it sets such rules";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits::default()
    }

    fn normalize(spec: &mut Spec) {
        spec.rule = spec.rule.split_whitespace().collect::<Vec<_>>().join(" ");
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let kinds = ["local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"];
        let first = spec.rule.split(' ').next().unwrap_or_default();
        let problem = Problem {
            attribute: "rule".to_owned(),
            message: format!("`{first}` begins no rule"),
            hint: Some(format!("one of {}", kinds.join(", "))),
        };
        (!kinds.contains(&first)).then_some(problem).into_iter().collect()
    }

    fn database(_: &Spec) -> Option<&str> {
        None
    }

    fn key(natural: &str, _: &Spec) -> Vec<String> {
        vec![natural.split_whitespace().collect::<Vec<_>>().join(" ")]
    }

    const NAMES: usize = 0;

    fn describe(key: &[String]) -> String {
        format!("rule `{}` of pg_hba.conf", key[0])
    }

    fn query(_: &Server) -> String {
        // `# dollop 00010 name`, and the rule in the next line.
        r#"select array[substr(l.line, 16)] "key", substr(l.line, 10, 5)::int4 "order", l.rule
        from (select line, lead(line) over (order by at) rule
            from regexp_split_to_table(pg_read_file(current_setting('hba_file')), E'\n')
                with ordinality f(line, at)) l
        where l.line ~ '^# dollop [0-9]{5} ' and substr(l.line, 16) = any($1)"#
            .to_owned()
    }

    const OPTIONAL: &'static [&'static str] = &[];

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        if let (Some(from), Some(to)) = (from, to)
            && from.rule == to.rule
            && from.order == to.order
        {
            return Vec::new();
        }
        let ours = to.map_or_else(
            || "NULL".to_owned(),
            |to| {
                let mark = format!("# dollop {:05} {}", to.order, key[0]);
                sql::text(&format!("{mark}\n{}", to.rule))
            },
        );
        // One at a time: each reads the file that the one before has written.
        let edit = format!(
            r#"
DECLARE
    path pg_catalog.text := pg_catalog.current_setting('hba_file');
    old pg_catalog.text;
    new pg_catalog.text;
    bad pg_catalog.text;
    written pg_catalog.oid;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
    PERFORM pg_advisory_xact_lock(hashtext('dollop pg_hba.conf'));
    old := pg_read_file(path);
    WITH lines AS (
        SELECT line, at, line ~ '^# dollop [0-9]{{5}} ' AS mark,
            lag(line) OVER (ORDER BY at) ~ '^# dollop [0-9]{{5}} ' AS marked,
            lead(line) OVER (ORDER BY at) AS next
        FROM regexp_split_to_table(old, E'\n') WITH ORDINALITY l(line, at)
    ), rules AS (
        SELECT line || E'\n' || next AS rule FROM lines
        WHERE mark AND substr(line, 16) <> {name}
        UNION ALL SELECT {ours} WHERE {ours} IS NOT NULL
    )
    SELECT concat((SELECT string_agg(rule || E'\n', '' ORDER BY rule COLLATE "C") FROM rules),
        (SELECT string_agg(line, E'\n' ORDER BY at) FROM lines
            WHERE NOT mark AND marked IS NOT TRUE)) INTO new;
    written := lo_from_bytea(0, convert_to(new, 'UTF8'));
    PERFORM lo_export(written, path);
    PERFORM lo_unlink(written);
    SELECT string_agg(format('line %s: %s', line_number, error), '; ') INTO bad
    FROM pg_hba_file_rules WHERE error IS NOT NULL;
    IF bad IS NOT NULL THEN
        written := lo_from_bytea(0, convert_to(old, 'UTF8'));
        PERFORM lo_export(written, path);
        RAISE EXCEPTION 'pg_hba.conf would not be understood: %', bad;
    END IF;
    PERFORM pg_reload_conf();
END "#,
            name = sql::text(&key[0]),
        );
        vec![format!("DO {0}{edit}{0}", sql::tag(&edit))]
    }
}
