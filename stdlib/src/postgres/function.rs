//! `postgres::function`: functions and procedures.
//!
//! Catalog: `pg_proc`, `pg_get_functiondef`.

use std::collections::BTreeMap;

use dollop_engine::resource::{Problem, Traits, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::{Object, as_recorded, comment_and_owner};
use super::server::Server;
use super::sql;
use crate::text::Text;

/// A function or procedure. Of several that share a name in one schema, dollop manages none.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema it is in.
    #[serde(default = "public")]
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
    /// What it may be relied on for.
    #[serde(default)]
    pub volatility: Volatility,
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

fn public() -> String {
    "public".to_owned()
}

fn plpgsql() -> String {
    "plpgsql".to_owned()
}

/// What the server reports.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// Its definition in the server's words.
    pub definition: String,
}

/// A row of the introspection query.
#[derive(Deserialize)]
pub struct Row {
    schema: String,
    name: String,
    arguments: String,
    returns: Option<String>,
    language: String,
    body: String,
    volatility: String,
    strict: bool,
    security_definer: bool,
    settings: Vec<String>,
    owner: String,
    comment: Option<String>,
    definition: String,
}

/// The kind.
pub struct Function;

impl Object for Function {
    const KIND: &'static str = "postgres::function";
    const NEEDS: &'static str = "CREATE on the schema and USAGE on the language for a new one, \
                                 its ownership for an existing one";
    type Spec = Spec;
    type Facts = Facts;
    type Row = Row;

    fn traits() -> Traits {
        Traits { within: &["database", "schema"], ..Traits::default() }
    }

    fn normalize(spec: &mut Spec) {
        spec.body = spec.body.replace("\r\n", "\n");
        spec.arguments = spec.arguments.trim().to_owned();
        spec.comment = spec.comment.take().filter(|comment| !comment.is_empty());
        sql::normalize_settings(&mut spec.settings);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = Vec::new();
        let procedure = spec.returns.is_none();
        if procedure && (spec.strict || spec.volatility != Volatility::Volatile) {
            problems.push(Problem {
                attribute: "returns".to_owned(),
                message: "a procedure is neither strict nor stable nor immutable".to_owned(),
                hint: Some("say what it returns to make it a function".to_owned()),
            });
        }
        problems
    }

    fn database(spec: &Spec) -> Option<&str> {
        Some(&spec.database)
    }

    fn key(natural: &str, spec: &Spec) -> Vec<String> {
        vec![spec.schema.clone(), natural.to_owned()]
    }

    fn describe(key: &[String]) -> String {
        format!("function `{}` in schema `{}`", key[1], key[0])
    }

    fn query(_: &Server) -> String {
        r#"select n.nspname "schema", p.proname name, pg_get_function_arguments(p.oid) arguments,
            pg_get_function_result(p.oid) "returns", l.lanname "language", p.prosrc body,
            case p.provolatile when 'i' then 'immutable' when 's' then 'stable'
                else 'volatile' end volatility,
            p.proisstrict strict, p.prosecdef security_definer,
            coalesce(p.proconfig, '{}') settings, pg_get_userbyid(p.proowner) "owner",
            obj_description(p.oid, 'pg_proc') "comment", pg_get_functiondef(p.oid) definition
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            join pg_language l on l.oid = p.prolang
        where p.prokind in ('f', 'p') and n.nspname = any($1) and p.proname = any($2)"#
            .to_owned()
    }

    fn row_key(row: &Row) -> Vec<String> {
        vec![row.schema.clone(), row.name.clone()]
    }

    fn observe(row: Option<&Row>, wanted: &Wanted<Spec>) -> Option<(Spec, Facts)> {
        let row = row?;
        let asked = &wanted.spec;
        // The server writes `int` as `integer`, and a body of SQL in words of its own.
        let same = as_recorded(wanted, "definition", &row.definition);
        let keep = |ours: &String, theirs: &String| {
            if same { ours.clone() } else { theirs.clone() }
        };
        let mut spec = Spec {
            database: asked.database.clone(),
            schema: row.schema.clone(),
            arguments: keep(&asked.arguments, &row.arguments),
            returns: if same { asked.returns.clone() } else { row.returns.clone() },
            language: keep(&asked.language, &row.language),
            body: keep(&asked.body, &row.body),
            volatility: match row.volatility.as_str() {
                "immutable" => Volatility::Immutable,
                "stable" => Volatility::Stable,
                _ => Volatility::Volatile,
            },
            strict: row.strict,
            security_definer: row.security_definer,
            settings: sql::read_settings(&row.settings),
            owner: asked.owner.as_ref().map(|_| row.owner.clone()),
            comment: row.comment.clone(),
        };
        Self::normalize(&mut spec);
        Some((spec, Facts { definition: row.definition.clone() }))
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let name = format!("{}.{}", sql::name(&key[0]), sql::name(&key[1]));
        let word = |spec: &Spec| if spec.returns.is_some() { "FUNCTION" } else { "PROCEDURE" };
        let Some(to) = to else {
            // Without arguments: there is only one of the name.
            return from
                .map(|from| format!("DROP {} {name}", word(from)))
                .into_iter()
                .collect();
        };
        let mut statements = Vec::new();
        let differs = from.is_none_or(|from| {
            from.body != to.body
                || from.language != to.language
                || from.volatility != to.volatility
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
            match to.volatility {
                Volatility::Volatile => {}
                Volatility::Stable => parts.push("STABLE".to_owned()),
                Volatility::Immutable => parts.push("IMMUTABLE".to_owned()),
            }
            parts.extend(to.strict.then(|| "STRICT".to_owned()));
            parts.extend(to.security_definer.then(|| "SECURITY DEFINER".to_owned()));
            let set = sql::change_settings("", &BTreeMap::new(), &to.settings);
            parts.extend(set.into_iter().map(|set| set.trim_start().to_owned()));
            parts.push(format!("AS {}", sql::text(&to.body).trim_start()));
            statements.push(parts.join("\n"));
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        statements.extend(comment_and_owner(&format!("{kind} {name}"), was, of(to)));
        statements
    }
}
