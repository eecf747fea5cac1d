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
    /// What it runs for: `["INSERT", "UPDATE OF price, \"Total\"", "DELETE", "TRUNCATE"]`, names
    /// as in SQL.
    pub events: Vec<String>,
    /// Whether it runs once for each row or once for the statement.
    #[serde(default)]
    pub level: Level,
    /// The name under which the function sees all rows as they were, as a table.
    #[serde(default)]
    pub old_table: Option<String>,
    /// The name under which the function sees all rows as they are, as a table.
    #[serde(default)]
    pub new_table: Option<String>,
    /// Whether it is a constraint trigger, and when one runs: after each statement, or at the
    /// end of the transaction.
    #[serde(default)]
    pub constraint: Option<Constraint>,
    /// The condition for running it: `NEW.total > OLD.total`.
    #[serde(default)]
    pub when: Option<String>,
    /// The function it calls, `audit` (of the schema `public`) or `app.audit`.
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

/// When a constraint trigger runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// After each statement.
    NotDeferrable,
    /// After each statement, unless the transaction says `SET CONSTRAINTS ... DEFERRED`.
    Immediate,
    /// At the end of the transaction, unless it says otherwise.
    Deferred,
}

impl Constraint {
    fn sql(self) -> &'static str {
        match self {
            Self::NotDeferrable => "NOT DEFERRABLE",
            Self::Immediate => "DEFERRABLE INITIALLY IMMEDIATE",
            Self::Deferred => "DEFERRABLE INITIALLY DEFERRED",
        }
    }
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

impl Enabled {
    /// As in ALTER.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Origin => "ENABLE",
            Self::Always => "ENABLE ALWAYS",
            Self::Replica => "ENABLE REPLICA",
            Self::Disabled => "DISABLE",
        }
    }
}

/// How an event begins that is about some columns.
const UPDATE_OF: &str = "UPDATE OF ";

/// Functions for triggers that the server brings along.
const BUILT_IN: [&str; 3] = [
    "suppress_redundant_updates_trigger",
    "tsvector_update_trigger",
    "tsvector_update_trigger_column",
];

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
        if BUILT_IN.contains(&spec.function.as_str()) {
            spec.function = format!("pg_catalog.{}", spec.function);
        }
        sql::without_public(&mut spec.function);
        sql::none_when_empty(&mut spec.comment);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let known = |event: &String| {
            ["INSERT", "UPDATE", "DELETE", "TRUNCATE"].contains(&event.as_str())
                || event.starts_with(UPDATE_OF)
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
        let tables = spec.old_table.is_some() || spec.new_table.is_some();
        if tables && spec.timing != Timing::After {
            let attribute = if spec.old_table.is_some() { "old_table" } else { "new_table" };
            let message = "only a trigger that runs after the change sees its rows as a table";
            problems.push(problem(attribute, message.to_owned(), "set `timing: \"after\"`"));
        }
        if spec.constraint.is_some() && (spec.timing, spec.level) != (Timing::After, Level::Row)
        {
            let message = "a constraint trigger runs after the change, for each row".to_owned();
            let hint = "set `timing: \"after\"` and `level: \"row\"`";
            problems.push(problem("constraint", message, hint));
        }
        if spec.constraint.is_some() && tables {
            let message = "a constraint trigger sees no rows as a table".to_owned();
            let hint = "leave `old_table` and `new_table` out";
            problems.push(problem("constraint", message, hint));
        }
        if spec.events.is_empty() {
            problems.push(problem("events", "a trigger runs for something".to_owned(), hint));
        }
        problems
    }

    fn query(_: &Server) -> String {
        let function = sql::bare("fn.nspname", "f.proname");
        format!(
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
            t.tgoldtable old_table, t.tgnewtable new_table,
            case when t.tgconstraint <> 0 then case when not t.tgdeferrable then 'not_deferrable'
                when t.tginitdeferred then 'deferred' else 'immediate' end end "constraint",
            substring(pg_get_triggerdef(t.oid) from ' WHEN \((.*)\) EXECUTE ') "when",
            {function} "function",
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
        )
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
            let verb = to.enabled.sql();
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
    let events = to.events.iter().map(|event| match event.strip_prefix(UPDATE_OF) {
        Some(columns) => format!("{UPDATE_OF}{}", sql::names(&sql::names_in(columns))),
        None => event.clone(),
    });
    let events = events.collect::<Vec<_>>().join(" OR ");
    let (constraint, deferred) = match to.constraint {
        Some(constraint) => ("CONSTRAINT ", format!(" {}", constraint.sql())),
        None => ("", String::new()),
    };
    let tables = [("OLD", &to.old_table), ("NEW", &to.new_table)];
    let tables: String = tables
        .into_iter()
        .filter_map(|(word, name)| {
            Some(format!(" {word} TABLE AS {}", sql::name(name.as_ref()?)))
        })
        .collect();
    let tables = if tables.is_empty() { tables } else { format!(" REFERENCING{tables}") };
    let arguments: Vec<_> = to.arguments.iter().map(|text| sql::text(text)).collect();
    let when = to.when.as_ref().map(|text| format!(" WHEN ({text})")).unwrap_or_default();
    format!(
        "CREATE {constraint}TRIGGER {name} {timing} {events} ON {table}{deferred}{tables} \
         FOR EACH {level}{when} \
         EXECUTE FUNCTION {}({})",
        sql::whole(&to.function),
        arguments.join(", ")
    )
}

/// `update of  Price,"b"` is `UPDATE OF price, b`: names as in SQL.
fn normal_event(event: &str) -> String {
    let words: Vec<&str> = event.split_whitespace().collect();
    let is_of = words.len() > 2
        && words[0].eq_ignore_ascii_case("update")
        && words[1].eq_ignore_ascii_case("of");
    if !is_of {
        return words.join(" ").to_uppercase();
    }
    let columns = sql::names_in(&words[2..].join(" "));
    let columns: Vec<_> = columns.iter().map(|column| sql::listed(column)).collect();
    format!("{UPDATE_OF}{}", columns.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(event: &str, function: &str) -> Spec {
        let spec = serde_json::json!({
            "database": "d", "table": "Orders", "timing": "after", "events": [event],
            "function": function,
        });
        let mut spec: Spec = serde_json::from_value(spec).unwrap();
        Trigger::normalize(&mut spec);
        spec
    }

    #[test]
    fn names_are_sent_whole_and_quoted() {
        let key = ["public", "Orders", "t"].map(str::to_owned);
        for (event, function, sent) in [
            (
                "update of Price, \"To tal\",user",
                "public.audit",
                r#"AFTER UPDATE OF "price", "To tal", "user" ON "public"."Orders" FOR EACH ROW EXECUTE FUNCTION "public"."audit"()"#,
            ),
            (
                "update",
                "suppress_redundant_updates_trigger",
                r#"AFTER UPDATE ON "public"."Orders" FOR EACH ROW EXECUTE FUNCTION "pg_catalog"."suppress_redundant_updates_trigger"()"#,
            ),
        ] {
            let all = Trigger::statements(&key, None, Some(&spec(event, function)));
            assert_eq!(all, [format!(r#"CREATE TRIGGER "t" {sent}"#)]);
        }
    }

    #[test]
    fn events_have_one_form() {
        let normal = |event: &str| spec(event, "f").events.remove(0);
        assert_eq!(normal("update of  Price,\"b\""), "UPDATE OF price, b");
        assert_eq!(normal("UPDATE OF \"Price\""), "UPDATE OF \"Price\"");
        assert_eq!(normal("insert"), "INSERT");
    }
}
