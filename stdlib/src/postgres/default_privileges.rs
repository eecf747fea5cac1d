//! `postgres::default_privileges`: what a role may do with things that others make later.
//!
//! Catalog: `pg_default_acl`; see "ALTER DEFAULT PRIVILEGES" in the PostgreSQL manual.

use dollop_engine::resource::{Naming, Problem, Traits, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::{On, PUBLIC, normalize_grantee, normalize_privileges};
use super::instead;
use super::object::{Nothing, Object, Observed, Row};
use super::server::Server;
use super::sql;
use super::version::Since;

/// The privileges that a role gets on whatever another one makes from now on: those listed,
/// and no others. What exists already is the business of `postgres::grant`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database the things are made in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The role that makes the things.
    #[schemars(extend("x-handle" = "postgres::role", "x-replace" = true))]
    pub owner: String,
    /// Who gets the privileges: a role, or `PUBLIC` for everybody.
    #[schemars(extend("x-handle" = "postgres::role", "x-replace" = true))]
    pub role: String,
    /// The schema the things are made in; everywhere when left out. In a schema privileges
    /// can only be added to those that hold everywhere.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::schema", "x-replace" = true))]
    pub schema: Option<String>,
    /// What kind of things.
    #[schemars(extend("x-replace" = true))]
    pub on: Made,
    /// The privileges: `["SELECT", "INSERT"]`, or `["ALL"]`; empty for none, which takes away
    /// what `PUBLIC` has on functions and types by default.
    pub privileges: Vec<String>,
    /// Whether the role may pass the privileges on.
    #[serde(default)]
    pub with_grant_option: bool,
}

/// What kind of things are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Made {
    /// Tables and views.
    Tables,
    /// Sequences.
    Sequences,
    /// Functions and procedures.
    Functions,
    /// Types and domains.
    Types,
    /// Schemas.
    Schemas,
}

impl Made {
    /// As in scripts.
    fn word(self) -> &'static str {
        match self {
            Self::Tables => "tables",
            Self::Sequences => "sequences",
            Self::Functions => "functions",
            Self::Types => "types",
            Self::Schemas => "schemas",
        }
    }

    /// One of them, as grants know it.
    fn on(self) -> On {
        match self {
            Self::Tables => On::Tables,
            Self::Sequences => On::Sequences,
            Self::Functions => On::Functions,
            Self::Types => On::Types,
            Self::Schemas => On::Schema,
        }
    }
}

/// What one grantee has.
#[derive(Deserialize)]
struct Held {
    privileges: Vec<String>,
    grantable: Vec<String>,
}

/// The kind.
pub struct DefaultPrivileges;

impl Object for DefaultPrivileges {
    const KIND: &'static str = "postgres::default_privileges";
    const NEEDS: &'static str = "membership in the role that makes the things, or a superuser";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            within: &["database"],
            identity: &["owner", "schema", "on", "role"],
            instead: instead::DEFAULT_PRIVILEGES,
            ..Traits::default()
        }
    }

    fn normalize(spec: &mut Spec) {
        normalize_grantee(&mut spec.role);
        normalize_privileges(spec.on.on(), &mut spec.privileges);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |attribute: &str, message: String, hint: &str| {
            let hint = Some(hint.to_owned());
            problems.push(Problem { attribute: attribute.to_owned(), message, hint });
        };
        let on = spec.on.word();
        if spec.on == Made::Schemas && spec.schema.is_some() {
            problem("schema", "a schema is made in no schema".to_owned(), "leave `schema` out");
        }
        for privilege in &spec.privileges {
            if !spec.on.on().knows(privilege) {
                let hint = format!("one of {}, or ALL", spec.on.on().all().join(", "));
                let message = format!("`{privilege}` is no privilege on {on}");
                problem("privileges", message, &hint);
            }
        }
        if spec.with_grant_option && spec.role == PUBLIC {
            let message = "everybody cannot be allowed to pass privileges on".to_owned();
            problem("with_grant_option", message, "leave it out, or name a role");
        }
        problems
    }

    fn database(spec: &Spec) -> Option<&str> {
        Some(&spec.database)
    }

    fn key(_: &str, spec: &Spec) -> Vec<String> {
        let schema = spec.schema.clone().unwrap_or_default();
        vec![spec.owner.clone(), schema, spec.on.word().to_owned(), spec.role.clone()]
    }

    fn describe(key: &[String]) -> String {
        let place = match key[1].as_str() {
            "" => String::new(),
            schema => format!(" in schema `{schema}`"),
        };
        format!("default privileges of `{}` on {} of `{}`{place}", key[3], key[2], key[0])
    }

    fn is_entry(spec: &Spec) -> bool {
        spec.role == PUBLIC || spec.privileges.is_empty()
    }

    fn built_in(spec: &Spec) -> Option<Spec> {
        let everywhere = spec.role == PUBLIC && spec.schema.is_none();
        let privileges = if everywhere { spec.on.on().of_everybody(None) } else { &[] };
        let privileges = privileges.iter().map(|&word| word.to_owned()).collect();
        Some(Spec { privileges, with_grant_option: false, ..spec.clone() })
    }

    fn since(spec: &Spec) -> Option<Since> {
        spec.on.on().since(&spec.privileges)
    }

    fn query(_: &Server) -> String {
        // Everywhere the list replaces the built-in one, in a schema it is added.
        format!(
            r#"with places as (
                select r.oid "role", r.rolname "owner", 0::oid namespace, '' "schema"
                from pg_roles r where r.rolname = any($1) and '' = any($2)
                union all
                select r.oid, r.rolname, n.oid, n.nspname from pg_roles r, pg_namespace n
                where r.rolname = any($1) and n.nspname = any($2)
            ), kinds(word, letter, built_in) as (values
                ('tables', 'r', 'r'), ('sequences', 'S', 's'), ('functions', 'f', 'f'),
                ('types', 'T', 'T'), ('schemas', 'n', 'n')
            )
            select array[p."owner", p."schema", k.word, g.name] "key",
                coalesce(array_agg(distinct e.privilege_type)
                    filter (where e.privilege_type is not null), '{{}}') privileges,
                coalesce(array_agg(distinct e.privilege_type) filter (where e.is_grantable),
                    '{{}}') grantable
            from places p cross join kinds k
            cross join (select oid, rolname::text name from pg_roles
                union all select 0, '{PUBLIC}') g
            left join pg_default_acl d on d.defaclrole = p."role"
                and d.defaclnamespace = p.namespace and d.defaclobjtype = k.letter::"char"
            left join lateral aclexplode(coalesce(d.defaclacl,
                case when p.namespace = 0 then acldefault(k.built_in::"char", p."role") end)) e
                on e.grantee = g.oid
            where k.word = any($3) and g.name = any($4)
            group by p."owner", p."schema", k.word, g.name"#
        )
    }

    fn observe(row: Option<&Row>, wanted: &Wanted<Spec>) -> Observed<Self> {
        let asked = &wanted.spec;
        let Some(row) = row else { return Ok(None) };
        let held: Held = row.read()?;
        if held.privileges.is_empty() && !asked.privileges.is_empty() {
            return Ok(None);
        }
        let differs = held
            .privileges
            .iter()
            .any(|privilege| held.grantable.contains(privilege) != asked.with_grant_option);
        let mut spec = Spec {
            privileges: held.privileges.clone(),
            with_grant_option: asked.with_grant_option != differs,
            ..asked.clone()
        };
        Self::normalize(&mut spec);
        Ok(Some((spec, Nothing {})))
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let Some(spec) = to.or(from) else { return Vec::new() };
        let place = match key[1].as_str() {
            "" => String::new(),
            schema => format!(" IN SCHEMA {}", sql::name(schema)),
        };
        let alter = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {}{place}", sql::name(&key[0]));
        let on = spec.on.word().to_uppercase();
        let role = if key[3] == PUBLIC { PUBLIC.to_owned() } else { sql::name(&key[3]) };
        let held = from.map_or(&[][..], |from| &from.privileges);
        let asked = to.map_or(&[][..], |to| &to.privileges);
        let had_option = from.is_some_and(|from| from.with_grant_option);
        let option = to.is_some_and(|to| to.with_grant_option);
        let list = |words: Vec<&String>| {
            words.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let extra = list(held.iter().filter(|word| !asked.contains(word)).collect());
        let kept = list(held.iter().filter(|word| asked.contains(word)).collect());
        let missing = list(
            asked
                .iter()
                .filter(|word| !held.contains(word) || (option && !had_option))
                .collect(),
        );
        let mut statements = Vec::new();
        if !extra.is_empty() {
            statements.push(format!("{alter} REVOKE {extra} ON {on} FROM {role}"));
        }
        if had_option && !option && !kept.is_empty() {
            statements
                .push(format!("{alter} REVOKE GRANT OPTION FOR {kept} ON {on} FROM {role}"));
        }
        if !missing.is_empty() {
            let option = if option { " WITH GRANT OPTION" } else { "" };
            statements.push(format!("{alter} GRANT {missing} ON {on} TO {role}{option}"));
        }
        statements
    }
}
