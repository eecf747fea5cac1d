//! What can be said about any object: `postgres::comment` and `postgres::security_label`.
//!
//! Catalogs: `pg_description`, `pg_seclabel`, read with `pg_identify_object_as_address`.

use std::marker::PhantomData;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Naming, Problem, Traits};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::object::{Nothing, Object};
use super::server::Server;
use super::signature::BETWEEN;
use super::sql;

/// What kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// An aggregate, with the types of its arguments.
    Aggregate,
    /// A collation.
    Collation,
    /// A column: schema, table, column.
    Column,
    /// A conversion between encodings.
    Conversion,
    /// A domain.
    Domain,
    /// An event trigger.
    EventTrigger,
    /// An extension.
    Extension,
    /// A foreign-data wrapper.
    ForeignDataWrapper,
    /// A foreign table.
    ForeignTable,
    /// A function, with the types of its arguments.
    Function,
    /// An index.
    Index,
    /// A procedural language.
    Language,
    /// A materialized view.
    MaterializedView,
    /// A procedure, with the types of its arguments.
    Procedure,
    /// A rule of a table or view: schema, table, rule.
    Rule,
    /// A schema.
    Schema,
    /// A sequence.
    Sequence,
    /// A foreign server.
    Server,
    /// Extended statistics.
    Statistics,
    /// A constraint of a table: schema, table, constraint.
    TableConstraint,
    /// A table.
    Table,
    /// A dictionary of text search.
    TextSearchDictionary,
    /// A configuration of text search.
    TextSearchConfiguration,
    /// A type.
    Type,
    /// A view.
    View,
}

impl On {
    /// All of them; a domain is a type by its first word.
    const ALL: [Self; 25] = [
        Self::Aggregate,
        Self::Collation,
        Self::Column,
        Self::Conversion,
        Self::EventTrigger,
        Self::Extension,
        Self::ForeignDataWrapper,
        Self::ForeignTable,
        Self::Function,
        Self::Index,
        Self::Language,
        Self::MaterializedView,
        Self::Procedure,
        Self::Rule,
        Self::Schema,
        Self::Sequence,
        Self::Server,
        Self::Statistics,
        Self::TableConstraint,
        Self::Table,
        Self::TextSearchDictionary,
        Self::TextSearchConfiguration,
        Self::Type,
        Self::View,
        Self::Domain,
    ];

    /// `pg_identify_object_as_address` and SQL have a word each.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Aggregate => ("aggregate", "AGGREGATE"),
            Self::Collation => ("collation", "COLLATION"),
            Self::Column => ("table column", "COLUMN"),
            Self::Conversion => ("conversion", "CONVERSION"),
            Self::Domain => ("type", "DOMAIN"),
            Self::EventTrigger => ("event trigger", "EVENT TRIGGER"),
            Self::Extension => ("extension", "EXTENSION"),
            Self::ForeignDataWrapper => ("foreign-data wrapper", "FOREIGN DATA WRAPPER"),
            Self::ForeignTable => ("foreign table", "FOREIGN TABLE"),
            Self::Function => ("function", "FUNCTION"),
            Self::Index => ("index", "INDEX"),
            Self::Language => ("language", "LANGUAGE"),
            Self::MaterializedView => ("materialized view", "MATERIALIZED VIEW"),
            Self::Procedure => ("procedure", "PROCEDURE"),
            Self::Rule => ("rule", "RULE"),
            Self::Schema => ("schema", "SCHEMA"),
            Self::Sequence => ("sequence", "SEQUENCE"),
            Self::Server => ("server", "SERVER"),
            Self::Statistics => ("statistics object", "STATISTICS"),
            Self::TableConstraint => ("table constraint", "CONSTRAINT"),
            Self::Table => ("table", "TABLE"),
            Self::TextSearchDictionary => ("text search dictionary", "TEXT SEARCH DICTIONARY"),
            Self::TextSearchConfiguration => {
                ("text search configuration", "TEXT SEARCH CONFIGURATION")
            }
            Self::Type => ("type", "TYPE"),
            Self::View => ("view", "VIEW"),
        }
    }

    /// How many names say which one.
    fn parts(self) -> usize {
        match self {
            Self::Column | Self::Rule | Self::TableConstraint => 3,
            Self::EventTrigger
            | Self::Extension
            | Self::ForeignDataWrapper
            | Self::Language
            | Self::Schema
            | Self::Server => 1,
            _ => 2,
        }
    }

    fn takes_arguments(self) -> bool {
        matches!(self, Self::Aggregate | Self::Function | Self::Procedure)
    }
}

/// The key of what is said of an object, as `pg_identify_object_as_address` names it; nothing
/// for a sort of object of which nothing can be said here.
pub(super) fn key_of(word: &str, names: &str, arguments: &str) -> Option<Vec<String>> {
    let on = On::ALL.into_iter().find(|on| on.words().0 == word)?;
    Some([word, on.words().1, names, arguments, ""].map(str::to_owned).to_vec())
}

/// What is said of which object.
pub trait Remark:
    Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// The name in scripts.
    const KIND: &'static str;
    /// What it is, in words.
    const WORD: &'static str;
    /// The introspection query's place to look, and what it calls a remark.
    const CATALOG: (&'static str, &'static str);
    /// See [`Object::RULES`].
    const RULES: Option<&'static str>;
    /// What tells two remarks about one object apart.
    const IDENTITY: &'static [&'static str];

    /// The database.
    fn database(&self) -> &str;
    /// The kind of object.
    fn on(&self) -> On;
    /// Its name in parts.
    fn object(&self) -> &[String];
    /// The types of its arguments.
    fn arguments(&self) -> &[String];
    /// Who says it.
    fn provider(&self) -> Option<&str> {
        None
    }
    /// What is said.
    fn text(&self) -> &str;
    /// See [`Object::impossible`].
    fn impossible(&self, _rules: &[Json]) -> Option<CallError> {
        None
    }
}

/// A comment on an object that has no kind here, or is not managed here. Kinds that have a
/// `comment` of their own keep theirs.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    /// The database the object is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// What kind of object it is.
    #[schemars(extend("x-replace" = true))]
    pub on: On,
    /// Its name in parts: `["app", "orders", "total"]` for a column.
    #[schemars(extend("x-replace" = true))]
    pub object: Vec<String>,
    /// The types of a function's arguments, in the server's words: `["integer", "text"]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub arguments: Vec<String>,
    /// What is said of it.
    pub text: String,
}

impl Remark for Comment {
    const KIND: &'static str = "postgres::comment";
    const WORD: &'static str = "comment";
    const CATALOG: (&'static str, &'static str) =
        ("pg_description", "'' \"provider\", r.description");
    const RULES: Option<&'static str> = None;
    const IDENTITY: &'static [&'static str] = &["on", "object", "arguments"];

    fn database(&self) -> &str {
        &self.database
    }

    fn on(&self) -> On {
        self.on
    }

    fn object(&self) -> &[String] {
        &self.object
    }

    fn arguments(&self) -> &[String] {
        &self.arguments
    }

    fn text(&self) -> &str {
        &self.text
    }
}

/// A security label on an object, for a provider such as SELinux or an anonymizer, which the
/// server must have loaded.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityLabel {
    /// The database the object is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The provider the label is for: `selinux`, `anon`.
    #[schemars(extend("x-replace" = true))]
    pub provider: String,
    /// What kind of object it is.
    #[schemars(extend("x-replace" = true))]
    pub on: On,
    /// Its name in parts: `["app", "users", "mail"]` for a column.
    #[schemars(extend("x-replace" = true))]
    pub object: Vec<String>,
    /// The types of a function's arguments, in the server's words: `["integer", "text"]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub arguments: Vec<String>,
    /// The label, in the provider's words.
    pub label: String,
}

impl Remark for SecurityLabel {
    const KIND: &'static str = "postgres::security_label";
    const WORD: &'static str = "security label";
    const CATALOG: (&'static str, &'static str) = ("pg_seclabel", "r.\"provider\", r.label");
    const RULES: Option<&'static str> = Some(
        "select concat(current_setting('shared_preload_libraries'),
            current_setting('session_preload_libraries'),
            current_setting('local_preload_libraries')) loaded",
    );
    const IDENTITY: &'static [&'static str] = &["provider", "on", "object", "arguments"];

    fn database(&self) -> &str {
        &self.database
    }

    fn on(&self) -> On {
        self.on
    }

    fn object(&self) -> &[String] {
        &self.object
    }

    fn arguments(&self) -> &[String] {
        &self.arguments
    }

    fn provider(&self) -> Option<&str> {
        Some(&self.provider)
    }

    fn text(&self) -> &str {
        &self.label
    }

    fn impossible(&self, rules: &[Json]) -> Option<CallError> {
        let none = rules.first()?["loaded"].as_str()?.is_empty();
        none.then(|| {
            CallError::impossible(format!(
                "the server has loaded no library that knows security labels, so none is for `{}`",
                self.provider
            ))
            .about("provider")
            .hint("name the provider's library in `shared_preload_libraries` and restart the server")
        })
    }
}

/// The kind of remark.
pub struct Of<R>(PhantomData<fn() -> R>);

impl<R: Remark> Object for Of<R> {
    const KIND: &'static str = R::KIND;
    const NEEDS: &'static str = "ownership of the object";
    type Spec = R;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            within: &["database"],
            identity: R::IDENTITY,
            ..Traits::default()
        }
    }

    fn check(spec: &R) -> Vec<Problem> {
        let problem = |attribute: &str, message: String, hint: &str| Problem {
            attribute: attribute.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        };
        let (word, parts) = (spec.on().words().1.to_lowercase(), spec.on().parts());
        let mut problems = Vec::new();
        if spec.object().len() != parts {
            let message = format!("a {word} is named by {parts} parts");
            let hint = match parts {
                1 => "its name alone",
                2 => "its schema and its name",
                _ => "the schema, the table, and its name",
            };
            problems.push(problem("object", message, hint));
        }
        if !spec.arguments().is_empty() && !spec.on().takes_arguments() {
            let message = format!("a {word} has no arguments");
            problems.push(problem("arguments", message, "leave `arguments` out"));
        }
        if spec.text().is_empty() {
            let message = format!("an empty {} is none", R::WORD);
            problems.push(problem("object", message, "remove the declaration instead"));
        }
        problems
    }

    fn database(spec: &R) -> Option<&str> {
        Some(spec.database())
    }

    fn key(_: &str, spec: &R) -> Vec<String> {
        let (word, sql) = spec.on().words();
        let names = spec.object().join(BETWEEN);
        let arguments = spec.arguments().join(BETWEEN);
        [word, sql, &names, &arguments, spec.provider().unwrap_or_default()]
            .map(str::to_owned)
            .to_vec()
    }

    const NAMES: usize = 0;
    const LISTS: bool = R::RULES.is_none();

    fn told(key: &[String]) -> Map<String, Json> {
        let on = On::ALL.into_iter().find(|on| on.words().1 == key[1]);
        let parts = |text: &str| -> Vec<String> {
            text.split(BETWEEN).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let told = [
            ("on", json!(on)),
            ("object", json!(parts(&key[2]))),
            ("arguments", json!(parts(&key[3]))),
        ];
        told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn describe(key: &[String]) -> String {
        format!("{} on {} `{}`", R::WORD, key[1].to_lowercase(), key[2].replace(BETWEEN, "."))
    }

    const RULES: Option<&'static str> = R::RULES;

    fn impossible(_: &str, spec: &R, rules: &[Json]) -> Option<CallError> {
        spec.impossible(rules)
    }

    fn query(_: &Server) -> String {
        let (catalog, said) = R::CATALOG;
        // What came with the server has low numbers, but for the schema `public`.
        format!(
            r#"select array[case when a.type like '% column' then 'table column' else a.type end, w.word, array_to_string(names, E'\x1f'),
                x.types, r."provider"] "key",
            r.said "text", r.said "label"
            from (select r.classoid, r.objoid, r.objsubid, {said} said from {catalog} r
                where r.objoid >= 16384 or r.classoid = 'pg_namespace'::regclass
                    or r.classoid = 'pg_language'::regclass) r
            cross join lateral pg_identify_object_as_address(r.classoid, r.objoid, r.objsubid) a
            -- A type's name comes in one piece there, quoted where it must be.
            cross join lateral (select coalesce((select array[n.nspname::text, t.typname::text]
                from pg_type t join pg_namespace n on n.oid = t.typnamespace
                where r.classoid = 'pg_type'::regclass and t.oid = r.objoid), a.object_names)) n(names)
            cross join unnest($2) w(word) cross join unnest($4) x(types)
            where case when a.type like '% column' then 'table column' else a.type end = any($1)
                and array_to_string(names, E'\x1f') = any($3)
                and array(select to_regtype(t) from unnest(a.object_args) t)
                    = array(select to_regtype(t) from unnest(string_to_array(x.types, E'\x1f')) t)
                and r."provider" = any($5)"#
        )
    }

    const OPTIONAL: &'static [&'static str] = &[];

    fn statements(key: &[String], from: Option<&R>, to: Option<&R>) -> Vec<String> {
        if let (Some(from), Some(to)) = (from, to)
            && from.text() == to.text()
        {
            return Vec::new();
        }
        let names: Vec<String> = key[2].split(BETWEEN).map(str::to_owned).collect();
        let dotted = |names: &[String]| {
            names.iter().map(|name| sql::name(name)).collect::<Vec<_>>().join(".")
        };
        let takes = ["AGGREGATE", "FUNCTION", "PROCEDURE"].contains(&key[1].as_str());
        let object = match key[1].as_str() {
            "CONSTRAINT" | "RULE" => {
                format!(
                    "{} ON {}",
                    dotted(&names[names.len() - 1..]),
                    dotted(&names[..names.len() - 1])
                )
            }
            _ if takes => format!("{}({})", dotted(&names), key[3].replace(BETWEEN, ", ")),
            _ => dotted(&names),
        };
        let text = sql::text_or_null(to.map(R::text));
        let word = match key[4].as_str() {
            "" => "COMMENT".to_owned(),
            provider => format!("SECURITY LABEL FOR {}", sql::name(provider)),
        };
        vec![format!("{word} ON {} {object} IS {text}", key[1])]
    }
}
