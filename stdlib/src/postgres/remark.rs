//! What can be said about any object: `postgres::comment` and `postgres::security_label`.
//!
//! Catalogs: `pg_description`, `pg_seclabel` and their shared twins, read with
//! `pg_identify_object_as_address`.

mod on;

use std::marker::PhantomData;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Naming, Problem, Traits};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

pub use self::on::On;
use super::object::{Nothing, Object};
use super::server::Server;
use super::signature::BETWEEN;
use super::{asking, sql, types};

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
    /// The catalogs of remarks on what is in a database, and on what belongs to the whole
    /// server, and what each calls a remark and who says it.
    const CATALOGS: [&'static str; 2];
    /// The columns there: who says it, and what is said.
    const SAID: &'static str;
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
    /// What is wrong with it beside the names.
    fn check(&self) -> Option<Problem> {
        None
    }
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
    const CATALOGS: [&'static str; 2] = ["pg_description", "pg_shdescription"];
    const SAID: &'static str = "'' \"provider\", r.description";
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
    const CATALOGS: [&'static str; 2] = ["pg_seclabel", "pg_shseclabel"];
    const SAID: &'static str = "r.\"provider\", r.label";
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

    fn check(&self) -> Option<Problem> {
        let word = self.on.words().1.to_lowercase();
        (!self.on.takes_labels()).then(|| Problem {
            attribute: "on".to_owned(),
            message: format!("the server takes no security labels on a sort such as {word}"),
            hint: None,
        })
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
        let mut problems = spec.on().check(spec.object(), spec.arguments());
        problems.extend(spec.check());
        if spec.text().is_empty() {
            problems.push(Problem {
                attribute: "object".to_owned(),
                message: format!("an empty {} is none", R::WORD),
                hint: Some("remove the declaration instead".to_owned()),
            });
        }
        problems
    }

    fn database(spec: &R) -> Option<&str> {
        Some(spec.database())
    }

    fn key(_: &str, spec: &R) -> Vec<String> {
        let (word, sql) = spec.on().words();
        let names = match (spec.on(), spec.object()) {
            (On::Cast, [from]) => types::normal(from),
            (_, object) => object.join(BETWEEN),
        };
        let arguments = spec.arguments().join(BETWEEN);
        [word, sql, &names, &arguments, spec.provider().unwrap_or_default()]
            .map(str::to_owned)
            .to_vec()
    }

    const NAMES: usize = 0;
    const LISTS: bool = R::RULES.is_none();

    fn told(key: &[String]) -> Map<String, Json> {
        let on = On::of_word(&key[1]);
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
        let (said, [own, shared]) = (R::SAID, R::CATALOGS);
        let t = asking::type_of("t");
        let catalogs = On::ALL.map(|on| format!("('{}', '{}')", on.words().0, on.catalog()));
        let catalogs = catalogs.join(", ");
        // Of what came with the server thousands have comments: only the sorts that are asked
        // for are looked at.
        format!(
            r#"select array[a.type, w.word, y.names, x.types, r."provider"] "key",
            r.said "text", r.said "label"
            from (select r.classoid, r.objoid, r.objsubid, {said} said from {own} r
                where r.classoid = any(array(select c.called::regclass::oid
                    from (values {catalogs}) c(word, called) where c.word = any($1)))
                union all select r.classoid, r.objoid, 0, {said} from {shared} r) r
            cross join lateral (select
                    case when i.type like '% column' then 'table column' else i.type end,
                    i.object_names, i.object_args
                from pg_identify_object_as_address(r.classoid, r.objoid, r.objsubid) i
            ) a(type, names, arguments)
            -- The names of types come in one piece there, quoted where they must be; those of a
            -- cast may be written in several ways.
            cross join lateral (select coalesce(
                (select array[concat(n.nspname, E'\x1f', t.typname)]
                    from pg_type t join pg_namespace n on n.oid = t.typnamespace
                    where r.classoid = 'pg_type'::regclass and t.oid = r.objoid),
                (select array[concat(n.nspname, E'\x1f', t.typname, E'\x1f', k.conname)]
                    from pg_constraint k join pg_type t on t.oid = k.contypid
                        join pg_namespace n on n.oid = t.typnamespace
                    where r.classoid = 'pg_constraint'::regclass and k.oid = r.objoid),
                (select array[a.names[1], format_type(c.castsource, null),
                        regexp_replace(format_type(c.castsource, null), '^public\.', ''),
                        concat(n.nspname, '.', t.typname)]
                    from pg_cast c join pg_type t on t.oid = c.castsource
                        join pg_namespace n on n.oid = t.typnamespace
                    where r.classoid = 'pg_cast'::regclass and c.oid = r.objoid),
                array[array_to_string(a.names, E'\x1f')])) n(called)
            cross join unnest($2) w(word) cross join unnest($3) y(names)
            cross join unnest($4) x(types)
            where a.type = any($1) and y.names = any(n.called)
                -- The name of a constraint stands there for no type.
                and case when a.type = 'domain constraint' then true
                    else array(select to_regtype(t) from unnest(a.arguments) t)
                        = array(select {t}
                            from unnest(string_to_array(x.types, E'\x1f')) t) end
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
        let parts = |text: &str| -> Vec<String> {
            text.split(BETWEEN).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let Some(on) = On::of_word(&key[1]) else { return Vec::new() };
        let object = on.named(&parts(&key[2]), &parts(&key[3]));
        let text = sql::text_or_null(to.map(R::text));
        let word = match key[4].as_str() {
            "" => "COMMENT".to_owned(),
            provider => format!("SECURITY LABEL FOR {}", sql::name(provider)),
        };
        vec![format!("{word} ON {object} IS {text}")]
    }
}
