//! `postgres::function`: functions and procedures.
//!
//! Catalog: `pg_proc`, `pg_get_functiondef`.

use std::collections::BTreeMap;

use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::{self, On};
use super::imported::Around;
use super::object::{Object, Worded, comment_and_owner};
use super::server::Server;
use super::{asking, signature, sql};
use crate::text::Text;

/// A function or procedure. Several may share a name when they take different types of
/// arguments: give them addresses of their own and the same `name`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the server has that many")]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema it is in.
    #[serde(default = "sql::public")]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schema: String,
    /// Its arguments: `a integer, b text DEFAULT ''`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub arguments: String,
    /// What a function returns: `integer`, `SETOF orders`, `trigger`; left out for a
    /// procedure.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub returns: Option<String>,
    /// The language of its body.
    #[serde(default = "plpgsql")]
    pub language: String,
    /// What it does, without the quotes around it.
    pub body: String,
    /// Whether the server looks at the body when it is made. It need not when what the body
    /// uses is made later.
    #[serde(default = "yes")]
    pub check_body: bool,
    /// Whether it is a window function, which sees the rows around each; such are written in C or
    /// come with the server (`language: "internal"`).
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub window: bool,
    /// What it may be relied on for.
    #[serde(default)]
    pub volatility: Volatility,
    /// Whether queries that call it may run in several processes at once.
    #[serde(default)]
    pub parallel: Parallel,
    /// Whether it tells nothing of its arguments but by what it gives; a superuser says so.
    #[serde(default)]
    pub leakproof: bool,
    /// What the planner takes a call to cost; when left out, it is not looked at.
    #[serde(default)]
    pub cost: Option<u32>,
    /// How many rows the planner takes one that returns several to give; when left out, it is not
    /// looked at.
    #[serde(default)]
    pub rows: Option<u32>,
    /// The function that tells the planner more of it, `app.helper`; a superuser says so. When
    /// left out, it is not looked at.
    #[serde(default)]
    pub support: Option<String>,
    /// Whether it gives NULL without being called when an argument is NULL.
    #[serde(default)]
    pub strict: bool,
    /// Whether it runs with the rights of its owner.
    #[serde(default)]
    pub security_definer: bool,
    /// Settings while it runs: `#{search_path: "app"}`.
    #[serde(default)]
    pub settings: BTreeMap<String, Text>,
    /// The role that owns it; when left out, the user dollop works as owns a new one, and the
    /// owner is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub owner: Option<String>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

/// What a function may be relied on for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Volatility {
    /// Nothing: it may do and give anything.
    #[default]
    Volatile,
    /// The same arguments give the same within a statement; it changes nothing.
    Stable,
    /// The same arguments always give the same.
    Immutable,
}

/// Whether queries that call a function may run in several processes at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Parallel {
    /// No.
    #[default]
    Unsafe,
    /// Yes, and it runs in the first of them.
    Restricted,
    /// Yes.
    Safe,
}

impl Parallel {
    fn sql(self) -> &'static str {
        match self {
            Self::Unsafe => "UNSAFE",
            Self::Restricted => "RESTRICTED",
            Self::Safe => "SAFE",
        }
    }
}

fn plpgsql() -> String {
    "plpgsql".to_owned()
}

fn yes() -> bool {
    true
}

/// The kind.
pub struct Function;

impl Object for Function {
    const KIND: &'static str = "postgres::function";
    const NEEDS: &'static str = "CREATE on the schema and USAGE on the language for a new one, \
                                 its ownership for an existing one";
    type Spec = Spec;
    type Facts = Worded;

    fn traits() -> Traits {
        Traits {
            within: &["database", "schema"],
            identity: &["arguments"],
            ..Traits::default()
        }
    }

    fn makes(from: Option<&Spec>, to: &Spec) -> Vec<Vec<String>> {
        grant::made(
            from.is_none(),
            &to.database,
            &to.schema,
            &[On::Functions, On::Procedures, On::Routines],
        )
    }

    fn normalize(spec: &mut Spec) {
        spec.body = spec.body.replace("\r\n", "\n");
        spec.arguments = spec.arguments.trim().to_owned();
        spec.language = spec.language.trim().to_lowercase();
        if let Some(support) = spec.support.as_mut().filter(|name| !name.contains('.')) {
            *support = format!("pg_catalog.{support}");
        }
        sql::none_when_empty(&mut spec.comment);
        sql::normalize_settings(&mut spec.settings);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = Vec::new();
        let procedure = spec.returns.is_none();
        let promises = spec.strict || spec.leakproof || spec.window || spec.cost.is_some();
        let promises = promises || spec.support.is_some();
        let returns = spec.returns.as_deref().unwrap_or_default().trim().to_uppercase();
        let several = returns.starts_with("SETOF ") || returns.starts_with("TABLE");
        if spec.rows.is_some() && !several {
            problems.push(Problem {
                attribute: "rows".to_owned(),
                message: "it gives one row: it returns neither SETOF nor TABLE".to_owned(),
                hint: Some("leave `rows` out".to_owned()),
            });
        }
        let promises = promises || spec.volatility != Volatility::Volatile;
        if procedure && (promises || spec.parallel != Parallel::Unsafe) {
            problems.push(Problem {
                attribute: "returns".to_owned(),
                message: "a procedure promises nothing: it is neither strict nor stable, immutable, parallel, leakproof, of a window or of a cost".to_owned(),
                hint: Some("say what it returns to make it a function".to_owned()),
            });
        }
        problems
    }

    fn database(spec: &Spec) -> Option<&str> {
        Some(&spec.database)
    }

    fn key(natural: &str, spec: &Spec) -> Vec<String> {
        let types = signature::canonical(&spec.arguments).join(signature::BETWEEN);
        vec![spec.schema.clone(), natural.to_owned(), types]
    }

    const NAMES: usize = 2;

    fn describe(key: &[String]) -> String {
        let types = key[2].replace(signature::BETWEEN, ", ");
        format!("function `{}({types})` in schema `{}`", key[1], key[0])
    }

    fn types(key: &[String], _: &Spec) -> Vec<String> {
        let types = key[2].split(signature::BETWEEN).filter(|one| !one.is_empty());
        types.map(str::to_owned).collect()
    }

    fn query(_: &Server) -> String {
        let t = asking::type_of("t");
        // The server tells which types are meant, by all of their names. Beside names alone, their
        // list would be cut to the 63 bytes of one.
        format!(
            r#"with asked as (
            select s types, array(select {t}::oid
                from unnest(string_to_array(s, E'\x1f')) with ordinality u(t, at) order by at) oids
            from unnest($3) s
        )
        select array[n.nspname::text, p.proname::text, asked.types] "key",
            pg_get_function_arguments(p.oid) arguments, pg_get_function_result(p.oid) "returns",
            l.lanname "language", p.prosrc body,
            case p.provolatile when 'i' then 'immutable' when 's' then 'stable'
                else 'volatile' end volatility,
            case p.proparallel when 's' then 'safe' when 'r' then 'restricted'
                else 'unsafe' end parallel,
            p.proisstrict strict, p.prokind = 'w' "window", p.prosecdef security_definer, p.proleakproof leakproof,
            round(p.procost)::int8 cost, nullif(round(p.prorows)::int8, 0) "rows",
            (select sn.nspname || '.' || sf.proname from pg_proc sf
                join pg_namespace sn on sn.oid = sf.pronamespace
                where sf.oid = p.prosupport) support,
            (select coalesce(json_object_agg(split_part(o, '=', 1),
                substr(o, strpos(o, '=') + 1)), '{{}}') from unnest(p.proconfig) o) settings,
            pg_get_userbyid(p.proowner) "owner", obj_description(p.oid, 'pg_proc') "comment"
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            join pg_language l on l.oid = p.prolang
            join asked on asked.oids = array(select unnest(p.proargtypes))
        where p.prokind in ('f', 'p', 'w') and n.nspname = any($1) and p.proname = any($2)"#
        )
    }

    const WORDS: &'static [&'static str] = &["arguments", "returns", "language", "body"];
    const TO_THE_LETTER: &'static [&'static str] = &["language", "body"];
    const OPTIONAL: &'static [&'static str] = &["owner", "cost", "rows", "support"];

    fn goes_without_saying(spec: &mut Spec, around: &Around<'_>) {
        spec.cost = spec.cost.filter(|cost| *cost != 100);
        spec.rows = spec.rows.filter(|rows| *rows != 1000);
        // Nothing tells what a body uses; but it uses nothing that it does not name.
        spec.check_body = !around.contents.is_mentioned(&spec.body);
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let name = format!("{}.{}", sql::name(&key[0]), sql::name(&key[1]));
        let types = key[2].replace(signature::BETWEEN, ", ");
        let word = |spec: &Spec| if spec.returns.is_some() { "FUNCTION" } else { "PROCEDURE" };
        let Some(to) = to else {
            return from
                .map(|from| format!("DROP {} {name}({types})", word(from)))
                .into_iter()
                .collect();
        };
        let mut statements = Vec::new();
        let differs = from.is_none_or(|from| {
            from.body != to.body
                || from.language != to.language
                || from.volatility != to.volatility
                || from.parallel != to.parallel
                || from.leakproof != to.leakproof
                || (to.cost.is_some() && from.cost != to.cost)
                || (to.rows.is_some() && from.rows != to.rows)
                || (to.support.is_some() && from.support != to.support)
                || from.strict != to.strict
                || from.security_definer != to.security_definer
                || from.settings != to.settings
        });
        let kind = word(to);
        if differs {
            let mut parts = vec![format!("CREATE OR REPLACE {kind} {name}({})", to.arguments)];
            if from.is_none() {
                // Somebody else's of that name is not overwritten.
                parts[0] = format!("CREATE {kind} {name}({})", to.arguments);
            }
            parts.extend(to.returns.iter().map(|returns| format!("RETURNS {returns}")));
            parts.push(format!("LANGUAGE {}", sql::name(&to.language)));
            parts.extend(to.window.then(|| "WINDOW".to_owned()));
            match to.volatility {
                Volatility::Volatile => {}
                Volatility::Stable => parts.push("STABLE".to_owned()),
                Volatility::Immutable => parts.push("IMMUTABLE".to_owned()),
            }
            if to.parallel != Parallel::Unsafe {
                parts.push(format!("PARALLEL {}", to.parallel.sql()));
            }
            parts.extend(to.leakproof.then(|| "LEAKPROOF".to_owned()));
            parts.extend(to.cost.map(|cost| format!("COST {cost}")));
            parts.extend(to.rows.map(|rows| format!("ROWS {rows}")));
            let support = to.support.as_deref();
            parts.extend(support.map(|name| format!("SUPPORT {}", sql::dotted(name))));
            parts.extend(to.strict.then(|| "STRICT".to_owned()));
            parts.extend(to.security_definer.then(|| "SECURITY DEFINER".to_owned()));
            let set = sql::change_settings("", &BTreeMap::new(), &to.settings);
            parts.extend(set.into_iter().map(|set| set.trim_start().to_owned()));
            parts.push(format!("AS {}", sql::text(&to.body).trim_start()));
            // In its own transaction; what comes after it is checked again.
            if !to.check_body {
                statements.push("SET LOCAL check_function_bodies = off".to_owned());
            }
            statements.push(parts.join("\n"));
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        statements.extend(comment_and_owner(&format!("{kind} {name}({types})"), was, of(to)));
        statements
    }
}
