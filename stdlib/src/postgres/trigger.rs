//! `postgres::trigger`: functions that run when rows change.
//!
//! Catalog: `pg_trigger`.

use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::{Object, Worded};
use super::place::on_table;
use super::server::Server;
use super::sql;

/// A trigger on a table or view. Another definition takes its place in one transaction.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema its table is in.
    #[serde(default = "sql::public")]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schema: String,
    /// The table or view it is on.
    #[schemars(extend("x-handle" = ["postgres::table", "postgres::view"]))]
    pub table: String,
    /// When it runs.
    pub timing: Timing,
    /// What it runs for: `["INSERT", "UPDATE OF price, total", "DELETE", "TRUNCATE"]`.
    pub events: Vec<String>,
    /// Whether it runs once for each row or once for the statement.
    #[serde(default)]
    pub level: Level,
    /// The condition for running it: `NEW.total > OLD.total`.
    #[serde(default)]
    pub when: Option<String>,
    /// The function it calls, `audit` or `app.audit`.
    #[schemars(extend("x-handle" = "postgres::function"))]
    pub function: String,
    /// Texts the function is given.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Whether it runs.
    #[serde(default)]
    pub enabled: Enabled,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

/// When a trigger runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Timing {
    /// Before the change.
    Before,
    /// After it.
    After,
    /// In its place; on views.
    InsteadOf,
}

/// What a trigger runs for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Each row.
    #[default]
    Row,
    /// The statement.
    Statement,
}

/// Whether a trigger runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Enabled {
    /// Except while replicated changes are applied.
    #[default]
    Origin,
    /// Always.
    Always,
    /// Only while replicated changes are applied.
    Replica,
    /// Never.
    Disabled,
}

/// The kind.
pub struct Trigger;

impl Object for Trigger {
    const KIND: &'static str = "postgres::trigger";
    const NEEDS: &'static str = "TRIGGER on the table and EXECUTE on the function";
    type Spec = Spec;
    type Facts = Worded;

    on_table!("trigger");

    fn normalize(spec: &mut Spec) {
        spec.events = spec.events.iter().map(|event| normal_event(event)).collect();
        spec.events.sort();
        spec.events.dedup();
        if let Some(function) = spec.function.strip_prefix("public.") {
            spec.function = function.to_owned();
        }
        sql::none_when_empty(&mut spec.comment);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let known = |event: &String| {
            ["INSERT", "UPDATE", "DELETE", "TRUNCATE"].contains(&event.as_str())
                || event.starts_with("UPDATE OF ")
        };
        let problem = |attribute: &str, message: String, hint: &str| Problem {
            attribute: attribute.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        };
        let hint = "INSERT, UPDATE, UPDATE OF a column, DELETE or TRUNCATE";
        let mut problems: Vec<_> = spec
            .events
            .iter()
            .filter(|event| !known(event))
            .map(|event| problem("events", format!("`{event}` is no event"), hint))
            .collect();
        if spec.events.is_empty() {
            problems.push(problem("events", "a trigger runs for something".to_owned(), hint));
        }
        problems
    }

    fn query(_: &Server) -> String {
        r#"select array[n.nspname, c.relname, t.tgname] "key",
            case when t.tgtype & 2 <> 0 then 'before' when t.tgtype & 64 <> 0 then 'instead_of'
                else 'after' end timing,
            array_remove(array[
                case when t.tgtype & 4 <> 0 then 'INSERT' end,
                case when t.tgtype & 8 <> 0 then 'DELETE' end,
                case when t.tgtype & 16 <> 0 then 'UPDATE' || coalesce(' OF ' || (
                    select string_agg(quote_ident(a.attname), ', ' order by u.at)
                    from unnest(t.tgattr::int2[]) with ordinality u(number, at)
                    join pg_attribute a on a.attrelid = c.oid and a.attnum = u.number), '') end,
                case when t.tgtype & 32 <> 0 then 'TRUNCATE' end
            ], null) "events",
            case when t.tgtype & 1 <> 0 then 'row' else 'statement' end "level",
            substring(pg_get_triggerdef(t.oid) from ' WHEN \((.*)\) EXECUTE ') "when",
            case when fn.nspname = 'public' then f.proname::text
                else fn.nspname || '.' || f.proname end "function",
            (select coalesce(json_agg(convert_from(decode(replace(a, ',', ''), 'hex'),
                    getdatabaseencoding()) order by at), '[]')
                from unnest((string_to_array(regexp_replace(encode(t.tgargs, 'hex'), '(..)',
                    '\1,', 'g'), '00,'))[:t.tgnargs]) with ordinality u(a, at)) "arguments",
            case t.tgenabled when 'O' then 'origin' when 'A' then 'always' when 'R' then 'replica'
                else 'disabled' end "enabled",
            obj_description(t.oid, 'pg_trigger') "comment"
        from pg_trigger t join pg_class c on c.oid = t.tgrelid
            join pg_namespace n on n.oid = c.relnamespace join pg_proc f on f.oid = t.tgfoid
            join pg_namespace fn on fn.oid = f.pronamespace
        where not t.tgisinternal and n.nspname = any($1) and c.relname = any($2)
            and t.tgname = any($3)"#
            .to_owned()
    }

    const OPTIONAL: &'static [&'static str] = &[];
    const WORDS: &'static [&'static str] = &["when"];

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let table = sql::in_schema(&key[0], &key[1]);
        let name = sql::name(&key[2]);
        let drop = format!("DROP TRIGGER {name} ON {table}");
        let Some(to) = to else { return vec![drop] };
        let mut all = Vec::new();
        let but =
            |spec: &Spec| Spec { enabled: Enabled::Origin, comment: None, ..spec.clone() };
        let same = from.is_some_and(|from| but(from) == but(to));
        if !same {
            all.extend(from.map(|_| drop));
            all.push(create(&table, &name, to));
        }
        let from = from.filter(|_| same);
        if from.map_or(Enabled::Origin, |from| from.enabled) != to.enabled {
            let verb = match to.enabled {
                Enabled::Origin => "ENABLE",
                Enabled::Always => "ENABLE ALWAYS",
                Enabled::Replica => "ENABLE REPLICA",
                Enabled::Disabled => "DISABLE",
            };
            all.push(format!("ALTER TABLE {table} {verb} TRIGGER {name}"));
        }
        if from.and_then(|from| from.comment.as_ref()) != to.comment.as_ref() {
            let comment = sql::text_or_null(to.comment.as_deref());
            all.push(format!("COMMENT ON TRIGGER {name} ON {table} IS {comment}"));
        }
        all
    }
}

fn create(table: &str, name: &str, to: &Spec) -> String {
    let timing = match to.timing {
        Timing::Before => "BEFORE",
        Timing::After => "AFTER",
        Timing::InsteadOf => "INSTEAD OF",
    };
    let level = match to.level {
        Level::Row => "ROW",
        Level::Statement => "STATEMENT",
    };
    let events = to.events.join(" OR ");
    let arguments: Vec<_> = to.arguments.iter().map(|text| sql::text(text)).collect();
    let when = to.when.as_ref().map(|text| format!(" WHEN ({text})")).unwrap_or_default();
    format!(
        "CREATE TRIGGER {name} {timing} {events} ON {table} FOR EACH {level}{when} \
         EXECUTE FUNCTION {}({})",
        sql::dotted(&to.function),
        arguments.join(", ")
    )
}

/// `update of  a,b` is `UPDATE OF a, b`.
fn normal_event(event: &str) -> String {
    let words: Vec<&str> = event.split_whitespace().collect();
    let is_of = words.len() > 2
        && words[0].eq_ignore_ascii_case("update")
        && words[1].eq_ignore_ascii_case("of");
    if !is_of {
        return words.join(" ").to_uppercase();
    }
    let columns = words[2..].join(" ");
    let columns: Vec<_> = columns.split(',').map(str::trim).collect();
    format!("UPDATE OF {}", columns.join(", "))
}
